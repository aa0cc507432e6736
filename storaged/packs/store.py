"""Packs behind Deferreds: requests that arrive at about the same time share one call in a thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger
from twisted.python.failure import Failure

from storaged.disk.calls import DiskCalls, disk_error
from storaged.packs.batches import Batches
from storaged.packs.index import Place
from storaged.packs.packs import Change, NewPart, Outcome, Packs, Relocation, Removal
from storaged.packs.verifying import Intact, Portion
from storaged.parts.errors import NodeUnavailable, PartError, PartMissing, StoragedError
from storaged.parts.format import PartId, parse_part_id
from storaged.parts.values import PartInfo, PartLook
from storaged.system.serial import SerialThread

_READERS = 2
_SUBJECT = "packs"
_MOST_CACHED = 256 * 1024
"""If a request is for more bytes than this, a thread copies them from the page cache."""


class PackStore:
    """The packed parts of a node.

    :param calls: runs the calls that are rare.
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
        self._removed = 0  # parts removed since the last check for a pack to compact
        self._last_pack = 0  # the newest sealed pack at that check
        self._stopping: NodeUnavailable | None = None

    async def start(self) -> None:
        """Index the packs, start the threads, and begin to compact if there is need.

        :raise NodeUnavailable: the folder cannot be used.
        """
        await self._calls.run(_SUBJECT, self._packs.start)
        for batches in (self._writer, *self._readers):
            batches.start()
        self._compact_where_needed()

    async def stop(self, problem: NodeUnavailable) -> None:
        """Refuse new requests, fail those that have not begun, wait for the others, and close the files.

        May be called again.

        :param problem: the error of the requests that are refused or failed.
        """
        self._stopping = problem
        for batches in (self._writer, *self._readers):
            await batches.stop(problem)
        if self._compacting is not None:
            await self._compacting
        await self._calls.run(_SUBJECT, self._packs.close)

    def put_all(self, parts: Sequence[NewPart]) -> Deferred[list[Place | StoragedError]]:
        """Store parts; see `ISmallPartStore.put_all`."""
        return self._change(parts)

    def put_all_then(self, parts: Sequence[NewPart], then: Callable[[list[Place | StoragedError]], object]) -> None:
        """Store parts as `put_all` does, and tell only a function of it; then `look_after` must be called.

        :param then: called in the thread of the packs with the outcome of each.
        :raise NodeUnavailable: the node is stopping.
        """
        if self._stopping is not None:
            raise self._stopping
        self._writer.ask_then(parts, then)

    def remove_all(self, parts: Sequence[PartId]) -> Deferred[list[bool | StoragedError]]:
        """Delete parts for good.

        :return: a Deferred that fires, for each part in their order, with whether there was one, or with an error.
        """
        return self._change([Removal(part) for part in parts], removed=len(parts))

    def get_all(self, part_ids: Sequence[str]) -> Deferred[list[bytes | StoragedError]]:
        """Read parts, also those that are not packed.

        :return: a Deferred that fires, for each part in their order, with its stored bytes, or with an error.
        """
        if self._stopping is not None:
            return fail(self._stopping)
        cached = self._read_cached(part_ids)
        if cached is not None:
            return succeed(cached)
        # Take the reader with the shortest queue: while one waits for a cold disk, the others continue.
        return min(self._readers, key=len).ask(part_ids)

    def _read_cached(self, part_ids: Sequence[str]) -> list[bytes | StoragedError] | None:
        """Read parts if all of them are in memory, and are not much: a call of a thread would take longer than that.

        :return: the stored bytes of each part; None if a thread has to read them.
        """
        found: list[bytes | StoragedError] = []
        size = 0
        for part_id in part_ids:
            data = self._packs.read_cached(part_id)
            if data is None or size > _MOST_CACHED:
                return None
            found.append(data)
            size += len(data)
        return found

    async def find(self, part_id: str) -> PartInfo:
        """Return the size and the time of a packed part.

        :raise PartMissing: no packed part has this id.
        """
        if not self._packs.may_have(part_id):
            raise PartMissing(f"part {part_id} is not here")
        place = await self._calls.run(f"part {part_id}", lambda: self._packs.find(part_id))
        return PartInfo(part_id, place.length, place.time_ms)

    async def page(self, after: str, limit: int) -> list[PartInfo]:
        """Return at most `limit` parts whose ids are greater than `after`, in ascending order of their ids."""
        found = await self._calls.run(_SUBJECT, lambda: self._packs.page(after, limit))
        return [PartInfo(part_id, place.length, place.time_ms) for part_id, place in found]

    def steps(self, number: int, count: int) -> dict[int, int]:
        """Return the packs that belong to one of `count` equal shares, and the bytes to read of each; 0 of a lost one.

        :param number: the number of the share, from 0 on.
        """
        return {pack: size for pack, size in self._packs.sizes().items() if pack % count == number}

    def verify(self, number: int) -> Iterator[Portion]:
        """Check a pack; see `PackVerifier.verify`.  Every step blocks."""
        return self._packs.verify(number)

    def look(self, part_id: str) -> PartLook:
        """Look at a packed part; see `Packs.look`.  Blocks."""
        return self._packs.look(part_id)

    async def write_again(self, parts: Sequence[Intact]) -> None:
        """Write parts to another pack, because their entries are damaged.

        :raise StoragedError: they could not be written; they stay where they are.
        """
        outcomes = await self._change(
            [Relocation(parse_part_id(each.part_id), each.data, each.place) for each in parts]
        )
        _raise_problem(outcomes)

    def _change(self, changes: Sequence[Change], removed: int = 0) -> Deferred[list[Any]]:
        if self._stopping is not None:
            return fail(self._stopping)
        return self._writer.ask(changes).addCallback(self._changed, removed)

    def _changed(self, outcomes: list[Any], removed: int) -> list[Any]:
        self._removed += removed
        self.look_after()
        return outcomes

    def look_after(self) -> None:
        """Begin to compact if there is need; to be called after changes."""
        # The cost of a check grows with the number of packs.  So there is one check after that number of removals, and
        # one after each pack that gets full.
        if self._removed > self._packs.count or self._last_pack != self._packs.newest_full:
            self._compact_where_needed()

    # These run in the threads:

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
        if failure.check(StoragedError):  # nothing is lost: the pack stays, and is tried again
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
    """Fail the compaction if a move could not be written.  The pack stays whole, and is compacted at another time."""
    for outcome in outcomes:
        if isinstance(outcome, StoragedError) and not isinstance(outcome, PartError):
            raise outcome
