"""Packs behind Deferreds: what is asked at about the same time is done in one call of the pool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredList, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from storaged.disk_calls import DiskCalls
from storaged.errors import NodeUnavailable, StoragedError
from storaged.interfaces import PartInfo
from storaged.packs.packs import Change, Move, Outcome, Packs, Put, Remove
from storaged.partfile import PartId

_WRITE_SIZE = 4 * 1024 * 1024
_READ_AT_ONCE = 64
_READERS = 4
_SUBJECT = "packs"

_T = TypeVar("_T")
_Waiting = tuple[Change, int, Deferred[Any]]


class PackStore:
    """The packed parts of a node."""

    _log = Logger()

    def __init__(self, packs: Packs, calls: DiskCalls) -> None:
        self._packs = packs
        self._calls = calls
        self._changes: list[_Waiting] = []
        self._writing: Deferred[None] | None = None
        self._asked: list[tuple[str, Deferred[bytes]]] = []
        self._readers: set[Deferred[None]] = set()
        self._compacting: Deferred[None] | None = None
        self._stopping: NodeUnavailable | None = None

    async def start(self) -> None:
        """Find what there is.

        :raise NodeUnavailable: the folder cannot be used.
        """
        await self._calls.run(_SUBJECT, self._packs.start)
        self._compact_where_needed()

    async def stop(self, problem: NodeUnavailable) -> None:
        """Refuse everything that has not begun, wait for what has, and let go of the files."""
        self._stopping = problem
        changes, self._changes = self._changes, []
        asked, self._asked = self._asked, []
        for _, _, answer in changes:
            answer.errback(problem)
        for _, waiting in asked:
            waiting.errback(problem)
        under_way = [each for each in (self._writing, self._compacting, *self._readers) if each is not None]
        await DeferredList([_settled(each) for each in under_way])
        await self._calls.run(_SUBJECT, self._packs.close)

    def put(self, part: PartId, data: bytes) -> Deferred[PartInfo]:
        """Store a part that was checked; see `ISmallPartStore.put`."""
        return self._change(Put(part, data), len(data)).addCallback(
            lambda place: PartInfo(str(part), place.length, place.time_ms)
        )

    def remove(self, part: PartId) -> Deferred[bool]:
        """Delete a part for good; whether there was one."""
        return self._change(Remove(part), 0)

    def get(self, part_id: str) -> Deferred[bytes]:
        """Read a part.

        :raise PartMissing: there is none.
        """
        if self._stopping is not None:
            return fail(self._stopping)
        answer: Deferred[bytes] = Deferred()
        self._asked.append((part_id, answer))
        if len(self._readers) < _READERS and len(self._asked) % _READ_AT_ONCE == 1:
            reader = Deferred.fromCoroutine(self._read_asked())
            self._readers.add(reader)
            reader.addBoth(self._ended, self._readers.discard, reader)
        return answer

    async def find(self, part_id: str) -> PartInfo:
        """Look at a part.

        :raise PartMissing: there is none.
        """
        place = await self._calls.run(f"part {part_id}", lambda: self._packs.find(part_id))
        return PartInfo(part_id, place.length, place.time_ms)

    async def page(self, after: str, limit: int) -> list[PartInfo]:
        """Parts in ascending order of their ids, from behind `after`."""
        found = await self._calls.run(_SUBJECT, lambda: self._packs.page(after, limit))
        return [PartInfo(part_id, place.length, place.time_ms) for part_id, place in found]

    def _ended(self, result: Any, forget: Callable[[Any], None], what: Any) -> None:
        forget(what)
        if isinstance(result, Failure):
            self._log.failure("packs", result)

    # Writing

    def _change(self, change: Change, size: int) -> Deferred[Any]:
        if self._stopping is not None:
            return fail(self._stopping)
        answer: Deferred[Any] = Deferred()
        self._changes.append((change, size, answer))
        if self._writing is None:
            self._writing = Deferred.fromCoroutine(self._write_changes())
            self._writing.addBoth(self._ended, self._write_ended, None)
        return answer

    def _write_ended(self, _: None) -> None:
        self._writing = None
        self._compact_where_needed()

    async def _write_changes(self) -> None:
        """Make changes durable, as long as there are any: those that come meanwhile gather for the next sync."""
        await self._calls.next_turn()
        while self._changes:
            batch = self._take_changes()
            changes = [change for change, _, _ in batch]
            outcomes: Sequence[Outcome | StoragedError]
            try:
                outcomes = await self._calls.run(_SUBJECT, partial(self._packs.write, changes))
            except StoragedError as problem:
                outcomes = [problem] * len(batch)
            except Exception as problem:
                self._log.failure("writing to a pack")
                outcomes = [NodeUnavailable(f"{type(problem).__name__}: {problem}")] * len(batch)
            for (_, _, answer), outcome in zip(batch, outcomes, strict=True):
                _tell(answer, outcome)

    def _take_changes(self) -> list[_Waiting]:
        size = count = 0
        for _, more, _ in self._changes:
            if size >= _WRITE_SIZE:
                break
            size += more
            count += 1
        batch, self._changes = self._changes[:count], self._changes[count:]
        return batch

    # Reading

    async def _read_asked(self) -> None:
        await self._calls.next_turn()
        while self._asked:
            batch, self._asked = self._asked[:_READ_AT_ONCE], self._asked[_READ_AT_ONCE:]
            ids = [part_id for part_id, _ in batch]
            read: Sequence[bytes | StoragedError]
            try:
                read = await self._calls.run(_SUBJECT, partial(self._packs.read, ids))
            except Exception as problem:
                self._log.failure("reading packs")
                read = [NodeUnavailable(f"{type(problem).__name__}: {problem}")] * len(batch)
            for (_, answer), data in zip(batch, read, strict=True):
                _tell(answer, data)

    # Compaction

    def _compact_where_needed(self) -> None:
        if self._compacting is None and self._stopping is None and self._packs.candidate() is not None:
            self._compacting = Deferred.fromCoroutine(self._compact())
            self._compacting.addBoth(self._ended, self._compact_ended, None)

    def _compact_ended(self, _: None) -> None:
        self._compacting = None

    async def _compact(self) -> None:
        while self._stopping is None and (number := self._packs.candidate()) is not None:
            portions = self._packs.moves(number)
            while (moves := await self._calls.run(_SUBJECT, partial(next, portions, None))) is not None:
                await self._move(moves)
            await self._calls.run(_SUBJECT, partial(self._packs.drop, number))
            self._log.info("pack {number} is compacted", number=number)

    async def _move(self, moves: Sequence[Change]) -> None:
        """Write portions of an old pack anew, beside what others write."""
        done = [self._change(move, len(move.data) if isinstance(move, Move) else 0) for move in moves]
        for outcome in done:
            await outcome


def _tell(answer: Deferred[Any], outcome: Any) -> None:
    if answer.called:
        return  # who asked has given up
    if isinstance(outcome, Exception):
        answer.errback(outcome)
    else:
        answer.callback(outcome)


def _settled(waited_for: Deferred[None]) -> Deferred[None]:
    """Fires when another has fired, well or not."""
    settled: Deferred[None] = Deferred()

    def fire(result: Any) -> Any:
        settled.callback(None)
        return result

    waited_for.addBoth(fire)
    return settled
