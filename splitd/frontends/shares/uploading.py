"""Takes the files of a form, or of a PUT, by a link."""

from __future__ import annotations

import hashlib
from typing import Any

import attrs
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from splitd.errors import DocumentChanged, NotAFile, PreconditionFailed, SplitdError
from splitd.frontends.http.answers import Refused
from splitd.interfaces.documents import IDocuments
from splitd.interfaces.store import IObjectStore, IUpload
from splitd.model.conditions import Condition
from splitd.model.documents import Document
from splitd.model.media import Media
from splitd.model.paths import check_path, join
from storaged.http import BodyBroken, IRequest, reason_of
from storaged.system.clocks import WallClock

_ABSENT = Condition(none_match=("*",))
_TRIES = 100
_HELD = 256 * 1024
_MOST_FILES = 1000
_MOST_TYPE = 200

_KIND = "left-name"
_LASTS_MS = 24 * 3600 * 1000
"""How long a name is reserved if the front ends in between.  An upload seldom takes as long; then it is refused at its
end if somebody else has taken the name meanwhile.
"""

_log = Logger()


@attrs.frozen
class Inbox:
    """A collection in which files are left.

    A name is reserved while a file is on its way, for every front: of two people who send `photo.jpg` at the same time,
    neither is refused at the end.

    :param store: the files, as the maker of the link sees them.
    :param folder: the path of the collection.
    :param documents: keeps the names that are reserved.
    :param wall: tells until when.
    """

    store: IObjectStore
    folder: str
    documents: IDocuments
    wall: WallClock

    async def begin(self, name: str, size: int | None, media: Media) -> Left:
        """Begin to store a file under a name that nothing has: "a (2).txt" if "a.txt" is there.  Nobody is told which.

        :raise SplitdError: see `IObjectStore.create`.
        """
        stem, dot, ending = name.rpartition(".")
        if not stem:
            stem, dot, ending = name, "", ""
        for number in range(1, _TRIES):
            path = join(self.folder, name if number == 1 else f"{stem} ({number}){dot}{ending}")
            check_path(path)
            left = await self._begin(path, size, media)
            if left is not None:
                return left
        raise Refused(409, "there are too many files of this name")

    async def _begin(self, path: str, size: int | None, media: Media) -> Left | None:
        """Begin to store a file; None if the path is taken."""
        # To reserve a name takes as long as to store a small file; that something has it is known at once.
        if await self.store.stat(path) is not None:
            return None
        key, ends_ms = hashlib.sha256(path.encode()).hexdigest(), self.wall.steady_ms() + _LASTS_MS
        try:
            reserved = await self.documents.put(Document(_KIND, key, "", "", ends_ms), expected=0)
        except DocumentChanged:
            return None
        try:
            return Left(await self.store.create(path, size, media, _ABSENT), self.documents, reserved)
        except BaseException as problem:
            await _give_back(self.documents, reserved)
            if isinstance(problem, PreconditionFailed | NotAFile):
                return None
            raise


@attrs.frozen
class Left:
    """A file that is being left.

    :param upload: takes its bytes.
    """

    upload: IUpload
    _documents: IDocuments
    _reserved: Document

    async def finish(self) -> None:
        """Commit the file.

        :raise SplitdError: it could not be committed, and is dropped.
        """
        try:
            await self.upload.finish()
        except BaseException as problem:
            await self.abort(reason_of(problem))
            raise
        await _give_back(self._documents, self._reserved)

    async def abort(self, reason: str) -> None:
        """Drop the file; after `finish`, nothing happens."""
        await self.upload.abort(reason)
        await _give_back(self._documents, self._reserved)


async def _give_back(documents: IDocuments, reserved: Document) -> None:
    try:
        await documents.delete(reserved.kind, reserved.key, reserved.revision)
    except DocumentChanged:
        pass  # it took longer than a name is reserved
    except SplitdError as problem:  # the file is stored, or is not: this changes nothing
        _log.warn("a name stays reserved for a day: {problem}", problem=str(problem))


async def receive_form(request: IRequest, inbox: Inbox) -> int:
    """Store the files of a form.

    :return: how many were stored.
    :raise Refused: the body is no such form.
    :raise BodyBroken: the client left; the files before that are stored.
    """
    kind, options = parse_options_header(request.getHeader("Content-Type") or "")
    boundary = options.get("boundary", "")
    if kind != "multipart/form-data" or not boundary:
        raise Refused(415, "this is no form with files")
    reader, form = _Reader(), _Form(inbox)
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

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._writing: _Writing | None = None
        self.stored = 0

    async def take(self, event: MultipartSegment | bytearray | bytes | None) -> None:
        """Take what the parser has found: the head of a field, bytes of it, or its end (None)."""
        if isinstance(event, MultipartSegment):
            self._writing = await _begin(self._inbox, event)
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


async def _begin(inbox: Inbox, segment: MultipartSegment) -> _Writing | None:
    # A browser may send the whole path that the file has on its machine.
    name = (segment.filename or "").replace("\\", "/").rpartition("/")[2]
    if not name:
        return None  # a field without a file
    kind = (segment.content_type or "")[:_MOST_TYPE]
    return _Writing(await inbox.begin(name, None, Media(kind if kind.isprintable() else "")))


@implementer(IPushProducer)
class _Writing:
    """Writes one file, as fast as it can be stored."""

    def __init__(self, left: Left) -> None:
        self._left = left
        self._upload = upload = left.upload
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
        await self._left.finish()

    async def abort(self, reason: str) -> None:
        """Drop the file; after `finish`, nothing happens."""
        await self._left.abort(reason)


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
