"""The worker's end of the socket: calls go out together, once in each turn of the reactor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import msgspec
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from splitd.errors import BadName, CatalogAway
from splitd.workers.methods import HELLO, Method
from splitd.workers.wire import CANCEL, DONE, FAILED, NOTHING, Entry, Frames, decode_error, encode_frames

_Result = TypeVar("_Result")

_AWAY = "the process that keeps the catalog does not answer"


class Calls:
    """Calls of methods in the catalog's process.

    Without a connection they fail at once, with `CatalogAway`.  Those in progress when it ends fail with it, too; the
    changes among them may have been made or not.

    :param clock: calls later.
    :ivar told: called with what the catalog's process tells or asks: a number, what of `splitd.workers.wire` it is, and
        the body.
    :ivar greeted: whether the catalog's process has answered `HELLO`; before that, all other calls fail at once.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self.told: Callable[[int, int, msgspec.Raw], object] = lambda *_: None
        self._clock = clock
        self._transport: Any = None
        self._waiting: dict[int, tuple[Deferred[Any], Method[Any]]] = {}
        self._number = 0
        self._entries: list[Entry] = []
        self._flush: IDelayedCall | None = None
        self.greeted = True

    @property
    def in_progress(self) -> int:
        """How many calls have not been answered."""
        return len(self._waiting)

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._transport is not None

    def connect(self, transport: Any) -> None:
        """Use a connection from now on."""
        self._transport = transport

    def disconnect(self) -> None:
        """Let all calls fail, because the connection has ended."""
        self._transport = None
        self._entries.clear()
        waiting, self._waiting = self._waiting, {}
        for result, _ in waiting.values():
            result.errback(CatalogAway(_AWAY))

    def call(self, method: Method[_Result], *arguments: object) -> Deferred[_Result]:
        """Call a method.

        :return: a Deferred that fires as that of the method does.  Cancelling it cancels the method's.
        :raise CatalogAway: there is no connection, or it has ended.
        """
        if self._transport is None or not (self.greeted or method.number == HELLO.number):
            return fail(CatalogAway(_AWAY))
        self._number += 1
        number = self._number
        try:
            entry = method.call(number, arguments)
        except UnicodeEncodeError as problem:
            return fail(BadName(f"{str(problem.object)[:200]!r}: it has a lone surrogate"))
        result: Deferred[_Result] = Deferred(lambda _: self._cancel(number))
        self._waiting[number] = result, method
        self._send(entry)
        return result

    def tell(self, method: Method[None], *arguments: object) -> None:
        """Call a method whose end nobody waits for.  Without a connection this does nothing."""
        if self._transport is not None and self.greeted:
            self._send(method.call(0, arguments))

    def _cancel(self, number: int) -> None:
        if self._waiting.pop(number, None) is not None:
            self._send((number, CANCEL, NOTHING))

    def _send(self, entry: Entry) -> None:
        self._entries.append(entry)
        if self._flush is None:
            self._flush = self._clock.callLater(0, self._write)

    def _write(self) -> None:
        self._flush = None
        entries, self._entries = self._entries, []
        if self._transport is not None:
            for frame in encode_frames(entries):
                self._transport.write(frame)

    def answered(self, entries: list[Entry]) -> None:
        """Take answers."""
        waiting = self._waiting
        for number, what, body in entries:
            if what < FAILED:
                self.told(number, what, body)
                continue
            found = waiting.pop(number, None)
            if found is None:
                continue  # it was cancelled meanwhile
            result, method = found
            try:
                outcome = method.decode_result(body) if what == DONE else Failure(decode_error(body))
            except Exception:  # or nobody would ever tell who waits for it
                outcome = Failure()
            result.callback(outcome)

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abortConnection()

    def stop(self) -> None:
        """End the connection."""
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        if self._transport is not None:
            self._transport.loseConnection()


class CallsProtocol(Protocol):
    """The connection of `Calls`.

    :param lost: called when it has ended.
    """

    _log = Logger()

    def __init__(self, calls: Calls, lost: Callable[[], object] = lambda: None) -> None:
        self._calls = calls
        self._lost = lost
        self._frames = Frames()

    def connectionMade(self) -> None:
        """Use the connection."""
        self._calls.connect(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """Take answers."""
        try:
            for entries in self._frames.feed(data):
                self._calls.answered(entries)
        except ValueError:
            self._log.failure("answers of the catalog's process")
            cast(Any, self.transport).abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002 - Twisted passes it
        """Let all calls fail."""
        self._calls.disconnect()
        self._lost()
