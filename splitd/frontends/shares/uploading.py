"""Takes the files of a form, or of a PUT, by a link."""

from __future__ import annotations

from typing import Any

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from zope.interface import implementer

from splitd.errors import NotAFile, PreconditionFailed
from splitd.frontends.http.answers import Refused
from splitd.interfaces.store import IObjectStore, IUpload
from splitd.model.conditions import Condition
from splitd.model.media import Media
from splitd.model.paths import check_path, join
from storaged.http import BodyBroken, IRequest, reason_of

_ABSENT = Condition(none_match=("*",))
_TRIES = 100
_HELD = 256 * 1024
_MOST_FILES = 1000
_MOST_TYPE = 200


async def begin_file(store: IObjectStore, folder: str, name: str, size: int | None, media: Media) -> IUpload:
    """Begin to store a file under a name that nothing has: "a (2).txt" if "a.txt" is there.  Nobody is told which.

    :raise SplitdError: see `IObjectStore.create`.
    """
    stem, dot, ending = name.rpartition(".")
    if not stem:
        stem, dot, ending = name, "", ""
    for number in range(1, _TRIES):
        tried = name if number == 1 else f"{stem} ({number}){dot}{ending}"
        path = join(folder, tried)
        check_path(path)
        try:
            return await store.create(path, size, media, _ABSENT)
        except (PreconditionFailed, NotAFile):
            continue
    raise Refused(409, "there are too many files of this name")


async def receive_form(request: IRequest, store: IObjectStore, folder: str) -> int:
    """Store the files of a form.

    :return: how many were stored.
    :raise Refused: the body is no such form.
    :raise BodyBroken: the client left; the files before that are stored.
    """
    kind, options = parse_options_header(request.getHeader("Content-Type") or "")
    boundary = options.get("boundary", "")
    if kind != "multipart/form-data" or not boundary:
        raise Refused(415, "this is no form with files")
    reader, form = _Reader(), _Form(store, folder)
    done = request.body.deliver(reader)
    done.addBoth(reader.ended)
    try:
        with PushMultipartParser(boundary, max_segment_count=_MOST_FILES) as parser:
            while not parser.closed:
                data = await reader.read()
                for event in parser.parse(data):
                    await form.take(event)
                if not data:
                    break
    except MultipartError as problem:
        raise Refused(400, f"the form cannot be read: {problem}") from problem
    finally:
        await form.end()
        done.cancel()
    return form.stored


class _Form:
    """Stores the files of a form, one after the other.

    :ivar stored: how many are stored.
    """

    def __init__(self, store: IObjectStore, folder: str) -> None:
        self._store = store
        self._folder = folder
        self._writing: _Writing | None = None
        self.stored = 0

    async def take(self, event: MultipartSegment | bytearray | bytes | None) -> None:
        """Take what the parser has found: the head of a field, bytes of it, or its end (None)."""
        if isinstance(event, MultipartSegment):
            self._writing = await _begin(self._store, self._folder, event)
        elif self._writing is None:
            return  # it is no file
        elif event is None:
            writing, self._writing = self._writing, None
            await writing.finish()
            self.stored += 1
        else:
            await self._writing.write(bytes(event))

    async def end(self) -> None:
        """Drop the file that is not whole, if there is such a one."""
        if self._writing is not None:
            await self._writing.abort("the form ended in the middle of the file")


async def _begin(store: IObjectStore, folder: str, segment: MultipartSegment) -> _Writing | None:
    # A browser may send the whole path that the file has on its machine.
    name = (segment.filename or "").replace("\\", "/").rpartition("/")[2]
    if not name:
        return None  # a field without a file
    kind = (segment.content_type or "")[:_MOST_TYPE]
    return _Writing(await begin_file(store, folder, name, None, Media(kind if kind.isprintable() else "")))


@implementer(IPushProducer)
class _Writing:
    """Writes one file, as fast as it can be stored."""

    def __init__(self, upload: IUpload) -> None:
        self._upload = upload
        self._full = False
        self._waiting: Deferred[None] | None = None
        self._broken: Exception | None = None
        upload.when_broken().addCallback(self._break)
        upload.registerProducer(self, True)

    def _break(self, problem: Exception) -> None:
        self._broken = problem
        self._go_on()

    def _go_on(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def pauseProducing(self) -> None:
        """Hold the flow."""
        self._full = True

    def resumeProducing(self) -> None:
        """Let it go on."""
        self._full = False
        self._go_on()

    def stopProducing(self) -> None:
        """Hold the flow for good."""
        self.pauseProducing()

    async def write(self, data: bytes) -> None:
        """Write bytes, and wait until there is room for more.

        :raise Exception: the upload has failed.
        """
        self._upload.write(data)
        while self._full and self._broken is None:
            self._waiting = Deferred()
            await self._waiting
        if self._broken is not None:
            raise self._broken

    async def finish(self) -> None:
        """Commit the file."""
        self._upload.unregisterProducer()
        try:
            await self._upload.finish()
        except BaseException as problem:
            await self._upload.abort(reason_of(problem))
            raise

    async def abort(self, reason: str) -> None:
        """Drop the file; after `finish`, nothing happens."""
        await self._upload.abort(reason)


@implementer(IConsumer)
class _Reader:
    """Lets the body of a request be read piece by piece; the client is paused while too much waits."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._producer: Any = None
        self._paused = False
        self._waiting: Deferred[None] | None = None
        self._problem: Exception | None = None
        self._is_over = False

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take the producer of the body."""
        assert streaming
        self._producer = producer

    def unregisterProducer(self) -> None:
        """Take note that the producer has ended."""
        self._producer = None

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self._pieces.append(data)
        self._size += len(data)
        if self._size >= _HELD and not self._paused and self._producer is not None:
            self._paused = True
            self._producer.pauseProducing()
        self._wake()

    def ended(self, result: Any) -> None:
        """Take note of the end of the body."""
        self._is_over = True
        problem = getattr(result, "value", None)
        self._problem = problem if isinstance(problem, BodyBroken) else None
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    async def read(self) -> bytes:
        """Return the next bytes; none at the end.

        :raise BodyBroken: the client left.
        """
        while not self._pieces:
            if self._is_over:
                if self._problem is not None:
                    raise self._problem
                return b""
            self._waiting = Deferred()
            await self._waiting
        pieces, self._pieces, self._size = self._pieces, [], 0
        if self._paused and self._producer is not None:
            self._paused = False
            self._producer.resumeProducing()
        return b"".join(pieces)
