"""A node's parts through power cuts: acknowledged parts are there, complete; removed parts do not come back."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.task import Clock
from twisted.python.threadpool import ThreadPool

from storaged.packs.packs import NewPart, Removal
from storaged.parts.errors import StoragedError
from storaged.parts.format import encode_part, parse_part_id
from storaged.store import DiskPartStore
from tests.clocks import wall_of
from tests.contract.disks import Identity
from tests.crash.cuts import Cuts
from tests.crash.operations import Event, Image, Named
from tests.crash.oracle import Begun, Ended, allowed
from tests.crash.power import PowerDisk, visible
from tests.crash.recovery import recovered_parts
from tests.tally import TALLY, shared

PACK_SIZE = 4000
ASIDE = "aside: "


def part_id(number: int) -> str:
    return f"{number % 3:02x}{number:030x}.{number % 6}"


def stored(number: int, size: int = 300) -> bytes:
    return encode_part(parse_part_id(part_id(number)), 256, Random(number).randbytes(size))


class Life:
    """Uses a part store on a disk, and records its answers.

    :param folder: the folder of the packs' index; its name is also that of the store on the disk.
    """

    def __init__(self, disk: PowerDisk, folder: Path, pool: ThreadPool) -> None:
        from twisted.internet import reactor

        folder.mkdir()
        self.disk = disk
        self.clock = Clock()
        self.store = DiskPartStore(
            str(folder),
            disk,
            pool,
            reactor,
            reserve=0,
            clock=self.clock,
            wall=wall_of(self.clock),
            identity=Identity(),
            pack_size=PACK_SIZE,
        )

    async def run(self) -> None:
        """Make all changes.  Each step that fails is tried once more, and must then succeed, because no disk here fails
        twice.
        """
        try:
            await self.store.start()
        except StoragedError:
            return  # the daemon ends, and is restarted
        try:
            for number in range(0, 24, 4):
                await self.put_small(range(number, number + 4))
                if number >= 8:
                    await self.remove(range(number - 8, number - 5))
            for number in range(30, 36):
                await self.put_large(number)
            await self.abort(36)
            await self.remove([30, 31])
            for number in (32, 19):
                await self.put_aside(number)
            await self.remove([99])
            for number in range(40, 52, 4):
                await self.put_small(range(number, number + 4))
        finally:
            with suppress(StoragedError):
                await self.store.stop()

    async def put_small(self, numbers: Iterable[int]) -> None:
        parts = {part_id(number): stored(number) for number in numbers}
        await self._changes(dict(parts), lambda: self.store.put_all(list(parts.items())))

    async def remove(self, numbers: Iterable[int]) -> None:
        ids = [part_id(number) for number in numbers]
        await self._changes(dict.fromkeys(ids), lambda: self.store.remove_all(ids))

    async def put_large(self, number: int) -> None:
        async def put() -> list[Any]:
            writer = await self.store.create(part_id(number), None)
            data = stored(number, 2000)
            for start in range(0, len(data), 700):
                writer.write(data[start : start + 700])
            return [await writer.finish()]

        await self._changes({part_id(number): stored(number, 2000)}, put)

    async def put_aside(self, number: int) -> None:
        async def trash() -> list[Any]:
            found = [await self.store.trash(part_id(number))]
            self.disk.note(Ended(aside, found[0]))
            return found

        aside = Begun(ASIDE + part_id(number), True)
        self.disk.note(aside)
        await self._changes({part_id(number): None}, trash)

    async def abort(self, number: int) -> None:
        async def begin_and_abort() -> None:
            writer = await self.store.create(part_id(number), None)
            writer.write(stored(number)[:100])
            await writer.abort()

        try:
            await begin_and_abort()
        except StoragedError:
            await begin_and_abort()
        await self.put_large(number)

    async def _changes(self, results: dict[str, Any], make: Callable[[], Awaitable[list[Any]]]) -> None:
        outcomes = await self._try(results, make)
        failed = {name: result for name, result in results.items() if isinstance(outcomes[name], StoragedError)}
        if failed:
            again = await self._try(results, make)
            assert not any(isinstance(again[name], StoragedError) for name in failed), "it failed, the disk being well"

    async def _try(self, results: dict[str, Any], make: Callable[[], Awaitable[list[Any]]]) -> dict[str, Any]:
        changes = [Begun(name, result) for name, result in results.items()]
        for change in changes:
            self.disk.note(change)
        try:
            outcomes = await make()
        except StoragedError as problem:
            outcomes = [problem] * len(changes)
        for change, outcome in zip(changes, outcomes, strict=True):
            # A part whose storing failed is not kept; a removal that failed may have happened or not.
            failed = None if change.result is None else False
            self.disk.note(Ended(change, failed if isinstance(outcome, StoragedError) else True))
        return dict(zip(results, outcomes, strict=True))


def judge(image: Image, notes: list[Any], folder: str, index: Path) -> None:
    disk = PowerDisk(image)
    may = allowed(notes)
    with recovered_parts(disk, folder, index, PACK_SIZE) as parts:
        found = parts.all()
        for name, results in may.items():
            if not name.startswith(ASIDE):
                assert found.get(name) in results, f"{name}: {found.get(name)!r}"
            elif results == [True]:
                [data] = disk_files(disk, f"{folder}/trash", name.removeprefix(ASIDE))
                assert data
        assert found.keys() <= may.keys()
        assert disk.scan(f"{folder}/tmp") == []
        # The store can be continued.
        new = parse_part_id("ff" + "f" * 30 + ".0")
        [place] = parts.packs.write([NewPart(new, encode_part(new, 256, b"new"))])
        assert parts.packs.write([Removal(new)]) == [True], place


def disk_files(disk: PowerDisk, folder: str, name: str) -> list[bytes]:
    return [bytes(inode.data) for each, inode in disk.folders[folder].items() if each.endswith(name)]


class Indexes:
    """Index databases as a cut may leave them: none, or one that is older than the packs."""

    def __init__(self, folder: Path, store: str) -> None:
        self._folder = folder
        self._store = store
        self._kept: list[Path] = []
        self._count = 0

    def keep(self, image: Image, *, synced: bool = False) -> None:
        """Keep the database of this moment.

        :param synced: whether the disk can no longer have an older one.
        """
        if synced:
            self._kept.clear()
        path = self._new()
        with recovered_parts(PowerDisk(image), self._store, path, PACK_SIZE):
            pass
        self._kept.append(path)

    def choose(self, random: Random) -> Path:
        path = self._new()
        if self._kept and random.random() < 0.7:
            shutil.copy(random.choice(self._kept), path)
        return path

    def _new(self) -> Path:
        self._count += 1
        return self._folder / f"index-{self._count}"


async def lived(folder: Path, pool: ThreadPool, fault: Callable[[int, str], int | None] | None = None) -> PowerDisk:
    disk = PowerDisk(empty(folder))
    if fault is not None:
        disk.fault = fault
    await Life(disk, folder, pool).run()
    return disk


def is_removal_of_pack(event: Event) -> bool:
    return isinstance(event, Named) and event.inode is None and event.name.endswith(".pack")


def empty(folder: Path) -> Image:
    return {"/": {}, str(folder): {}}


@pytest_twisted.ensureDeferred
async def test_power_cuts_at_every_moment(pool: ThreadPool, tmp_path: Path) -> None:
    node = tmp_path / "node"
    disk = await lived(node, pool)
    random, indexes = Random(1), Indexes(tmp_path, str(node))
    cuts, seen = Cuts(empty(node), disk.log), set()
    for moment in cuts.moments():
        TALLY["moments of a node's life at which the power was cut"] += 1
        for image in cuts.images(random):
            state = hash((len(cuts.notes), tuple((path, *sorted(files.items())) for path, files in image.items())))
            if state not in seen:
                seen.add(state)
                judge(image, cuts.notes, str(node), indexes.choose(random))
        durable = cuts.durable()
        removes_pack = moment < len(disk.log) and is_removal_of_pack(disk.log[moment])
        if moment % 20 == 0 or removes_pack:
            indexes.keep(durable, synced=removes_pack)
    TALLY["states of a node's disk started from"] += len(seen)
    names = disk.folders[f"{node}/packs"]
    assert min(names) > "0000000001.pack", "a pack was compacted"
    assert len(seen) > 500


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
async def test_every_call_fails_once_and_the_next_try_succeeds(pool: ThreadPool, tmp_path: Path, error: int) -> None:
    whole = await lived(tmp_path / "whole", pool)
    random = Random(2)
    for number in shared(whole.calls, odd=error == errno.ENOSPC):
        node = tmp_path / f"node{number}"
        disk = await lived(node, pool, lambda at, _, number=number: error if at == number else None)
        TALLY["calls of a node's life that failed"] += 1
        indexes = Indexes(node, str(node))
        cuts = Cuts(empty(node), disk.log)
        for _ in cuts.moments():
            pass
        judge(visible(disk), cuts.notes, str(node), indexes.choose(random))
        for image in cuts.images(random):
            judge(image, cuts.notes, str(node), indexes.choose(random))
        shutil.rmtree(node)
