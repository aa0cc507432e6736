"""Runs the contract with every kind of part store.

To add one: write a function here that makes it, and add its name to `PROVIDERS` (and to `SLOW_PROVIDERS`, if it can be
slow).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.task import Clock
from twisted.python.threadpool import ThreadPool

from storaged.parts.findings import Findings
from storaged.parts.memory import MemoryPartStore
from tests.clocks import wall_of
from tests.contract.disks import RESERVE, Identity, started_disk
from tests.contract.filesystems import HeldFilesystem, SmallFilesystem
from tests.contract.nodes import started_node
from tests.contract.part_store_checks import *  # noqa: F403 - its tests are run here
from tests.contract.part_store_reading import *  # noqa: F403 - likewise
from tests.contract.part_store_small import *  # noqa: F403 - likewise
from tests.contract.part_store_writing import *  # noqa: F403 - likewise
from tests.contract.parts import Provider, SlowProvider

CAPACITY = 4 * 1024 * 1024


def spoil(folder: Path, part_id: str, offset: int) -> None:
    """Flip a bit of a stored byte of a part on a disk, packed or not."""
    for path in (folder / "parts" / part_id[:2] / part_id, *(folder / "packs").iterdir()):
        if path.is_file():
            data = bytearray(path.read_bytes())
            start = data.find(b"SPLITPRT")
            if start >= 0:
                data[start + offset] ^= 0x10
                path.write_bytes(data)
                return
    raise AssertionError(f"{part_id} is not in {folder}")


def note_rot(findings: Findings, part_id: str, reason: str) -> None:
    findings.note(part_id, reason, 5)


@asynccontextmanager
async def disk(folder: Path, pool: ThreadPool) -> AsyncIterator[Provider]:
    clock = Clock()
    async with started_disk(folder, SmallFilesystem(CAPACITY + RESERVE), pool, clock) as store:
        yield Provider(store, CAPACITY, clock, partial(spoil, folder), partial(note_rot, store.findings))


@asynccontextmanager
async def memory(folder: Path, pool: ThreadPool) -> AsyncIterator[Provider]:
    clock = Clock()
    store = MemoryPartStore(capacity=CAPACITY, identity=Identity(), clock=clock, wall=wall_of(clock))
    yield Provider(store, CAPACITY, clock, store.spoil, partial(note_rot, store.findings))


@asynccontextmanager
async def remote(folder: Path, pool: ThreadPool) -> AsyncIterator[Provider]:
    clock = Clock()
    findings = Findings()
    filesystem = SmallFilesystem(CAPACITY + RESERVE)
    async with started_node(folder, filesystem, pool, clock, findings=findings) as store:
        yield Provider(store, CAPACITY, clock, partial(spoil, folder), partial(note_rot, findings))


@asynccontextmanager
async def slow_disk(folder: Path, pool: ThreadPool) -> AsyncIterator[SlowProvider]:
    filesystem = HeldFilesystem("write")
    async with started_disk(folder, filesystem, pool, Clock()) as store:
        yield SlowProvider(store, filesystem.let_go.set)
        filesystem.let_go.set()  # a test that failed early must not block a thread


@asynccontextmanager
async def slow_remote(folder: Path, pool: ThreadPool) -> AsyncIterator[SlowProvider]:
    filesystem = HeldFilesystem("write")
    async with started_node(folder, filesystem, pool, Clock()) as store:
        yield SlowProvider(store, filesystem.let_go.set)
        filesystem.let_go.set()


PROVIDERS = {"disk": disk, "memory": memory, "remote": remote}
SLOW_PROVIDERS = {"disk": slow_disk, "remote": slow_remote}


@pytest_twisted.async_yield_fixture(params=PROVIDERS)
async def provider(request: pytest.FixtureRequest, tmp_path: Path, pool: ThreadPool) -> AsyncIterator[Provider]:
    async with PROVIDERS[request.param](tmp_path, pool) as made:
        yield made


@pytest_twisted.async_yield_fixture(params=SLOW_PROVIDERS)
async def slow_provider(
    request: pytest.FixtureRequest, tmp_path: Path, pool: ThreadPool
) -> AsyncIterator[SlowProvider]:
    async with SLOW_PROVIDERS[request.param](tmp_path, pool) as made:
        yield made
