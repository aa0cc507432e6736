"""The offsets of resumable uploads, against an oracle: whatever fails and whoever leaves, what is stored is the
beginning of what was sent, and what was told is stored.
"""

# ruff: noqa: ARG002 - the doubles have the parameters of what they stand for

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from splitd.errors import SegmentsRefused, UploadFailed, UploadUnknown
from splitd.frontends.resumable.exclusive import Exclusive
from splitd.frontends.resumable.notes import Note
from splitd.frontends.resumable.pieces import TooMuch
from splitd.frontends.resumable.sizes import Sizes
from splitd.frontends.resumable.uploads import Current, ResumableUploads, Shared, Superseded
from splitd.interfaces.continued import ContinuedUpload, Segment
from splitd.model.conditions import ALWAYS
from splitd.model.manifest import Manifest
from splitd.model.media import NO_MEDIA
from splitd.model.segments import MAX_SEGMENTS, MAX_SIZE
from storaged.http import BodyBroken, RequestBody
from storaged.system.once import Once
from tests.fired import fired

SIZES = Sizes(small=40, least=20, most=100)
DATA = bytes(range(256)) * 8
UPLOAD = "a" * 32
_Result = TypeVar("_Result")


def run(coroutine: Coroutine[Deferred[Any], Any, _Result]) -> _Result:
    """The result of a coroutine that waits for nothing."""
    return fired(Deferred.fromCoroutine(coroutine))


@attrs.define(eq=False)
class Stored:
    """A segment that is being stored in memory.

    :ivar fails: whether its end fails.
    """

    store: Memory
    number: int
    replaces: str | None
    size: int | None
    fails: bool
    data: bytearray = attrs.field(factory=bytearray)
    broken: Once[Exception] = attrs.field(factory=Once)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        pass

    def unregisterProducer(self) -> None:
        pass

    def write(self, data: bytes) -> None:
        self.data += data
        if self.store.breaks_at is not None and len(self.data) > self.store.breaks_at:
            self.broken.fire(UploadFailed("a node is gone"))

    def when_broken(self) -> Deferred[Exception]:
        return self.broken.wait()

    def finish(self, said: str) -> Deferred[Any]:
        if self.fails or self.broken.fired or (self.size is not None and self.size != len(self.data)):
            return fail(UploadFailed("it cannot be stored"))
        done: Deferred[Any] = Deferred()
        self.store.ending.append((self, said, done))
        if not self.store.waits:
            self.store.end_all()
        return done

    def abort(self, reason: str) -> Deferred[None]:
        return succeed(None)


class Memory:
    """An upload in segments, in memory; it stands for `IContinuedUploads`, and for the files.

    :ivar waits: whether ends of segments wait for `end_all`.
    """

    def __init__(self) -> None:
        self.note = NO_MEDIA
        self.segments: dict[int, tuple[Segment, bytes]] = {}
        self.ending: list[tuple[Stored, str, Deferred[Any]]] = []
        self.waits = False
        self.breaks_at: int | None = None
        self.failing: set[int] = set()
        self.file: bytes | None = None
        self._begun = 0

    @property
    def data(self) -> bytes:
        return b"".join(self.segments[number][1] for number in sorted(self.segments))

    def begin(self, path: str, media: Any, condition: Any, size: int | None = None) -> Deferred[ContinuedUpload]:
        self.note = media
        return self.find(path, UPLOAD)

    def find(self, path: str, upload: str) -> Deferred[ContinuedUpload]:
        if self.file is not None:
            return fail(UploadUnknown("it is complete"))
        return succeed(
            ContinuedUpload(UPLOAD, path, self.note, 0, 0, len(self.segments), max(self.segments, default=0),
                            len(self.data))
        )  # fmt: skip

    def stat(self, path: str) -> Deferred[Manifest | None]:
        return succeed(None if self.file is None else Manifest(UPLOAD, len(self.file), 0, 6, 0, 4, ()))

    def list_segments(self, path: str, upload: str, after: int, limit: int) -> Deferred[list[Segment]]:
        return succeed([self.segments[n][0] for n in sorted(self.segments) if n > after][:limit])

    def put_segment(
        self, path: str, upload: str, number: int, size: int | None, replaces: str | None = None
    ) -> Deferred[Any]:
        self._begun += 1
        return succeed(Stored(self, number, replaces, size, self._begun in self.failing))

    def end_all(self) -> None:
        ending, self.ending = self.ending, []
        for each, note, done in ending:
            present = self.segments.get(each.number)
            if (present[0].upload if present else "") != each.replaces:
                done.errback(SegmentsRefused("another request was faster"))
                continue
            made = Segment(each.number, f"{id(each):032x}", len(each.data), note, 0)
            self.segments[each.number] = made, bytes(each.data)
            done.callback((None, True))

    def read(self, path: str, upload: str, segments: list[Segment]) -> Deferred[Any]:
        return succeed(Reading([self.segments[each.number][1] for each in segments]))

    def complete(self, path: str, upload: str, chosen: Any, condition: Any, media: Any) -> Deferred[Any]:
        assert [(s.number, s.upload) for s, _ in self.segments.values() if s.size] == list(chosen)
        self.file = self.data
        return succeed((Manifest(UPLOAD, len(self.file), 0, 6, 0, 4, ()), True))


class Reading:
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def read(self) -> Deferred[list[bytes]]:
        pieces, self._pieces = self._pieces, []
        return succeed(pieces)

    def close(self) -> None:
        pass


class Connection:
    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def send_continue(self) -> None:
        pass


