"""Parts in memory: a part store for tests, held to the same contract as the disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from storaged.parts.bytes_reader import BytesReader
from storaged.parts.checks import check_limit, check_part_id, check_small, check_span
from storaged.parts.decoding import PartChecker, look_at
from storaged.parts.errors import BadPart, NoSpace, PartExists, PartMissing, StoragedError
from storaged.parts.findings import Findings
from storaged.parts.format import HEADER_SIZE, PartId
from storaged.parts.interfaces import INodeStore, IPartReader, IPartWriter
from storaged.parts.removals import Removals
from storaged.parts.values import NodeIdentity, NodeInfo, PartInfo, PartLook, RottenPart, Scrub
from storaged.parts.wire import check_look
from storaged.system.buffers import Piece
from storaged.system.clocks import WallClock
from storaged.system.once import Once
from storaged.system.ranges import Span

_T = TypeVar("_T")


@implementer(INodeStore)
class MemoryPartStore:
    """Parts in a dict.

    :param capacity: the bytes it has room for.
    :param identity: the identity of the node.
    :param clock: measures how long ago a part was removed.
    :param wall: the clock for the times when parts were stored.
    :ivar trashed: the parts in the trash; they take no room.
    :ivar findings: its rotten parts; it looks for none by itself.
    """

    def __init__(self, *, capacity: int, identity: NodeIdentity, clock: IReactorTime, wall: WallClock) -> None:
        self._capacity = capacity
        self._identity = identity
        self._wall = wall
        self._parts: dict[str, tuple[PartInfo, bytes]] = {}
        self._writers: dict[str, MemoryPartWriter] = {}
        self._removals = Removals(clock.seconds)
        self.trashed: dict[str, bytes] = {}
        self.findings = Findings()
        self._paused = False

    @property
    def free(self) -> int:
        """The bytes of room that are left; negative if a writer took more than there were."""
        kept = sum(info.stored_size for info, _ in self._parts.values())
        return self._capacity - kept - sum(writer.taken for writer in self._writers.values())

    def create(self, part_id: str, stored_size: int | None) -> Deferred[IPartWriter]:
        """Begin a part; see `IPartStore.create`."""
        return maybeDeferred(self._create, part_id, stored_size)

    def _create(self, part_id: str, stored_size: int | None) -> MemoryPartWriter:
        part = check_part_id(part_id)
        self._removals.check(part_id)
        if part_id in self._parts or part_id in self._writers:
            raise PartExists(f"part {part_id} is here already")
        if self.free < (1 if stored_size is None else stored_size):
            raise NoSpace(f"part {part_id}: {stored_size} bytes announced, {self.free} bytes are free")
        self._writers[part_id] = writer = MemoryPartWriter(self, part, stored_size)
        return writer

    def put_all(self, parts: Sequence[tuple[str, bytes]]) -> Deferred[list[PartInfo | StoragedError]]:
        """Store small parts; see `ISmallPartStore.put_all`."""
        return succeed([_outcome(self._put, *part) for part in parts])

    def _put(self, part_id: str, data: bytes) -> PartInfo:
        check_small(part_id, len(data))
        writer = self._create(part_id, len(data))
        writer.write(data)
        return writer.end()

    def get_all(self, part_ids: Sequence[str]) -> Deferred[list[bytes | StoragedError]]:
        """Read small parts; see `ISmallPartStore.get_all`."""
        return succeed([_outcome(self._get, part_id) for part_id in part_ids])

    def _get(self, part_id: str) -> bytes:
        info, data = self._find(part_id)
        check_small(part_id, info.stored_size)
        return data

    def remove_all(self, part_ids: Sequence[str]) -> Deferred[list[bool | StoragedError]]:
        """Delete parts; see `ISmallPartStore.remove_all`."""
        return succeed([_outcome(self._remove, part_id) for part_id in part_ids])

    def open(self, part_id: str, span: Span | None) -> Deferred[IPartReader]:
        """Open a part for reading; see `IPartStore.open`."""
        return maybeDeferred(self._open, part_id, span)

    def _open(self, part_id: str, span: Span | None) -> IPartReader:
        info, data = self._find(part_id)
        span = check_span(part_id, span, info.stored_size)
        return BytesReader(data, span)

    def stat(self, part_id: str) -> Deferred[PartInfo]:
        """Look up a part; see `IPartStore.stat`."""
        return maybeDeferred(lambda: self._find(part_id)[0])

    def _find(self, part_id: str) -> tuple[PartInfo, bytes]:
        check_part_id(part_id)
        if part_id not in self._parts:
            raise PartMissing(f"part {part_id} is not here")
        return self._parts[part_id]

    def remove(self, part_id: str) -> Deferred[bool]:
        """Delete a part; see `IPartStore.remove`."""
        return maybeDeferred(self._remove, part_id)

    def _remove(self, part_id: str) -> bool:
        check_part_id(part_id)
        if part_id in self._writers:
            self._writers[part_id].break_off(PartMissing(f"part {part_id} was removed while it was written"))
        found = self._parts.pop(part_id, None) is not None
        self.findings.forget(part_id)
        if not found:
            self._removals.note(part_id)
        return found

    def trash(self, part_id: str) -> Deferred[bool]:
        """Move a part to the trash; see `IPartStore.trash`."""
        return maybeDeferred(self._trash, part_id)

    def _trash(self, part_id: str) -> bool:
        check_part_id(part_id)
        found = self._parts.pop(part_id, None)
        self.findings.forget(part_id)
        self._removals.forget(part_id)
        if found is not None:
            self.trashed[part_id] = found[1]
        return found is not None

    def list_parts(self, after: str, limit: int) -> Deferred[list[PartInfo]]:
        """List parts; see `IPartStore.list_parts`."""
        return maybeDeferred(self._list, after, limit)

    def _list(self, after: str, limit: int) -> list[PartInfo]:
        check_limit(limit)
        return [self._parts[part_id][0] for part_id in sorted(self._parts) if part_id > after][:limit]

    def info(self) -> Deferred[NodeInfo]:
        """Describe the node and its room; see `IPartStore.info`."""
        identity = self._identity
        return succeed(
            NodeInfo(
                identity.node_id,
                identity.cluster,
                self._capacity,
                max(0, self.free),
                scrub=self._scrub(),
                disk=identity.disk,
            )
        )

    def look_all(self, part_ids: Sequence[str]) -> Deferred[list[PartLook | StoragedError]]:
        """Look at parts; see `IPartChecks.look_all`."""
        return maybeDeferred(self._look_all, part_ids)

    def _look_all(self, part_ids: Sequence[str]) -> list[PartLook | StoragedError]:
        check_look(len(part_ids))
        return [_outcome(self._look, part_id) for part_id in part_ids]

    def _look(self, part_id: str) -> PartLook:
        info, data = self._find(part_id)
        return look_at(check_part_id(part_id), info.stored_size, data[:HEADER_SIZE])

    def rotten(self, after: str, limit: int) -> Deferred[list[RottenPart]]:
        """List the rotten parts; see `IPartChecks.rotten`."""
        return maybeDeferred(self.findings.page, after, limit)

    def pause_scrub(self, *, paused: bool) -> Deferred[Scrub]:
        """Pause the scrub, which reads nothing; see `IPartChecks.pause_scrub`."""
        self._paused = paused
        return succeed(self._scrub())

    def _scrub(self) -> Scrub:
        return Scrub(len(self.findings), paused=self._paused)

    def spoil(self, part_id: str, offset: int) -> None:
        """Flip a bit of a stored byte."""
        info, data = self._parts[part_id]
        self._parts[part_id] = (info, data[:offset] + bytes([data[offset] ^ 0x10]) + data[offset + 1 :])

    def keep(self, part_id: str, data: bytes) -> PartInfo:
        """Store a whole part."""
        info = PartInfo(part_id, len(data), self._wall.now_ms())
        self._parts[part_id] = (info, data)
        return info

    def forget(self, part_id: str) -> None:
        """Forget a writer that has ended."""
        del self._writers[part_id]


def _outcome(call: Callable[..., _T], *args: Any) -> _T | StoragedError:
    try:
        return call(*args)
    except StoragedError as problem:
        return problem


@implementer(IPartWriter)
class MemoryPartWriter:
    """Writes a part to memory, which is always fast enough: no producer is ever paused."""

    def __init__(self, store: MemoryPartStore, part: PartId, stored_size: int | None) -> None:
        self._store = store
        self._part_id = str(part)
        self._stored = stored_size or 0
        self._checker = PartChecker(part, stored_size)
        self._pieces: list[Piece] = []
        self._held = 0
        self._broken: Once[Exception] = Once()
        self._outcome: PartInfo | Exception | None = None

    @property
    def taken(self) -> int:
        """The bytes of room that the part takes: those announced, or those written if they are more."""
        return max(self._stored, self._held)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Accept a producer, which is never paused."""

    def unregisterProducer(self) -> None:
        """Do nothing: no producer is kept."""

    def write(self, data: Piece) -> None:
        """Take the next stored bytes."""
        if self._outcome is not None:
            return
        try:
            self._checker.feed(data)
        except BadPart as problem:
            self.break_off(problem)
            return
        self._pieces.append(data)
        self._held += len(data)
        if self._store.free < 0:
            self.break_off(NoSpace(f"part {self._part_id}: no room after {self._held - len(data)} bytes"))

    def writeSequence(self, pieces: Sequence[Piece]) -> None:
        """Take the next stored bytes; see `IPartWriter.writeSequence`."""
        for piece in pieces:
            self.write(piece)

    def when_broken(self) -> Deferred[Exception]:
        """Wait for a failure; see `IPartWriter.when_broken`."""
        return self._broken.wait()

    def finish(self) -> Deferred[PartInfo]:
        """Complete the part; see `IPartWriter.finish`."""
        if self._outcome is None:
            try:
                self._checker.finish()
                self._end(self._store.keep(self._part_id, b"".join(self._pieces)))
            except BadPart as problem:
                self._end(problem)
        assert self._outcome is not None
        return succeed(self._outcome) if isinstance(self._outcome, PartInfo) else fail(Failure(self._outcome))

    def end(self) -> PartInfo:
        """Complete the part as `finish` does, and return its `PartInfo` or raise its error."""
        self.finish().addErrback(lambda _: None)
        if isinstance(self._outcome, Exception):
            raise self._outcome
        assert self._outcome is not None
        return self._outcome

    def abort(self) -> Deferred[None]:
        """Abort the part; see `IPartWriter.abort`."""
        self._end(CancelledError(f"part {self._part_id} was given up"))
        return succeed(None)

    def break_off(self, problem: StoragedError) -> None:
        """Make the part fail; its owner learns of `problem` as of any failure."""
        self._end(problem)
        self._broken.fire(problem)

    def _end(self, outcome: PartInfo | Exception) -> None:
        if self._outcome is None:
            self._outcome = outcome
            self._pieces.clear()
            self._store.forget(self._part_id)
