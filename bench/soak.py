#!/usr/bin/env python3
"""Loads a cluster with a mix of requests for ten minutes, and judges whether its memory stays the same.

    bench/soak.py                                     starts its own cluster, ten minutes
    bench/soak.py --minutes 3 --largest 64            shorter, files of up to 64 KiB
    bench/soak.py --leave 0                           no client leaves in the middle of an upload
    bench/soak.py --cluster var/cluster.json          a cluster that `splitctl up` runs

Each client has its own names, and knows what each of them must hold, so every answer is compared with what was stored.
The exit status is 1 if an answer was wrong, or if the memory of a daemon still rose in the last half.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import secrets
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import attrs
from body import Body
from processes import Processes
from report import Cell, end_well, say, table, write_json
from service import Cluster, processes_of, running, scratch

KIB = 1024
_NAMES = 40
_PIECE = 256 * KIB
_TIMEOUT_S = 120
_NOISE_MIB = 4.0
"""A daemon's memory may be this much higher in the last quarter of the run than in the third one, or 3 % of it if that
is more.
"""


@attrs.frozen
class Mix:
    """The shares of the requests.  The rest are GETs.

    :param leave: uploads whose client leaves in the middle.
    :param largest: bytes of the largest file; sizes are drawn so that each power of two is as likely as the next.
    """

    put: float
    delete: float
    leave: float
    largest: int

    def draw_size(self, dice: random.Random) -> int:
        """Draw the size of a new file, in bytes."""
        return int(self.largest ** dice.random()) - 1


class Tally:
    """Counts of what has happened; all clients share them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []

    def count(self, what: str) -> None:
        """Count one request."""
        with self._lock:
            self.counts[what] += 1

    def blame(self, problem: str) -> None:
        """Record a wrong answer."""
        with self._lock:
            self.wrong.append(problem)


class Visitor:
    """One client, which makes one request after the other on its own connection.

    :param folder: a collection that no other client uses.
    """

    def __init__(self, url: str, folder: str, mix: Mix, body: Body, tally: Tally, seed: int) -> None:
        self._address = (urlsplit(url).hostname or "", urlsplit(url).port or 80)
        self._folder = folder
        self._mix = mix
        self._body = body
        self._tally = tally
        self._dice = random.Random(seed)
        self._held: dict[str, tuple[str, int]] = {}
        self._versions = 0
        self._connection = self._connect()

    def _connect(self) -> HTTPConnection:
        return HTTPConnection(*self._address, timeout=_TIMEOUT_S)

    def visit(self, stop: threading.Event) -> None:
        """Make requests until `stop` is set."""
        while not stop.is_set():
            try:
                self._request()
            except Exception as problem:
                self._tally.blame(f"{self._folder}: {type(problem).__name__}: {problem}")
                self._connection.close()
                self._connection = self._connect()
                self._held = {}
        self._connection.close()

    def _request(self) -> None:
        name = f"{self._folder}-{self._dice.randrange(_NAMES)}"
        mix, kind = self._mix, self._dice.random()
        if kind < mix.put:
            self._put(name)
        elif kind < mix.put + mix.delete:
            self._delete(name)
        elif kind < mix.put + mix.delete + mix.leave:
            self._leave(name)
        else:
            self._get(name)

    def _put(self, name: str) -> None:
        size = self._mix.draw_size(self._dice)
        version = self._begin_upload(self._connection, name, size)
        self._send(self._connection, version, 0, size)
        self._answer("PUT", name, {201, 204})
        self._held[name] = version, size

    def _begin_upload(self, connection: HTTPConnection, name: str, size: int) -> str:
        self._versions += 1
        connection.putrequest("PUT", name)
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
        return f"{name}@{self._versions}"

    def _send(self, connection: HTTPConnection, version: str, start: int, stop: int) -> None:
        for position in range(start, stop, _PIECE):
            connection.send(self._body.piece(version, position, min(position + _PIECE, stop)))

    def _leave(self, name: str) -> None:
        """Leave in the middle of an upload.  The old content of the name stays."""
        size = self._mix.draw_size(self._dice) + 1
        leaving = self._connect()
        self._send(leaving, self._begin_upload(leaving, name, size), 0, int(size * self._dice.random()))
        leaving.close()
        self._tally.count("left")

    def _delete(self, name: str) -> None:
        self._connection.request("DELETE", name)
        self._answer("DELETE", name, {204} if name in self._held else {404})
        self._held.pop(name, None)

    def _get(self, name: str) -> None:
        self._connection.request("GET", name)
        if name not in self._held:
            self._answer("GET", name, {404})
            return
        version, size = self._held[name]
        if self._answer("GET", name, {200}) != self._body.piece(version, 0, size):
            self._tally.blame(f"GET {name}: not the {size} bytes that were stored")

    def _answer(self, method: str, name: str, expected: set[int]) -> bytes:
        response = self._connection.getresponse()
        data = response.read()
        self._tally.count(method)
        if response.status not in expected:
            raise ValueError(f"{method} {name}: {response.status}, expected {expected}: {data[:200]!r}")
        return data


