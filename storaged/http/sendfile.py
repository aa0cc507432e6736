"""Sends the body of an answer from a file to the socket inside the kernel."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IWriteDescriptor
from twisted.internet.tcp import Connection
from twisted.python.failure import Failure
from zope.interface import implementer

from storaged.http.body import BodyBroken
from storaged.http.interfaces import IRequest
from storaged.http.reasons import why_client_left
from storaged.http.request import StreamingRequest, own_request
from storaged.system.descriptors import Shortage, shortage_of
from storaged.system.ranges import Span
from storaged.system.read_ahead import WINDOW, ReadAhead

_AT_ONCE = 512 * 1024
"""The most bytes that are sent before other connections get their turn."""

_FIRST = 256 * 1024 + 64
"""The bytes that a large answer begins with: a unit of the usual size, and its checksum."""

_LARGE = 4 * 1024 * 1024
"""An answer of so many bytes is large."""

_REST_S = 0.002
"""How long a large answer rests after its first bytes.

The front sends nothing to its client before it has the first unit of the first part, and the heads of the answers of
all others.  Where nodes share processors with each other or with the front, those that are quick would fill the buffers
of the kernel, 3 MiB each, before the others get to their first byte.
"""


class FileShort(Exception):
    """The file ended before the end of the span."""


def can_send_file(request: IRequest) -> bool:
    """Return whether `send_file` can answer a request: on plain TCP, when the kernel has the head of the answer.

    The head must have been written.
    """
    own = own_request(request)
    transport = own.connection.transport
    if not isinstance(transport, Connection) or transport.TLS or own.is_gone:
        return False
    # The kernel has the head already, unless the client has not yet taken all of an earlier answer.
    return not transport.dataBuffer and not transport._tempDataBuffer


def send_file(request: IRequest, file: int, span: Span, read_ahead: ReadAhead) -> Deferred[None]:
    """Write a span of a file as an answer's body, without its bytes passing through this process.

    `can_send_file` must have returned True.

    :param file: the file's descriptor; it may be closed as soon as this has returned.
    :param read_ahead: reads in bytes that are not cached, because `sendfile` would make the reactor wait for the disk.
    :return: a Deferred that fires with None when the kernel has all bytes.  The answer is not finished here.
        Cancelling it stops the sending, in the middle of the body.
    :raise BodyBroken: the client left before the end.
    :raise FileShort: the file ended before the end of the span.
    :raise OSError: the file cannot be read.
    :raise Shortage: the process lacks file descriptors for it.  This is raised at once, before anything is sent.
    """
    sender = _FileSender(own_request(request), file, span, read_ahead)
    sender.begin()
    return sender.done


def _duplicate(file: int, socket: int) -> tuple[int, int]:
    try:
        own_file = os.dup(file)
        try:
            return own_file, os.dup(socket)
        except BaseException:
            os.close(own_file)
            raise
    except OSError as problem:
        raise Shortage(shortage_of(problem) or str(problem)) from problem


@implementer(IWriteDescriptor, IPushProducer)
class _FileSender:
    """Sends each time the socket has room.

    It uses a descriptor of its own for the connection's socket, because the reactor watches each descriptor for one
    owner only.
    """

    def __init__(self, request: StreamingRequest, file: int, span: Span, read_ahead: ReadAhead) -> None:
        self.done: Deferred[None] = Deferred(lambda _: self._end(Failure(CancelledError())))
        self._read_ahead = read_ahead
        self._fetched = span.start  # the file was read in up to here
        self._request = request
        self._reactor: Any = request.connection.site.reactor
        self._file, self._socket = _duplicate(file, request.connection.transport.fileno())
        self._position = span.start
        self._stop = span.stop
        self._rest_at = span.start + _FIRST if len(span) >= _LARGE else span.stop
        self._resting: IDelayedCall | None = None

    def begin(self) -> None:
        self._request.registerProducer(self, True)
        os.posix_fadvise(self._file, self._position, self._stop - self._position, os.POSIX_FADV_SEQUENTIAL)
        self._reactor.addWriter(self)

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        return self._socket

    def logPrefix(self) -> str:
        """Return the name that the reactor logs."""
        return "file sender"

    def doWrite(self) -> None:
        """Send some bytes: the socket has room."""
        stop = min(self._position + _AT_ONCE, self._stop if self._position >= self._rest_at else self._rest_at)
        if stop > self._fetched and not self._read_ahead.is_cached(self._file, self._position, stop):
            self._fetch()
            return
        try:
            sent = os.sendfile(self._socket, self._file, self._position, stop - self._position)
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            self._end(Failure(BodyBroken("the client left before the end")))
            return
        except OSError:
            self._end(Failure())
            return
        self._position += sent
        if self._position == self._stop:
            self._end(None)
        elif not sent:
            self._end(Failure(FileShort(f"{self._stop - self._position} bytes are missing at {self._position}")))
        elif self._position == self._rest_at:
            self._rest()

    def _rest(self) -> None:
        self._reactor.removeWriter(self)
        self._resting = self._reactor.callLater(_REST_S, self._rested)

    def _rested(self) -> None:
        self._resting = None
        self._reactor.addWriter(self)

    def _fetch(self) -> None:
        self._reactor.removeWriter(self)
        stop = min(self._position + WINDOW, self._stop)
        fetching = self._read_ahead.fetch(self._file, self._position, stop)
        fetching.addCallbacks(self._go_on, self._end, callbackArgs=(stop,))

    def _go_on(self, _: None, fetched: int) -> None:
        if self._socket >= 0:
            self._fetched = fetched
            self._reactor.addWriter(self)

    def connectionLost(self, reason: Failure) -> None:
        """Handle the end of the connection, as the reactor saw it."""
        self._end(Failure(BodyBroken(f"{why_client_left(reason.value)} before the end")))

    def pauseProducing(self) -> None:
        """Do nothing: no other bytes are written to the connection meanwhile, so its buffer is never full."""

    def resumeProducing(self) -> None:
        """Do nothing, as the sender is never paused."""

    def stopProducing(self) -> None:
        """Handle the end of the connection, as its owner saw it."""
        self._end(Failure(BodyBroken("the client left before the end")))

    def _end(self, failure: Failure | None) -> None:
        if self._socket < 0:
            return
        self._reactor.removeWriter(self)
        if self._resting is not None:
            self._resting.cancel()
        # The socket stays open until this descriptor of it is closed, too.
        os.close(self._socket)
        os.close(self._file)
        self._socket = -1
        self._request.unregisterProducer()
        if self.done.called:
            return
        if failure is None:
            self.done.callback(None)
        else:
            self.done.errback(failure)
