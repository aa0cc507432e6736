"""The worker's end of the socket: calls go out together, once in each turn of the reactor."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from splitd.errors import BadName, CatalogAway
from splitd.workers.methods import Method
from splitd.workers.wire import CANCEL, DONE, NOTHING, Entry, Frames, decode_error, encode_frame

_Result = TypeVar("_Result")

_AWAY = "the process that keeps the catalog does not answer"


class Calls:
    """Calls of methods in the catalog's process.

    Without a connection they fail at once, with `CatalogAway`.  Those in progress when it ends fail with it, too; the
    changes among them may have been made or not.

    :param clock: calls later.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._transport: Any = None
        self._waiting: dict[int, tuple[Deferred[Any], Method[Any]]] = {}
        self._number = 0
        self._entries: list[Entry] = []
        self._flush: IDelayedCall | None = None
        self.is_silent = False

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
        self.give_up()

    def give_up(self) -> None:
        """Let all calls in progress fail: nobody knows whether their changes are made."""
        waiting, self._waiting = self._waiting, {}
        for result, _ in waiting.values():
            result.errback(CatalogAway(_AWAY))

    def call(self, method: Method[_Result], *arguments: object) -> Deferred[_Result]:
        """Call a method.

        :return: a Deferred that fires as that of the method does.  Cancelling it cancels the method's.
        :raise CatalogAway: there is no connection, or it has ended.
        """
        if self._transport is None or self.is_silent:
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
        if self._transport is not None:
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
        if entries and self._transport is not None:
            self._transport.write(encode_frame(entries))

    def answered(self, entries: list[Entry]) -> None:
        """Take answers."""
        waiting = self._waiting
        for number, what, body in entries:
            found = waiting.pop(number, None)
            if found is None:
                continue  # it was cancelled meanwhile
            result, method = found
            if what == DONE:
                result.callback(method.decode_result(body))
            else:
                result.errback(decode_error(body))

    def stop(self) -> None:
        """End the connection."""
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        if self._transport is not None:
            self._transport.loseConnection()


class CallsProtocol(Protocol):
    """The connection of `Calls`."""

    _log = Logger()

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
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
