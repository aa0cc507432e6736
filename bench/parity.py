#!/usr/bin/env python3
"""Measures what parity costs, and what slow or missing storage servers cost, in a cluster of eight, by turns.

    bench/parity.py                      large files: 6+0, 6+2, and 6+2 while two storage servers are away
    bench/parity.py --only stopped,slow  latencies while one storage server is stopped (SIGSTOP), or runs a fifth of the
                                         time, with hedging and without

It starts its own clusters; two storage servers are taken away by giving the front wrong addresses for them.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import signal
import statistics
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
from body import MIB, Body
from load import Client, Exchange
from report import Cell, end_well, say, table, write_json
from service import Cluster, running, scratch
from workload import Row, Workload

SECTIONS = ("large", "stopped", "slow")
AWAY = {"n2": "http://127.0.0.1:9", "n5": "http://127.0.0.1:11"}
"""Where nothing listens."""

SLOW = "n3"
WITH = {"hedging": {}, "none": {"hedge_share": "0", "silent_after_s": "3600"}}
_PERIOD_S, _ON = 0.25, 0.2


class Eight(Cluster):
    """A cluster of eight storage servers at 6+2.

    :param settings: further settings of the front.
    """

    def __init__(self, folder: Path, port: int, **settings: str) -> None:
        super().__init__(folder, port, cached=False, more={"layout": "6+2", **settings})

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Take two storage servers away until the end of the block."""
        registry = Path(self.told()["registry"])
        before = registry.read_text()
        text = before
        for node in self.told()["nodes"]:
            if node["id"] in AWAY:
                text = text.replace(node["url"], AWAY[node["id"]])
        registry.write_text(text)
        self.operate("POST", "/reload")
        try:
            yield
        finally:
            registry.write_text(before)
            self.operate("POST", "/reload")

    def operate(self, method: str, path: str) -> bytes:
        """Make a request of an operator."""
        asked = urllib.request.Request(self.told()["front"]["admin"] + path, method=method)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return bytes(answer.read())

    def pid(self, node: str) -> int:
        """Return the process id of a storage server."""
        return int(next(each["pid"] for each in self.told()["nodes"] if each["id"] == node))


def large(folder: Path, given: argparse.Namespace, body: Body) -> list[Row]:
    """One large file: written and read without parity, with it, and read while two storage servers are away."""
    cluster, size = Eight(folder, given.port), given.large * MIB
    rows: list[Row] = []
    with running(cluster):
        client = Client(cluster.url, body)
        client.once(Exchange("MKCOL", "/plain"))
        cluster.operate("PUT", "/layout?path=/plain&layout=6%2B0")
        work = {
            "6+0": Workload(f"{cluster.url}/plain", cluster.processes(), body, verify=False),
            "6+2": Workload(cluster.url, cluster.processes(), body, verify=False),
        }
        for number in range(given.rounds + 1):
            say(f"round {number}")
            for layout, each in work.items():
                each.rows = []
                (path,) = each.large(size, 1)
                rows += [row | {"what": f"{row['what']}, {layout}", "round": number} for row in each.rows]
                if layout == "6+2":
                    with cluster.away():
                        # The first bytes of each parity part come from new connections.
                        each.client.once(Exchange("GET", path, 64 * MIB, start=0))
                        each.rows = []
                        each.large_get([path], size)
                        rows += [row | {"what": f"{row['what']}, 6+2, two away", "round": number} for row in each.rows]
                each.client.once(Exchange("DELETE", path))
    return [row for row in rows if row["round"]]  # the first round touches the memory for the first time


