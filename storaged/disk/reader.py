"""Reads a part from a disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from storaged.disk.calls import DiskCalls
from storaged.parts.checks import check_span
from storaged.parts.errors import PartDamaged, PartMissing, StoragedError
from storaged.parts.interfaces import IPartReader
from storaged.system.interfaces import IFile, IFilesystem
from storaged.system.once import Once
from storaged.system.ranges import Span

READ_SIZE = 256 * 1024

_T = TypeVar("_T")


@implementer(IPartReader)
class DiskPartReader:
    """Reads a span of one file.  The file is open from `begin` on, so it can be read even after it is deleted.

    Only one call is in the pool at a time.  The file is closed after that call, never during it.

    :param path: the path of the part.
    :param span: the bytes to read, or None for all.
    """

    _log = Logger()

    def __init__(
        self, part_id: str, path: str, span: Span | None, *, filesystem: IFilesystem, calls: DiskCalls
    ) -> None:
        self._part_id = part_id
        self._path = path
        self._span = span
        self._filesystem = filesystem
        self._calls = calls
        self._file: IFile | None = None
        self._position = 0
        self._stop = 0
        self._answer: Deferred[Any] | None = None  # set while a call is in the pool
        self._closed = False
        self._ending = False
        self._ended: Once[None] = Once()
        self.stored_size = 0

    def begin(self) -> Deferred[None]:
        """Open the file.

        :return: a Deferred that fires with None when the file is open.  Cancelling it closes the reader.
        :raise PartMissing: the part has no file.
        :raise BadSpan: the span is empty or does not lie inside the file.
        """
        return self._ask(self._open)

    def read(self) -> Deferred[bytes]:
        """Read the next bytes; see `IPartReader.read`."""
        if self._closed:
            return fail(self._given_up())
        if self._position == self._stop:
            return succeed(b"")
        return self._ask(self._read_on)

    def descriptor(self) -> tuple[int, Span] | None:
        """Return what the kernel itself can read; see `IPartReader.descriptor`."""
        if self._closed or self._file is None or self._file.fileno() < 0:
            return None
        return self._file.fileno(), Span(self._position, self._stop)

    def close(self) -> None:
        """Stop reading; see `IPartReader.close`."""
        if self._closed:
            return
        self._closed = True
        if self._answer is None:
            self._end()
        elif not self._answer.called:
            self._answer.errback(self._given_up())

    def when_ended(self) -> Deferred[None]:
        """Return a Deferred that fires when the file is closed."""
        return self._ended.wait()

    def _given_up(self) -> CancelledError:
        return CancelledError(f"part {self._part_id}: reading was given up")

    def _ask(self, call: Callable[[], _T]) -> Deferred[_T]:
        answer: Deferred[_T] = Deferred(lambda _: self.close())
        self._answer = answer
        Deferred.fromCoroutine(self._calls.run(f"part {self._part_id}", call)).addBoth(self._answered, answer)
        return answer

    def _answered(self, result: _T | Failure, answer: Deferred[_T]) -> None:
        self._answer = None
        if isinstance(result, Failure):
            self._closed = True
        if self._closed or self._position == self._stop:
            self._end()
        if answer.called:
            return  # the reader was closed meanwhile
        if isinstance(result, Failure):
            answer.errback(result)
        else:
            answer.callback(result)

    def _end(self) -> None:
        if not self._ending:
            self._ending = True
            Deferred.fromCoroutine(self._close_file())

    async def _close_file(self) -> None:
        try:
            if self._file is not None:
                await self._calls.run(f"part {self._part_id}", self._file.close)
        except StoragedError:
            # Harmless: the file was only read, so no byte is lost.
            self._log.failure("closing part {part} after reading it", part=self._part_id)
        self._ended.fire(None)

    # These run in the pool:

    def _open(self) -> None:
        try:
            self._file = self._filesystem.open(self._path, "read")
        except FileNotFoundError as problem:
            raise PartMissing(f"part {self._part_id} is not here") from problem
        self.stored_size = self._file.size
        span = check_span(self._part_id, self._span, self.stored_size)
        self._position, self._stop = span.start, span.stop

    def _read_on(self) -> bytes:
        assert self._file is not None
        count = min(READ_SIZE, self._stop - self._position)
        data = self._file.read_at(self._position, count)
        if len(data) != count:
            raise PartDamaged(f"part {self._part_id}: got {len(data)} bytes at {self._position}, expected {count}")
        self._position += count
        return data
