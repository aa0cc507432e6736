#!/usr/bin/env python3
"""Measures one catalog on one journal, in its own process: `scale_probe.py FOLDER SECONDS` prints the results as
JSON.  With 0 seconds it only starts.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall, deferLater, react
from twisted.python.threadpool import ThreadPool

from splitd.catalog.journal.file import FileJournal
from splitd.catalog.journalled import JournalledCatalog
from splitd.errors import NotFound
from splitd.interfaces.uploads import Commit, Start
from splitd.model.conditions import Condition
from splitd.model.manifest import Manifest
from splitd.model.uploads import RANDOM_BYTES, upload_id
from storaged.parts.format import PartId
from storaged.system.allocator import keep_for_ever
from storaged.system.clocks import WallClock
from storaged.system.filesystem import OSFilesystem

IN_FLIGHT = 64
PAGE = 1000
ASKED = 1000
PAGES = 200
NODES = tuple(f"n{number}" for number in range(1, 7))


def resident_mib() -> float:
    """Return the memory that this process holds, in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


class Gaps:
    """Measures how long the reactor does not turn, in CPU time of its thread, which other programs do not affect."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._last = 0.0
        self._longest = 0.0

    async def longest(self, work: Any) -> float:
        """Return the longest time between two turns of the reactor while some work is done, in milliseconds."""
        self._last, self._longest = time.thread_time(), 0.0
        watching = LoopingCall(self._tick)
        watching.clock = self._reactor
        watching.start(0).addErrback(lambda failure: failure.raiseException())
        try:
            await work
            await deferLater(self._reactor, 0)
        finally:
            watching.stop()
        return 1000 * self._longest

    def _tick(self) -> None:
        now = time.thread_time()
        self._longest = max(self._longest, now - self._last)
        self._last = now


class Probe:
    """Measures the operations of a catalog."""

    def __init__(self, catalog: JournalledCatalog) -> None:
        self._catalog = catalog
        self._commits = 0

    async def listings(self, path: str) -> dict[str, float]:
        """Measure the milliseconds for the first page of a collection, and for one anywhere in it."""
        try:
            first = await self._page(path, "")
        except NotFound:
            return {}
        places = random.Random(1)
        total = (await self._catalog.statistics()).files
        times = [await self._page(path, f"photo-{places.randrange(total):08}") for _ in range(PAGES)]
        return {"first_page_ms": first, "page_p50_ms": statistics.median(times)}

    async def _page(self, path: str, after: str) -> float:
        began = time.perf_counter()
        await self._catalog.list_members(path, after, PAGE)
        return 1000 * (time.perf_counter() - began)

    async def commits(self, seconds: float) -> dict[str, float]:
        """Measure how many files are committed per second with `IN_FLIGHT` commits at once, and the CPU time of
        each.
        """
        await self._catalog.make_collection("/new")
        began, cpu = time.perf_counter(), time.process_time()
        await gatherResults([self._commit_until(began + seconds) for _ in range(IN_FLIGHT)], consumeErrors=True)
        return {
            "commits_per_s": self._commits / (time.perf_counter() - began),
            "commit_cpu_us": 1e6 * (time.process_time() - cpu) / self._commits,
        }

    async def changes(self, tree: str, reactor: Any) -> dict[str, float]:
        """Measure for how many milliseconds changes of a large tree, and a sweep's questions, keep the reactor busy."""
        gaps = Gaps(reactor)
        told = {"copy_gap_ms": await gaps.longest(self._copy(tree, "/copied"))}
        told["move_gap_ms"] = await gaps.longest(self._move(tree, "/copied"))
        parts = [PartId(upload_id(number, bytes(RANDOM_BYTES)), 0) for number in range(ASKED)]
        told["orphans_gap_ms"] = await gaps.longest(self._catalog.ledger.orphans(NODES[0], parts))
        told["delete_gap_ms"] = await gaps.longest(self._delete("/copied"))
        told["idle_gap_ms"] = await gaps.longest(deferLater(reactor, 1.0))
        return told

    async def _copy(self, source: str, target: str) -> None:
        await self._catalog.namespace.copy(source, target, Condition(), deep=True, overwrite=False)

    async def _move(self, source: str, target: str) -> None:
        await self._catalog.namespace.move(source, target, Condition(), overwrite=True)
        await self._catalog.doomed_parts.doomed_nodes()

    async def _delete(self, path: str) -> None:
        await self._catalog.delete(path, Condition())
        await self._catalog.doomed_parts.doomed_nodes()

    def _commit_until(self, end: float) -> Deferred[None]:
        async def commit() -> None:
            while time.perf_counter() < end:
                self._commits += 1
                now_ms = int(time.time() * 1000)
                upload = upload_id(now_ms, os.urandom(RANDOM_BYTES))
                path = f"/new/{upload}"
                await self._catalog.ledger.begin_all([Start(upload, path, NODES)])
                manifest = Manifest(upload, 4096, now_ms, 6, 0, 256 * 1024, NODES)
                [committed] = self._catalog.ledger.commit_all([Commit(path, manifest, Condition())])
                await committed

        return Deferred.fromCoroutine(commit())


async def probe(reactor: Any, folder: str, seconds: str) -> None:
    """Start a catalog on the journal in a folder, measure it, and print the results."""
    pool = ThreadPool(1, 4)
    pool.start()
    try:
        journal = FileJournal(folder, OSFilesystem(), pool, reactor)
        catalog = JournalledCatalog(journal, WallClock(), reactor, front="front")
        before, began, cpu = resident_mib(), time.perf_counter(), time.process_time()
        await catalog.start()
        told = {"replay_s": time.perf_counter() - began, "resident_mib": resident_mib()}
        told["replay_cpu_s"] = time.process_time() - cpu
        told["grown_mib"] = told["resident_mib"] - before
        keep_for_ever()
        told["files"] = (await catalog.statistics()).files
        if float(seconds):
            use = Probe(catalog)
            told |= await use.listings("/big")
            told |= await use.commits(float(seconds))
            if told["files"]:
                told |= await use.changes("/big", reactor)
        catalog.stop()
        await journal.close()
        print(json.dumps(told))
    finally:
        pool.stop()


if __name__ == "__main__":
    react(lambda reactor, *argv: Deferred.fromCoroutine(probe(reactor, *argv)), sys.argv[1:])