def tail(folder: Path, given: argparse.Namespace, body: Body, harm: Callable[[int], Any], what: str) -> list[Row]:
    """Latencies of small files and of ranges of a large one while a storage server is harmed."""
    rows: list[Row] = []
    for number, (name, settings) in itertools.product(range(given.rounds), WITH.items()):
        say(f"{what}, {name}, round {number}")
        cluster = Eight(folder / f"{what}-{name}-{number}", given.port, **settings)
        cluster.folder.parent.mkdir()
        with running(cluster):
            work = Workload(cluster.url, cluster.processes(), body, verify=False)
            small, (big,) = work.fill(16 * 1024, 300), work.fill(256 * MIB, 1)
            kinds: dict[str, Iterator[Exchange]] = {
                "16 KiB": itertools.cycle(Exchange("GET", path, 16 * 1024) for path in small),
                "1 MiB of 256 MiB": itertools.cycle(
                    Exchange("GET", big, MIB, start=start) for start in range(0, 256 * MIB - MIB, 3 * MIB + 4096)
                ),
            }
            for harmed in (False, True):
                with harm(cluster.pid(SLOW)) if harmed else contextlib.nullcontext():
                    for kind, exchanges in kinds.items():
                        say(f"{'one ' + what if harmed else 'all well'}: {kind}")
                        row = _latencies(work.client, exchanges, given.seconds)
                        name_of_row = f"GET {kind}, {f'one {what}' if harmed else 'all well'}, {name}"
                        rows.append(row | {"what": name_of_row, "round": number})
    return rows


def _latencies(client: Client, exchanges: Iterator[Exchange], seconds: float) -> Row:
    end = time.perf_counter() + seconds
    timed = (attrs.evolve(each) for each in exchanges)
    done = client.run(8, itertools.takewhile(lambda _: time.perf_counter() < end, timed))
    times = sorted(each.seconds for each in done)
    return {
        "requests": len(times),
        **{f"p{share}_ms": 1000 * times[min(len(times) - 1, int(share * len(times) / 100))] for share in (50, 95, 99)},
        "most_ms": 1000 * times[-1],
    }


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a process until the end of the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def slow(pid: int) -> Iterator[None]:
    """Let a process run only a fifth of the time until the end of the block."""
    ended = threading.Event()

    def hinder() -> None:
        while not ended.is_set():
            os.kill(pid, signal.SIGSTOP)
            time.sleep(_PERIOD_S * (1 - _ON))
            os.kill(pid, signal.SIGCONT)
            time.sleep(_PERIOD_S * _ON)

    thread = threading.Thread(target=hinder)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def medians(rows: list[Row], keys: list[str]) -> list[list[Cell]]:
    """Return the medians of the rounds, one line for each name, in the order in which the names came."""
    names = list(dict.fromkeys(row["what"] for row in rows))
    return [
        [name, *(statistics.median(row[key] for row in rows if row["what"] == name) for key in keys)] for name in names
    ]


def main() -> None:
    """Run the requested sections."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="large", help=f"sections, with commas between [%(default)s]; {SECTIONS}")
    parser.add_argument("--rounds", type=int, default=3, help="[%(default)s]")
    parser.add_argument("--large", type=int, default=1024, help="MiB of the large file [%(default)s]")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each latency is measured [%(default)s]")
    parser.add_argument("--port", type=int, default=26800, help="the first port [%(default)s]")
    parser.add_argument("--work", default="var/bench", help="the folder for the data [%(default)s]")
    parser.add_argument("--json", help="where to write the figures")
    given = parser.parse_args()
    end_well()
    body, rows = Body(), []
    with scratch(Path(given.work)) as folder:
        for name in given.only.split(","):
            if name == "large":
                found = large(folder, given, body)
                for row in found:
                    row["front_cpu_s_per_gib"] = row["cpu_s_per_gib"]["front"]
                    row["all_cpu_s_per_gib"] = sum(row["cpu_s_per_gib"].values())
                keys = ["mb_per_s", "front_cpu_s_per_gib", "all_cpu_s_per_gib", "other_cpu_s"]
                print(table(["", "MB/s", "CPU-s/GiB, front", "all daemons", "others' CPU-s"], medians(found, keys)))
            else:
                found = tail(folder, given, body, {"stopped": stopped, "slow": slow}[name], name)
                keys = ["requests", "p50_ms", "p95_ms", "p99_ms", "most_ms"]
                print(table(["", "requests", "p50 ms", "p95 ms", "p99 ms", "slowest ms"], medians(found, keys)))
            rows += found
    if given.json:
        write_json(given.json, rows=rows)


if __name__ == "__main__":
    main()
