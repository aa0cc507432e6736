"""A store whose scrub is run by a clock, and ways to damage its parts."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from twisted.internet.task import Clock
from twisted.python.threadpool import ThreadPool

from storaged.parts.format import SMALL_PART
from storaged.store import DiskPartStore
from storaged.system.filesystem import OSFilesystem
from storaged.system.interfaces import IFile, IFilesystem
from tests.cluster.waiting import becomes
from tests.contract.disks import started_disk
from tests.contract.filesystems import PassingFile, PassingFilesystem
from tests.contract.parts import encode, payload, put, put_small

PERIOD_S = 1000.0
LARGE = SMALL_PART + 1
LARGE_IDS = [f"{number:02x}" + "0" * 30 + ".0" for number in (0, 1, 7, 255)]
SMALL_IDS = [f"{number:02x}" + "1" * 30 + ".3" for number in range(0, 256, 32)]


class CountingFilesystem(PassingFilesystem):
    """Counts the bytes that are read of parts, and fails to read chosen ones.

    :ivar fails: the error number with which bytes of a file whose path has this text cannot be read, by that text.
    :ivar read: how often each file was read from its beginning.
    :ivar kept: bytes that were read and may stay in the page cache.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fails: dict[str, int] = {}
        self.read: dict[str, int] = {}
        self.kept = 0

    def open(self, path: str, mode: str) -> IFile:
        return _CountingFile(super().open(path, mode), path, self)


class _CountingFile(PassingFile):
    def __init__(self, file: IFile, path: str, filesystem: CountingFilesystem) -> None:
        super().__init__(file)
        self._path = path
        self._filesystem = filesystem

    def read_at(self, offset: int, count: int) -> bytes:
        for text, number in self._filesystem.fails.items():
            if text in self._path:
                raise OSError(number, os.strerror(number))
        data = super().read_at(offset, count)
        name = Path(self._path).name
        self._filesystem.read[name] = self._filesystem.read.get(name, 0) + (offset == 0)
        self._filesystem.kept += len(data)
        return data

    def uncache(self, offset: int, count: int) -> None:
        super().uncache(offset, count)
        self._filesystem.kept -= count


@asynccontextmanager
async def scrubbed(
    folder: Path, pool: ThreadPool, clock: Clock, filesystem: IFilesystem | None = None, period_s: float = PERIOD_S
) -> AsyncIterator[DiskPartStore]:
    """Start a store and its scrub."""
    filesystem = filesystem or OSFilesystem()
    async with started_disk(folder, filesystem, pool, clock, scrub_s=period_s) as store:
        store.scrubber.start()
        yield store
        await store.scrubber.stop()


async def pass_time(clock: Clock, reached: Callable[[], object], step_s: float = 1.0) -> None:
    """Let time pass, whenever the scrub waits for it, until a condition holds."""

    async def is_reached() -> object:
        if clock.getDelayedCalls():
            clock.advance(step_s)
        return reached()

    await becomes(is_reached, str(reached), pause_s=0)


async def whole_pass(store: DiskPartStore, clock: Clock) -> None:
    """Let the scrub read all parts once from now on."""

    def ended() -> int:
        return store.scrubber.report().ended_ms

    for _ in range(2):  # the pass that has begun may have passed some parts already
        before = ended()
        await pass_time(clock, lambda: ended() != before, 5.0)  # noqa: B023 - used at once


async def fill(store: DiskPartStore) -> None:
    for part_id in LARGE_IDS:
        await put(store, part_id, [encode(part_id, payload(LARGE))])
    for part_id in SMALL_IDS:
        await put_small(store, part_id, encode(part_id, payload(2500)))


async def rotten(store: DiskPartStore) -> list[str]:
    return [part.part_id for part in await store.rotten("", 100)]


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def file_of(folder: Path, part_id: str) -> Path:
    return folder / "parts" / part_id[:2] / part_id


def lose_index(folder: Path) -> None:
    for path in folder.glob("packs.sqlite*"):
        path.unlink()


def pack_in(folder: Path) -> Path:
    [pack] = (folder / "packs").iterdir()
    return pack
