"""Deletes parts from a disk, packed or not, and moves them to the trash."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from storaged.disk.aging import Aging
from storaged.disk.calls import DiskCalls, disk_error
from storaged.disk.folder import PartFolder
from storaged.disk.trash import Trash
from storaged.packs.store import PackStore
from storaged.parts.errors import PartMissing, StoragedError
from storaged.parts.findings import Findings
from storaged.parts.format import PartId
from storaged.system.clocks import WallClock


class PartRemover:
    """Deletes parts that are whole, and moves them to the trash.

    :param findings: the rotten parts, which it forgets when they are deleted.
    :param clock: measures ages; nobody sets it.
    :param wall: the clock for times that are stored.
    """

    _log = Logger()

    def __init__(
        self,
        parts: PartFolder,
        packs: PackStore,
        trash: Trash,
        findings: Findings,
        calls: DiskCalls,
        clock: IReactorTime,
        wall: WallClock,
    ) -> None:
        self._parts = parts
        self._packs = packs
        self._trash = trash
        self._findings = findings
        self._calls = calls
        self._clock = clock
        self._wall = wall
        self._aging = Aging(wall.now_ms(), self._monotonic_ms())

    async def prepare(self) -> None:
        """Make the folder of the trash if it is missing.

        :raise NodeUnavailable: the folder cannot be used.
        """
        await self._calls.run(self._parts.root, self._trash.prepare)

    async def remove_all(self, parts: Sequence[PartId]) -> list[bool | StoragedError]:
        """Delete parts for good.

        :return: for each part, in their order, whether there was one, or an error if it may not be gone for good.
        """
        # Packs come first: their parts cost least to find, and are many more.
        outcomes = await self._packs.remove_all(parts)
        left = [number for number, outcome in enumerate(outcomes) if outcome is False]
        if left:
            files = [parts[number] for number in left]
            removed = await self._calls.run(f"{len(files)} parts", lambda: self._parts.remove_all(files))
            for number, found in zip(left, removed, strict=True):
                outcomes[number] = disk_error(f"part {parts[number]}", found) if isinstance(found, OSError) else found
        for part, outcome in zip(parts, outcomes, strict=True):
            if not isinstance(outcome, StoragedError):
                self._findings.forget(str(part))
        return outcomes

    async def put_aside(self, part: PartId) -> bool:
        """Move a part to the trash; see `IPartStore.trash`."""
        found = await self._put_aside(part)
        if found:
            self._findings.forget(str(part))
        return found

    async def _put_aside(self, part: PartId) -> bool:
        part_id, now_ms = str(part), self._wall.now_ms()
        self._aging.look(now_ms, self._monotonic_ms())
        if await self._calls.run(f"part {part}", lambda: self._parts.put_aside(part, self._trash, now_ms)):
            return True
        try:
            await self._packs.find(part_id)
        except PartMissing:
            return False
        data = (await self._packs.get_all([part_id]))[0]
        if isinstance(data, StoragedError):
            raise data
        await self._calls.run(f"part {part}", lambda: self._trash.write(data, part, now_ms))
        found = (await self._packs.remove_all([part]))[0]
        if isinstance(found, StoragedError):
            raise found
        return found

    async def empty_trash(self, keep_s: float) -> None:
        """Delete the parts that were moved to the trash long ago.

        If the wall clock was set forward meanwhile, that does not make parts older.

        :param keep_s: delete only parts that have been in the trash for more than this time, in seconds.
        :raise NodeUnavailable: the trash cannot be read or changed.
        """
        is_old = self._aging.judge(self._wall.now_ms(), self._monotonic_ms(), int(keep_s * 1000))
        count, size = await self._calls.run(self._parts.root, lambda: self._trash.empty(is_old))
        if count:
            self._log.info("{count} parts of {size} bytes in the trash are deleted", count=count, size=size)

    def _monotonic_ms(self) -> int:
        return int(self._clock.seconds() * 1000)
