"""What a client says on a new connection before anything else, such as who it is."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from storaged.http.upgrade import format_lines, parse_head
from storaged.system.stalls import limit

_MOST_ANSWER = 16 * 1024

GREETING_S = 5.0
"""Seconds that a greeting may take, if a connection may not take longer."""


@attrs.frozen
class Said:
    """An answer within a greeting.

    :param headers: by lower-case names.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


Exchange = Callable[[str, str, Mapping[str, str]], Deferred[Said]]
"""Sends a request with a method, a path and headers; the Deferred fires with the answer."""

Greeting = Callable[[Exchange], Coroutine[Deferred[Any], Any, None]]
"""Greets the server on a new connection; raises an exception if the connection must not be used."""


class _Greeter(Protocol):
    """Exchanges requests and answers, and afterwards passes the events of the connection to another protocol."""

    transport: Any

    def __init__(self, host: str) -> None:
        self._host = host
        self._got = b""
        self._asked: Deferred[Said] | None = None
        self._inner: IProtocol | None = None
        self._lost: Failure | None = None

    def exchange(self, method: str, path: str, headers: Mapping[str, str]) -> Deferred[Said]:
        asked: Deferred[Said] = Deferred(lambda _: self.transport.abortConnection())
        if self._lost is not None:
            asked.errback(self._lost)
            return asked
        self._asked = asked
        lines = {"Host": self._host, **headers}
        if method != "GET":
            lines["Content-Length"] = "0"
        self.transport.writeSequence(format_lines(f"{method} {path} HTTP/1.1", lines))
        return asked

    def hand_over(self, protocol: IProtocol) -> None:
        self._inner = protocol
        self.__dict__["dataReceived"] = protocol.dataReceived  # spares a call for each block
        protocol.makeConnection(self.transport)
        if self._lost is not None:
            protocol.connectionLost(self._lost)

    def dataReceived(self, data: bytes) -> None:
        self._got += data
        head, end, rest = self._got.partition(b"\r\n\r\n")
        if not end:
            if len(self._got) > _MOST_ANSWER:
                self.transport.abortConnection()
            return
        status, headers = parse_head(head)
        length = headers.get("content-length", "0")
        size = int(length) if length.isdecimal() else _MOST_ANSWER + 1
        if size > _MOST_ANSWER or len(rest) > size:
            self.transport.abortConnection()
        elif len(rest) == size:
            self._got = b""
            asked, self._asked = self._asked, None
            if asked is None:
                self.transport.abortConnection()  # nothing was asked
            elif not asked.called:
                asked.callback(Said(status, headers, rest))

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self._lost = reason
        asked, self._asked = self._asked, None
        if self._inner is not None:
            self._inner.connectionLost(reason)
        elif asked is not None and not asked.called:
            asked.errback(reason)


class _Greeters(Factory):
    noisy = False

    def __init__(self, host: str) -> None:
        self._host = host

    def buildProtocol(self, _addr: Any) -> _Greeter:
        return _Greeter(self._host)


@implementer(IStreamClientEndpoint)
class GreetingEndpoint:
    """Connects, and greets the server before the connection is used.

    :param endpoint: where to connect.
    :param host: the value of `Host`.
    :param greet: greets.
    :param clock: schedules calls.
    :param timeout_s: how long the greeting may take.
    """

    def __init__(
        self, endpoint: IStreamClientEndpoint, host: str, greet: Greeting, clock: IReactorTime, timeout_s: float
    ) -> None:
        self._endpoint = endpoint
        self._host = host
        self._greet = greet
        self._clock = clock
        self._timeout_s = timeout_s

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        """Connect; see `IStreamClientEndpoint`.

        :raise Exception: the greeting has failed; the connection is cut.
        """
        return Deferred.fromCoroutine(self._connect(factory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        greeter: Any = await self._endpoint.connect(_Greeters(self._host))
        greeting = Deferred.fromCoroutine(self._greet(greeter.exchange))
        try:
            await limit(greeting, self._timeout_s, self._clock)
        except BaseException:
            greeter.transport.abortConnection()
            raise
        protocol = factory.buildProtocol(greeter.transport.getPeer())
        if protocol is None:
            greeter.transport.abortConnection()
            raise ConnectionAborted("the connection is not wanted any more")
        greeter.hand_over(protocol)
        return protocol
