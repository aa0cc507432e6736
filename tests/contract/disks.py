"""Disk part stores for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
from twisted.internet.task import Clock
from twisted.python.threadpool import ThreadPool

from storaged.packs.packs import SEAL_SIZE
from storaged.parts.findings import Findings
from storaged.store import DiskPartStore
from storaged.system.clocks import WallClock
from storaged.system.interfaces import IFilesystem
from tests.clocks import wall_of
from tests.contract.parts import CLUSTER, NODE_ID

RESERVE = 1024 * 1024


@attrs.define
class Identity:
    node_id: str = NODE_ID
    cluster: str = CLUSTER
    disk: str = "d1"


@asynccontextmanager
async def started_disk(
    folder: Path,
    filesystem: IFilesystem,
    pool: ThreadPool,
    clock: Clock,
    pack_size: int = SEAL_SIZE,
    wall: WallClock | None = None,
    findings: Findings | None = None,
    scrub_s: float = 0,
) -> AsyncIterator[DiskPartStore]:
    from twisted.internet import reactor

    store = DiskPartStore(
        str(folder),
        filesystem,
        pool,
        reactor,
        reserve=RESERVE,
        clock=clock,
        wall=wall or wall_of(clock),
        identity=Identity(),
        pack_size=pack_size,
        findings=findings,
        scrub_s=scrub_s,
    )
    await store.start()
    yield store
    await store.stop()


def files_in(folder: Path) -> list[str]:
    """Return the files of parts that are not packed, complete or half-written."""
    return sorted(
        str(path.relative_to(folder))
        for name in ("parts", "tmp")
        for path in (folder / name).rglob("*")
        if path.is_file()
    )