@attrs.frozen
class Sample:
    """The memory of all daemons at one time, in MiB resident."""

    after_s: float
    resident_mib: dict[str, float]


def risen(samples: Sequence[Sample], name: str) -> tuple[float, float]:
    """Return how far a daemon's memory rose between the third and the last quarter of the run, and how far it may rise,
    in MiB.
    """
    third, last = (
        [
            sample.resident_mib[name]
            for sample in samples
            if start <= sample.after_s / samples[-1].after_s <= start + 0.25
        ]
        for start in (0.5, 0.75)
    )
    before = sum(third) / len(third)
    return sum(last) / len(last) - before, max(_NOISE_MIB, 0.03 * before)


def soak(url: str, processes: Processes, given: argparse.Namespace) -> tuple[list[Sample], Tally]:
    """Load a cluster and record its memory."""
    body, tally, stop = Body(), Tally(), threading.Event()
    mix = Mix(given.put / 100, given.delete / 100, given.leave / 100, given.largest * KIB)
    run = secrets.token_hex(4)
    visitors = [Visitor(url, f"/soak-{run}-{number}", mix, body, tally, number) for number in range(given.clients)]
    threads = [threading.Thread(target=visitor.visit, args=(stop,)) for visitor in visitors]
    for thread in threads:
        thread.start()
    samples: list[Sample] = []
    began = time.monotonic()
    try:
        while (after_s := time.monotonic() - began) < given.minutes * 60:
            time.sleep(min(given.every - after_s % given.every, given.minutes * 60 - after_s))
            samples.append(Sample(time.monotonic() - began, processes.resident_mib()))
            resident = "  ".join(f"{name} {mib:.0f}" for name, mib in samples[-1].resident_mib.items())
            say(f"{samples[-1].after_s:5.0f} s  {resident} MiB  {tally.counts.total()} requests")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return samples, tally


def judge(samples: Sequence[Sample], tally: Tally) -> bool:
    """Print the results, and return whether they are good."""
    rows: list[list[Cell]] = []
    good = not tally.wrong
    for name in samples[0].resident_mib:
        rise, allowed = risen(samples, name)
        good = good and rise <= allowed
        peak = max(sample.resident_mib[name] for sample in samples)
        rows.append([name, samples[0].resident_mib[name], samples[-1].resident_mib[name], peak, rise,
                     "flat" if rise <= allowed else "RISES"])  # fmt: skip
    print(table(["MiB resident", "first", "last", "highest", "last quarter over third", "verdict"], rows))
    print(f"{tally.counts.total()} requests: {dict(tally.counts)}; {len(tally.wrong)} wrong answers")
    for problem in tally.wrong[:10]:
        print(f"  {problem}")
    return good


def main() -> None:
    """Soak as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long [%(default)s]")
    parser.add_argument("--every", type=float, default=15.0, help="seconds between looks at the memory [%(default)s]")
    parser.add_argument("--clients", type=int, default=24, help="how many clients at once [%(default)s]")
    parser.add_argument("--largest", type=int, default=8192, help="KiB of the largest file [%(default)s]")
    parser.add_argument("--put", type=float, default=40, help="per cent of PUTs [%(default)s]")
    parser.add_argument("--delete", type=float, default=10, help="per cent of DELETEs [%(default)s]")
    parser.add_argument("--leave", type=float, default=5, help="per cent of uploads left in the middle [%(default)s]")
    parser.add_argument("--cluster", help="cluster.json of a running cluster; without it one is started")
    parser.add_argument("--work", default="var/bench", help="where folders for the runs are made [%(default)s]")
    parser.add_argument("--port", type=int, default=18600, help="the first port of a cluster started here")
    parser.add_argument("--json", help="where to write the figures")
    given = parser.parse_args()
    end_well()
    with contextlib.ExitStack() as stack:
        if given.cluster:
            told = Path(given.cluster)
            samples, tally = soak(json.loads(told.read_text())["front"]["url"], processes_of(told), given)
        else:
            cluster = Cluster(stack.enter_context(scratch(Path(given.work))), given.port)
            stack.enter_context(running(cluster))
            samples, tally = soak(cluster.url, cluster.processes(), given)
    good = judge(samples, tally)
    if given.json:
        write_json(given.json, samples=[attrs.asdict(sample) for sample in samples], requests=dict(tally.counts))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
