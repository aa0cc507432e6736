#!/usr/bin/env python3
"""Measures what S3 costs beside WebDAV: small files by both doors of one cluster, with a login and without, by turns.

    bench/doors.py --rounds 9 --requests 4000

The cost is CPU time of the front for each request, user and system: times of day say little on a machine that others
use, too.  Requests are signed before they are timed.  "With MD5" is of a cluster with `s3_etag: md5`; the others use
`s3_etag: version`.
"""

from __future__ import annotations

import argparse
import base64
import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import attrs
import yaml
from body import Body
from load import Client, Exchange
from processes import Processes
from report import Cell, end_well, say, table, write_json
from s3 import Signer
from service import S3, Cluster, running, scratch
from soak import SEEN_S, make_key
from users import PASSWORD, USER, make_users

_SIZE = 4096
_HOT = 500
_LISTED = 100
"""Keys of a page, and members of a collection, that is listed."""

OPERATIONS = ("GET", "HEAD", "PUT", "LIST")


class Ahead:
    """Signs requests before they are made.

    :param sign: signs one.
    """

    def __init__(self, sign: Callable[[str, str], str]) -> None:
        self._sign = sign
        self._signed: dict[tuple[str, str], str] = {}

    def prepare(self, requests: Iterator[tuple[str, str]]) -> None:
        """Sign requests, given by method and target; forget those before."""
        self._signed = {each: self._sign(*each) for each in requests}

    def __call__(self, method: str, target: str) -> str:
        """Return the headers of a request."""
        return self._signed[method, target]


@attrs.frozen
class Figures:
    """Figures of one measurement.

    :param front_us: CPU microseconds of the front for each request.
    :param all_us: the same of all daemons.
    """

    per_s: float
    front_us: float
    all_us: float
    p50_ms: float
    p99_ms: float


SHOWN = {
    "front_us": "CPU us of the front",
    "all_us": "CPU us of all daemons",
    "per_s": "a second",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
}