class Request:
    """A request with a body of this length; None for chunks."""

    def __init__(self, length: int | None) -> None:
        self.body = RequestBody(Connection(), length, expects_continue=False)


@attrs.frozen
class Append:
    """A request that appends.

    :param size: the bytes that it announces.
    :param arrive: how many of them arrive, at most.
    :param end: how it ends before its end: the client leaves, or another request comes.
    :param piece: the bytes of one piece.
    """

    size: int
    arrive: int
    chunked: bool
    end: str
    piece: int
    waits: bool
    breaks_at: int | None
    failing: frozenset[int]


appends = st.builds(
    Append,
    st.integers(0, 700),
    st.integers(0, 700),
    st.booleans(),
    st.sampled_from(["leaves", "superseded"]),
    st.integers(1, 130),
    st.booleans(),
    st.sampled_from([None, None, None, 50, 150]),
    st.frozensets(st.integers(1, 30), max_size=1),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(appends, max_size=12), st.sampled_from([None, 0, 300, 1500]))
def test_what_is_stored_is_the_beginning_of_what_was_sent(steps: list[Append], length: int | None) -> None:
    memory = Memory()
    told = [0]
    uploads = ResumableUploads(memory, memory, "", Shared(SIZES, Exclusive()))  # type: ignore[arg-type]
    run(uploads.begin("/f", NO_MEDIA, Note(length), ALWAYS))
    for step in steps:
        memory.breaks_at, memory.waits = step.breaks_at, step.waits
        memory.failing = {memory._begun + number for number in step.failing}
        before = len(memory.data)
        found = run(uploads.find("/f", UPLOAD))
        assert found.size == before >= max(told)
        sent = DATA[before : before + min(step.size, step.arrive)]
        result = append(uploads, memory, found, step, sent, told)
        stored = memory.data
        # No byte is lost that was told, none is stored that was not sent, and there is no gap.
        assert stored == DATA[: len(stored)]
        assert before <= len(stored) <= before + len(sent)
        assert max(told) <= len(stored)
        if isinstance(result, Current):
            assert result.size == len(stored) == before + len(sent)
        elif isinstance(result, BodyBroken | Superseded):
            assert len(stored) == before + len(sent)  # all that has arrived is kept
        numbers = sorted(memory.segments)
        assert numbers == list(range(1, len(numbers) + 1))
        small = [number for number in numbers[:-1] if memory.segments[number][0].size < SIZES.least]
        assert not small
        uploads = ResumableUploads(memory, memory, "", Shared(SIZES, Exclusive()))  # type: ignore[arg-type]  # a restart
    found = run(uploads.find("/f", UPLOAD))
    if memory.segments or not length:
        run(uploads.complete(found, ALWAYS))
        assert memory.file == DATA[: found.size]
        assert run(uploads.find("/f", UPLOAD)).is_complete


def append(
    uploads: ResumableUploads, memory: Memory, found: Current, step: Append, sent: bytes, told: list[int]
) -> Current | Exception:
    """Send a request to its end; return what comes of it."""
    request: Any = Request(None if step.chunked else step.size)
    holder = run(uploads.enter("/f", UPLOAD))
    results: list[Any] = []
    Deferred.fromCoroutine(uploads.append(request, found, holder, None, told.append)).addBoth(results.append)
    body = request.body
    for start in range(0, len(sent), step.piece):
        body.received(sent[start : start + step.piece])
        if step.waits and start % 3 == 0:
            memory.end_all()
    if len(sent) == step.size:
        if not body.complete:
            body.ended()
    elif step.end == "leaves":
        body.broke(Failure(ConnectionDone()))
    else:
        holder.stop()
    while memory.ending:
        memory.end_all()
    uploads.leave(UPLOAD, holder)
    [result] = results
    if isinstance(result, Failure):
        assert result.check(BodyBroken, Superseded, TooMuch, UploadFailed), result
        assert isinstance(result.value, Exception)
        return result.value
    assert isinstance(result, Current)
    return result


def segments_for(length: int | None, size: int, request: int) -> int:
    """How many segments a file has if each request brings so many bytes; by what `Sizes` says."""
    sizes, offset, count = Sizes(), 0, 0
    while offset < size:
        count += 1
        offset += max(sizes.least_segment(length, offset), min(request, sizes.most_segment(length, offset)))
    return count


def test_a_file_has_fewer_segments_than_it_may_have() -> None:
    for size in (2**20, 2**30, 10 * 2**30, 2**40, MAX_SIZE):
        for request in (1, 2**20, 2**50):
            for length in (None, size):
                assert segments_for(length, size, request) < MAX_SEGMENTS
    assert segments_for(2**20, 2**20, 1) == 4
    assert segments_for(10 * 2**30, 10 * 2**30, 2**50) == 160


def test_a_request_that_was_ended_before_it_received_does_not_begin_to() -> None:
    memory = Memory()
    uploads = ResumableUploads(memory, memory, "", Shared(SIZES, Exclusive()))  # type: ignore[arg-type]
    run(uploads.begin("/f", NO_MEDIA, Note(500), ALWAYS))
    for size in (10, 300):
        holder = run(uploads.enter("/f", UPLOAD))
        coming = Deferred.fromCoroutine(uploads.enter("/f", UPLOAD))
        assert not coming.called
        request: Any = Request(size)
        results: list[Any] = []
        found = run(uploads.find("/f", UPLOAD))
        Deferred.fromCoroutine(uploads.append(request, found, holder)).addBoth(results.append)
        [result] = results
        assert result.check(Superseded)
        uploads.leave(UPLOAD, holder)
        uploads.leave(UPLOAD, fired(coming))
    assert memory.data == b""
