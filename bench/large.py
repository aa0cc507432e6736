#!/usr/bin/env python3
"""Measures a cluster with few files and one with many, by turns: small files, heads of any file, and pages of S3.

    bench/large.py --files 1000000                                                  the catalog is a journal
    bench/large.py --files 10000000 --catalog postgresql://splitd@localhost/few postgresql://splitd@localhost/many

The files that are there already are made in the catalog, as `bench/scale.py` and `bench/database.py` make them: 1,000
in each collection, no parts on any node.  So nothing but heads and pages are read of them; what is read whole was
stored by the cluster.  The first figures are of the front's CPU time for each request, user and system; those of pages
are the times of single requests, one after the other, and of the front's CPU.  Databases must be empty; they are left
as they are.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import psycopg
from body import Body
from database import FOLDERS, IN_ONE, load
from load import Client, Exchange
from report import Cell, end_well, say, table, write_json
from s3 import PAGE, S3Workload
from scale_build import append, trees_of
from service import Cluster, running, scratch

_SIZE, _CLIENTS, _HEADS, _PAGES = 4096, 16, 4000, 60
_QUIET_S, _QUIET, _PATIENCE_S = 3, 0.1, 600
"""A cluster is at rest when it used less than this part of a core for so many seconds."""

_IN_TREE = IN_ONE * FOLDERS

KINDS = ("PUT", "GET", "HEAD of any")


class Side:
    """A cluster with some files.

    :param cluster: it is running.
    :param files: how many there are.
    """

    def __init__(self, cluster: Cluster, files: int, body: Body) -> None:
        self._files = files
        self._processes = cluster.processes()
        self._client = Client(cluster.url, body)
        self._s3 = S3Workload(cluster.s3(), self._processes, body, verify=False)
        self._chance = random.Random(1)
        self._number = 0

    def rest(self) -> None:
        """Wait until the cluster is at rest: it may have a journal to compact."""
        quiet, end = 0, time.monotonic() + _PATIENCE_S
        while quiet < _QUIET_S:
            before = sum(self._processes.cpu_s().values())
            time.sleep(1)
            quiet = quiet + 1 if sum(self._processes.cpu_s().values()) - before < _QUIET else 0
            if time.monotonic() > end:
                raise RuntimeError("the cluster does not come to rest")

    def measure(self, requests: int) -> dict[str, float]:
        """Measure all once; return CPU us, requests a second, and milliseconds, by their names."""
        first = self._number
        self._number += requests
        new = [f"/new-{number}" for number in range(first, self._number)]
        some = [f"/{self._key(self._chance.randrange(self._files))}" for _ in range(_HEADS)]
        told = {}
        for kind, method, paths in zip(KINDS, ("PUT", "GET", "HEAD"), (new, new, some), strict=True):
            size = None if method == "HEAD" else _SIZE
            told |= self._load(kind, [Exchange(method, path, size) for path in paths])
        return told | self._pages()

    def _key(self, number: int) -> str:
        tree, number = divmod(number, _IN_TREE)
        return f"tree{tree}/d{number // IN_ONE}/f{number % IN_ONE}"

    def _load(self, kind: str, exchanges: Sequence[Exchange]) -> dict[str, float]:
        began, before = time.monotonic(), self._processes.cpu_s()["front"]
        self._client.run(_CLIENTS, iter(exchanges))
        cpu_s, took = self._processes.cpu_s()["front"] - before, time.monotonic() - began
        return {f"{kind}, CPU us": cpu_s / len(exchanges) * 1e6, f"{kind}, a second": len(exchanges) / took}

    def _pages(self) -> dict[str, float]:
        """List pages of a bucket that has up to a million keys: of keys after any key, and of all common prefixes."""
        # The last keys have no full page after them.
        after = [self._key(self._chance.randrange(min(self._files, _IN_TREE) * 9 // 10)) for _ in range(_PAGES)]
        keys = [f"start-after={quote(key.partition('/')[2], safe='')}" for key in after]
        return self._lists(f"page of {PAGE:,} keys", keys) | self._lists("page of prefixes", ["delimiter=%2F"] * _PAGES)

    def _lists(self, kind: str, queries: Sequence[str]) -> dict[str, float]:
        took, before = list[float](), self._processes.cpu_s()["front"]
        for query in queries:
            named = "&".join(sorted(["list-type=2", f"max-keys={PAGE}", query]))
            began = time.perf_counter()
            text = self._s3.ask("GET", f"/tree0?{named}")
            took.append((time.perf_counter() - began) * 1e3)
            assert re.search(r"<KeyCount>[1-9]", text), text[:300]
        cpu_ms = (self._processes.cpu_s()["front"] - before) / len(queries) * 1e3
        return {f"{kind}, ms": statistics.median(took), f"{kind}, CPU ms": cpu_ms}


def filled(cluster: Cluster, files: int, catalog: str) -> None:
    """Give a cluster that is stopped, but was running once, this many files.

    It was running, so that it knows the disks of its nodes: else it would look there for the parts of all files.
    """
    sizes = [min(_IN_TREE, files - start) for start in range(0, files, _IN_TREE)]
    if not catalog:
        append(cluster.folder / "front" / "data" / "journal", trees_of(sizes))
        return
    for tree, size in enumerate(sizes):
        load(catalog, tree, size)
        say(f"{tree * _IN_TREE + size:,} files")
    with psycopg.connect(catalog, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")


def sides_of(given: argparse.Namespace, folder: Path, stack: ExitStack) -> Iterator[Side]:
    """Start the clusters, the one with few files first."""
    body = Body()
    for number, (files, catalog) in enumerate(zip((given.few, given.files), given.catalog, strict=True)):
        (folder / str(files)).mkdir()
        more = {"sweep_interval_s": "0"}  # it would look for the parts of all files
        cluster = Cluster(folder / str(files), given.port + 50 * number, cached=False, catalog=catalog, more=more)
        with running(cluster):
            Side(cluster, files, body).rest()
        filled(cluster, files, catalog)
        stack.enter_context(running(cluster))
        side = Side(cluster, files, body)
        side.rest()
        say(f"{files:,} files are there")
        yield side


def main() -> None:
    """Measure by turns, and print the medians and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalog", nargs=2, default=["", ""], help="the addresses of two empty databases or schemas")
    parser.add_argument("--few", type=int, default=10_000, help="how many files the first one gets [%(default)s]")
    parser.add_argument("--files", type=int, default=1_000_000, help="how many the second one gets [%(default)s]")
    parser.add_argument("--rounds", type=int, default=7, help="[%(default)s]")
    parser.add_argument("--requests", type=int, default=1500, help="PUTs and GETs in each round [%(default)s]")
    parser.add_argument("--port", type=int, default=27100, help="the first port [%(default)s]")
    parser.add_argument("--work", default="var/bench", help="the folder for the data [%(default)s]")
    parser.add_argument("--json", help="where to write the figures")
    given = parser.parse_args()
    end_well()
    rounds: list[tuple[dict[str, float], dict[str, float]]] = []
    with scratch(Path(given.work)) as folder, ExitStack() as stack:
        few, many = sides_of(given, folder, stack)
        for number in range(given.rounds + 1):
            if number % 2:
                one, two = few.measure(given.requests), many.measure(given.requests)
            else:
                two, one = many.measure(given.requests), few.measure(given.requests)
            if number:  # what is measured first is not counted
                rounds.append((one, two))
                say(f"round {number} of {given.rounds}")
    rows: list[list[Cell]] = []
    for name in rounds[0][0]:
        one_, two_ = (statistics.median(each[side][name] for each in rounds) for side in (0, 1))
        rows.append([name, one_, two_, two_ / one_])
    print(table(["", f"{given.few:,} files", f"{given.files:,} files", "ratio"], rows))
    if given.json:
        write_json(given.json, rounds=[{"few": one, "many": two} for one, two in rounds])


if __name__ == "__main__":
    main()