class Side:
    """One way to make requests.

    :param url: what the paths of its files begin with.
    :param prefix: the path in it.
    :param login: see `Client`.
    :param lists: whether it can list.
    :param sign: see `Client`.
    """

    def __init__(
        self,
        url: str,
        prefix: str,
        processes: Processes,
        body: Body,
        *,
        login: str = "",
        lists: bool = False,
        sign: Callable[[str, str], str] | None = None,
    ) -> None:
        self._ahead = None if sign is None else Ahead(sign)
        self._prefix = prefix
        self._client = Client(f"{url}{prefix}", body, login, self._ahead or (lambda *_: ""))
        self._processes = processes
        self._lists = lists
        self._numbers = itertools.count()
        self._hot = self._new(_HOT)
        self._run(16, [Exchange("PUT", path, _SIZE) for path in self._hot])
        if lists:
            self._run(16, [Exchange("PUT", f"/listed/{number:04}", 10) for number in range(_LISTED)])

    def _new(self, count: int) -> list[str]:
        return [f"/n/{next(self._numbers)}" for _ in range(count)]

    def _run(self, clients: int, exchanges: Sequence[Exchange]) -> Figures:
        if self._ahead is not None:
            self._ahead.prepare(iter({(each.method, f"{self._prefix}{each.path}") for each in exchanges}))
        before, began = self._processes.cpu_s(), time.perf_counter()
        done = self._client.run(clients, iter(exchanges))
        seconds, after = time.perf_counter() - began, self._processes.cpu_s()
        spent = {name: (after[name] - before[name]) / len(done) * 1e6 for name in after}
        times = sorted(each.seconds for each in done)
        return Figures(
            len(done) / seconds,
            spent[self._processes.front],
            sum(spent.values()),
            1000 * times[len(times) // 2],
            1000 * times[len(times) * 99 // 100],
        )

    def measure(self, operation: str, clients: int, count: int) -> Figures | None:
        """Make requests of a kind; None if this side cannot."""
        hot = itertools.islice(itertools.cycle(self._hot), count)
        if operation == "PUT":
            return self._run(clients, [Exchange("PUT", path, _SIZE) for path in self._new(count // 4)])
        if operation == "LIST":
            made = [Exchange("GET", "?list-type=2&prefix=listed%2F") for _ in range(count // 8)]
            return self._run(clients, made) if self._lists else None
        return self._run(clients, [Exchange(operation, path, _SIZE) for path in hot])


def make_users_and_everybody(path: Path) -> None:
    """Make a file of users, with a place where everybody may read and write."""
    make_users(path)
    told = yaml.safe_load(path.read_text())
    told["anonymous"] = {"grants": [{"path": "/open", "allow": ["read", "write"]}]}
    path.write_text(yaml.safe_dump(told))


def make_sides(folder: Path, port: int, body: Body, stack: ExitStack) -> dict[str, Side]:
    """Start the clusters, and return the ways to ask them, by their names."""
    login = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    sides = {}
    for number, etag in enumerate(("version", "md5")):
        where = folder / etag
        where.mkdir()
        users = where / "users.yaml"
        make_users_and_everybody(users)
        cluster = Cluster(where, port + 50 * number, users=users, etag=etag)
        stack.enter_context(running(cluster))
        told = cluster.told()
        key = make_key(users, told, USER)
        time.sleep(SEEN_S)
        processes, url = cluster.processes(), told["front"]["s3"]
        sign = Signer(S3(urlsplit(url).netloc, key.access_key, key.secret))
        # Keys imply the collections that they lie in: no other door needs to make them.
        owner = Client(url, body, sign=sign)
        for path in ("/open", "/own", "/open/webdav/n/0", "/own/webdav/n/0"):
            owner.once(Exchange("PUT", path, 0))
        if etag == "md5":
            sides["S3, signed, MD5"] = Side(url, "/own/s3", processes, body, sign=sign)
            continue
        sides["WebDAV"] = Side(cluster.url, "/open/webdav", processes, body)
        sides["S3"] = Side(url, "/open", processes, body, lists=True)
        sides["WebDAV, Basic"] = Side(cluster.url, "/own/webdav", processes, body, login=login)
        sides["S3, signed"] = Side(url, "/own", processes, body, sign=sign, lists=True)
    return sides


def main() -> None:
    """Measure by turns, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="[%(default)s]")
    parser.add_argument("--requests", type=int, default=4000, help="GETs in each round [%(default)s]")
    parser.add_argument("--clients", type=int, default=16, help="clients at once [%(default)s]")
    parser.add_argument("--only", default=",".join(OPERATIONS), help="which operations, with commas [%(default)s]")
    parser.add_argument("--port", type=int, default=27100, help="the first port [%(default)s]")
    parser.add_argument("--work", default="var/bench", help="the folder for the data [%(default)s]")
    parser.add_argument("--json", help="where to write the figures")
    given = parser.parse_args()
    end_well()
    body, found = Body(), []
    operations = given.only.split(",")
    with scratch(Path(given.work)) as folder, ExitStack() as stack:
        sides = make_sides(folder, given.port, body, stack)
        for number in range(given.rounds):
            for name in list(sides)[:: -1 if number % 2 else 1]:
                for operation in operations:
                    figures = sides[name].measure(operation, given.clients, given.requests)
                    if figures is not None:
                        found.append({"side": name, "operation": operation} | attrs.asdict(figures))
            say(f"round {number + 1} of {given.rounds}")
    for operation in operations:
        rows: list[list[Cell]] = []
        for name in sides:
            mine = [each for each in found if each["side"] == name and each["operation"] == operation]
            if mine:
                rows.append([name, *(statistics.median(each[key] for each in mine) for key in SHOWN)])
        print(table([operation, *SHOWN.values()], rows), end="\n\n")
    if given.json:
        write_json(given.json, rounds=found)


if __name__ == "__main__":
    main()
