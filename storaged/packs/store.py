"""Packs behind Deferreds: what is asked at about the same time is done in one call of the pool."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger
from twisted.python.failure import Failure

from storaged.disk.calls import DiskCalls, disk_error
from storaged.packs.batches import Batches
from storaged.packs.index import Place
from storaged.packs.packs import Change, NewPart, Outcome, Packs, Removal
from storaged.parts.errors import NodeUnavailable, PartError, PartMissing, StoragedError
from storaged.parts.format import PartId
from storaged.parts.values import PartInfo
from storaged.system.serial import SerialThread

_READERS = 2
_SUBJECT = "packs"


class PackStore:
    """The packed parts of a node.

    :param calls: for what is asked seldom.
    :param reactor: the reactor whose thread gets the results.
    """

    _log = Logger()

    def __init__(self, packs: Packs, calls: DiskCalls, reactor: IReactorFromThreads) -> None:
        self._packs = packs
        self._calls = calls
        self._writer = Batches(SerialThread(reactor, "pack writer"), self._write)
        self._readers = [
            Batches(SerialThread(reactor, f"pack reader {number}"), self._read) for number in range(_READERS)
        ]
        self._compacting: Deferred[None] | None = None
        self._removed = 0  # since the last look for a pack to compact
        self._last_pack = 0  # the newest that was full at that time
        self._stopping: NodeUnavailable | None = None

    async def start(self) -> None:
        """Find what there is.

        :raise NodeUnavailable: the folder cannot be used.
        """
        await self._calls.run(_SUBJECT, self._packs.start)
        for batches in (self._writer, *self._readers):
            batches.start()
        self._compact_where_needed()

    async def stop(self, problem: NodeUnavailable) -> None:
        """Refuse everything that has not begun, wait for what has, and let go of the files.  May be called again."""
        self._stopping = problem
        for batches in (self._writer, *self._readers):
            await batches.stop(problem)
        if self._compacting is not None:
            await self._compacting
        await self._calls.run(_SUBJECT, self._packs.close)

    def put_all(self, parts: Sequence[NewPart]) -> Deferred[list[Place | StoragedError]]:
        """Store parts; see `ISmallPartStore.put_all`."""
        return self._change(parts)

    def remove_all(self, parts: Sequence[PartId]) -> Deferred[list[bool | StoragedError]]:
        """Delete parts for good; whether there were such."""
        return self._change([Removal(part) for part in parts], removed=len(parts))

    def get_all(self, part_ids: Sequence[str]) -> Deferred[list[bytes | StoragedError]]:
        """Read parts, those also that are not packed."""
        if self._stopping is not None:
            return fail(self._stopping)
        # The one with the least to do: while one waits for a cold disk, the others go on.
        return min(self._readers, key=len).ask(part_ids)

    async def find(self, part_id: str) -> PartInfo:
        """Look at a part.

        :raise PartMissing: there is none.
        """
        if not self._packs.may_have(part_id):
            raise PartMissing(f"part {part_id} is not here")
        place = await self._calls.run(f"part {part_id}", lambda: self._packs.find(part_id))
        return PartInfo(part_id, place.length, place.time_ms)

    async def page(self, after: str, limit: int) -> list[PartInfo]:
        """Parts in ascending order of their ids, from behind `after`."""
        found = await self._calls.run(_SUBJECT, lambda: self._packs.page(after, limit))
        return [PartInfo(part_id, place.length, place.time_ms) for part_id, place in found]

    def _change(self, changes: Sequence[Change], removed: int = 0) -> Deferred[list[Any]]:
        if self._stopping is not None:
            return fail(self._stopping)
        return self._writer.ask(changes).addCallback(self._changed, removed)

    def _changed(self, outcomes: list[Any], removed: int) -> list[Any]:
        self._removed += removed
        # A look costs as much as there are packs: one for so many removals, and one for each pack that is full.
        if self._removed > self._packs.count or self._last_pack != self._packs.newest_full:
            self._compact_where_needed()
        return outcomes

    # In their threads:

    def _write(self, changes: list[Change]) -> Sequence[Outcome | StoragedError]:
        try:
            return self._packs.write(changes)
        except OSError as problem:
            return [disk_error(_SUBJECT, problem)] * len(changes)

    def _read(self, part_ids: list[str]) -> Sequence[bytes | StoragedError]:
        return self._packs.read(part_ids)

    # Compaction

    def _compact_where_needed(self) -> None:
        self._removed, self._last_pack = 0, self._packs.newest_full
        if self._compacting is None and self._stopping is None and self._packs.candidate() is not None:
            self._compacting = Deferred.fromCoroutine(self._compact())
            self._compacting.addErrback(self._compaction_failed)
            self._compacting.addCallback(self._compact_ended)

    def _compaction_failed(self, failure: Failure) -> None:
        if failure.value is self._stopping:
            return
        if failure.check(StoragedError):  # what there is stays, and is tried again
            self._log.error("packs are not compacted: {problem}", problem=failure.getErrorMessage())
        else:
            self._log.failure("compacting packs", failure)

    def _compact_ended(self, _: None) -> None:
        self._compacting = None

    async def _compact(self) -> None:
        while self._stopping is None and (number := self._packs.candidate()) is not None:
            portions = self._packs.moves(number)
            while (moves := await self._calls.run(_SUBJECT, partial(next, portions, None))) is not None:
                _raise_problem(await self._change(moves))
            await self._calls.run(_SUBJECT, partial(self._packs.drop, number))
            self._log.info("pack {number} is compacted", number=number)


def _raise_problem(outcomes: Sequence[Outcome | StoragedError]) -> None:
    """Let a compaction fail where a move could not be written: its pack is whole, and is compacted another time."""
    for outcome in outcomes:
        if isinstance(outcome, StoragedError) and not isinstance(outcome, PartError):
            raise outcome
