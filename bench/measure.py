#!/usr/bin/env python3
"""Measures a cluster of splitd on this machine: speed, CPU and memory by daemon.

    bench/measure.py                                  starts its own cluster
    bench/measure.py --only small,cold --seconds 5    some sections
    bench/measure.py --cluster var/cluster.json       one that `splitctl up` runs (all but `cold`)
    bench/measure.py --only range --range-size 10240

Sections: limits (what the disk can do), large (1 file), parallel (4 files), streams (64 files), small (files of 4 KiB
at several numbers of clients, of 64 KiB and 1 MiB at 16), first-byte, range (1 MiB of a large file), cold (small files
and first bytes, with a front that keeps none in memory).
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import random
import secrets
from pathlib import Path

from body import MIB, Body
from limits import disk_limits
from load import Client, Exchange
from processes import Processes
from report import Cell, end_well, say, table, write_json
from service import Cluster, processes_of, running, scratch
from workload import KIB, Row, Workload

SECTIONS = ("limits", "large", "parallel", "streams", "small", "first-byte", "range", "cold")


class Sections:
    """The sections, one method each.

    :param note: added to the names of the rows that other runs have too.
    """

    def __init__(self, url: str, processes: Processes, body: Body, given: argparse.Namespace, note: str = "") -> None:
        self._given = given
        self._note = note
        self.work = Workload(url, processes, body, verify=True)

    def large(self) -> None:
        """One large file."""
        self.work.large(self._given.large * MIB, 1)

    def parallel(self) -> None:
        """The same bytes in four files at once."""
        self.work.large(max(1, self._given.large // 4) * MIB, 4)

    def streams(self) -> None:
        """Many files at once, to see whether each gets its share."""
        self.work.large(self._given.stream * MIB, self._given.streams)

    def small(self) -> None:
        """Small files, written and read."""
        seconds = self._given.seconds
        sizes = [(4 * KIB, clients) for clients in self._given.clients] + [(64 * KIB, 16), (MIB, 16)]
        for size, clients in sizes:
            paths = self.work.small_put(size, clients, seconds)
            self.work.small_get(paths, size, clients, seconds, self._note)

    def cold(self) -> None:
        """Small files, read while the front has none of them in memory."""
        for size in (4 * KIB, 64 * KIB):
            paths = self.work.fill(size, 1000 if size == 4 * KIB else 128)
            for clients in self._given.clients if size == 4 * KIB else [16]:
                self.work.small_get(paths, size, clients, self._given.seconds, self._note)
        self.first_byte()

    def first_byte(self) -> None:
        """The time to the first byte of a large file, and of a small one."""
        self.work.first_bytes(min(256, self._given.large) * MIB, self._note)

    def range(self) -> None:
        """A piece from the middle of a large file, compared with a whole file of that size."""
        size = self._given.range_size * MIB
        (large,) = self.work.fill(size, 1)
        whole = itertools.cycle(self.work.fill(MIB, 20))
        places = random.Random(1)

        def piece() -> Exchange:
            return Exchange("GET", large, MIB, start=size // 2 + places.randrange(-size // 4, size // 4))

        for _ in range(3):
            self.work.client.once(Exchange("GET", large, MIB, start=piece().start, check=True))
        kinds = {f"GET 1 MiB of {self._given.range_size} MiB": piece, "GET 1 MiB file": lambda: _whole(next(whole))}
        self.work.in_turn(kinds, 40, first_byte=False)


def _whole(path: str) -> Exchange:
    return Exchange("GET", path, MIB)


def measure(given: argparse.Namespace) -> tuple[list[Row], dict[str, float]]:
    """Run all requested sections.

    :return: the rows, and the limits of the disk.
    """
    body, limits = Body(), {}
    rows: list[Row] = []
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(scratch(Path(given.work)))
        if "limits" in given.only:
            limits = disk_limits(folder, min(given.seconds, 2.0))
        if warm := [name for name in SECTIONS[1:-1] if name in given.only]:
            if given.cluster:
                told = Path(given.cluster)
                rows += run(json.loads(told.read_text())["front"]["url"], processes_of(told), warm, body, given)
            else:
                cluster = Cluster(folder, given.port)
                with running(cluster):
                    rows += run(cluster.url, cluster.processes(), warm, body, given)
        if "cold" in given.only and not given.cluster:
            cluster = Cluster(folder, given.port, cached=False)
            with running(cluster):
                rows += run(cluster.url, cluster.processes(), ["cold"], body, given, ", not kept")
    return rows, limits


def run(
    url: str, processes: Processes, names: list[str], body: Body, given: argparse.Namespace, note: str = ""
) -> list[Row]:
    """Run some sections, in their own collection."""
    folder = f"/bench-{secrets.token_hex(4)}"
    root = Client(url, body)
    root.once(Exchange("MKCOL", folder))
    sections = Sections(url + folder, processes, body, given, note)
    try:
        for name in names:
            say(f"{name} ...")
            getattr(sections, name.replace("-", "_"))()
    finally:
        if given.cluster:  # the folder of a cluster that was started here is removed anyway
            root.once(Exchange("DELETE", folder))
    return sections.work.rows


def show(rows: list[Row]) -> str:
    """Return the rows as a table."""
    head = ["", "MB/s", "on disk", "files/s", "p50 ms", "p99 ms", "slowest / fastest",
            "CPU front", "CPU nodes", "MiB front", "MiB node", "others' CPU"]  # fmt: skip
    lines: list[list[Cell]] = []
    for row in rows:
        keys = ("mb_per_s", "mb_per_s_on_disk", "files_per_s", "p50_ms", "p99_ms", "slowest_to_fastest")
        line: list[Cell] = [row["what"], *(row.get(key) for key in keys)]
        if "cpu_s" in row:
            cpu = row.get("cpu_s_per_gib") or row["cpu_ms_per_file"]
            peaks = list(row["peak_mib"].values())
            line += [cpu["front"], sum(cpu.values()) - cpu["front"], peaks[0], max(peaks[1:])]
            line.append(f"{row['other_cpu_s'] / row['seconds']:.0%}")
        lines.append(line + [None] * (len(head) - len(line)))
    told = "CPU: seconds per GiB of large files, milliseconds per small file.  Others' CPU: 100% is one core."
    return f"{table(head, lines)}\n{told}"


def main() -> None:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, with commas")
    parser.add_argument("--cluster", help="cluster.json of a running cluster; without it one is started")
    parser.add_argument("--work", default="var/bench", help="where folders for the runs are made [%(default)s]")
    parser.add_argument("--port", type=int, default=18500, help="the first port of a cluster started here")
    parser.add_argument("--large", type=int, default=1024, help="MiB of the large file [%(default)s]")
    parser.add_argument("--streams", type=int, default=64, help="how many streams [%(default)s]")
    parser.add_argument("--stream", type=int, default=32, help="MiB of each [%(default)s]")
    parser.add_argument("--range-size", type=int, default=2048, help="MiB of the file of the range [%(default)s]")
    parser.add_argument("--clients", default="1,16,64", help="how many clients with small files [%(default)s]")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each of these goes on [%(default)s]")
    parser.add_argument("--json", help="where to write the figures")
    given = parser.parse_args()
    given.only = given.only.split(",")
    given.clients = [int(clients) for clients in given.clients.split(",")]
    if unknown := set(given.only) - set(SECTIONS):
        parser.error(f"no such sections: {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    end_well()
    rows, limits = measure(given)
    if limits:
        print(table(["the disk's own limits", "1/s"], list(limits.items())), end="\n\n")
    if rows:
        print(show(rows))
    if given.json:
        write_json(given.json, limits=limits, rows=rows)


if __name__ == "__main__":
    main()
