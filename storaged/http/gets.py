"""GET requests to one server, on connections that are kept for further ones.

Parts are read by them: by Twisted's Agent, the six requests for a large file took the front nearly twice the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IDelayedCall, IProtocol, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from zope.interface import implementer

from storaged.http.get_connection import GetAnswer, GetConnection, NothingAnswered


class _Factory(Factory):
    """Makes one connection."""

    noisy = False

    def __init__(self, connection: GetConnection) -> None:
        self._connection = connection

    def buildProtocol(self, _addr: Any) -> GetConnection:
        return self._connection


class Gets:
    """Sends GET requests to one server.

    :param endpoint: returns what connects to it, for each connection anew.
    :param host: the value of `Host`.
    :param clock: schedules calls.
    :param idle_timeout_s: seconds for which an idle connection is kept.
    :param most_idle: returns how many idle connections may be kept.
    """

    def __init__(
        self,
        endpoint: Callable[[], IStreamClientEndpoint],
        host: str,
        clock: Any,
        *,
        idle_timeout_s: float,
        most_idle: Callable[[], int],
    ) -> None:
        self._endpoint = endpoint
        self._host = host
        self._clock = clock
        self._idle_timeout_s = idle_timeout_s
        self._most_idle = most_idle
        self._idle: dict[GetConnection, IDelayedCall] = {}  # the one used last is the last
        self._generation = 0
        self._closed = False

    async def get(self, path: str, headers: Mapping[Any, Any]) -> GetAnswer:
        """Send a request, once more if a kept connection turns out to be closed.

        :param path: begins with a slash.
        :return: the answer, whose body is not read yet.
        """
        request = _encode(path, {"Host": self._host, **headers})
        while (kept := self.take()) is not None:
            try:
                return await kept.ask(request)
            except NothingAnswered:
                continue
        connection = GetConnection(self, self._generation)
        await self._endpoint().connect(_Factory(connection))
        return await connection.ask(request)

    def take(self) -> GetConnection | None:
        """Return an idle connection, which is not kept any more; None if there is none."""
        if not self._idle:
            return None
        connection, timer = self._idle.popitem()
        timer.cancel()
        return connection

    def keep(self, connection: GetConnection) -> None:
        """Keep a connection whose answer has ended, for a further request."""
        if self._closed or connection.generation != self._generation or len(self._idle) >= self._most_idle():
            connection.abort()
        else:
            self._idle[connection] = self._clock.callLater(self._idle_timeout_s, connection.abort)

    def forget(self, connection: GetConnection) -> None:
        """Take note that a connection has ended."""
        timer = self._idle.pop(connection, None)
        if timer is not None and timer.active():
            timer.cancel()

    def renew(self) -> Deferred[Any]:
        """Send no further request on a connection that exists now.

        :return: a Deferred that fires when the idle ones are closed.
        """
        self._generation += 1
        idle = list(self._idle)
        for connection in idle:
            connection.abort()
        return DeferredList([connection.lost for connection in idle])

    def close(self) -> Deferred[Any]:
        """Keep no connection any more.

        :return: a Deferred that fires when the idle ones are closed.
        """
        self._closed = True
        return self.renew()


@implementer(IStreamClientEndpoint)
class Reusing:
    """Connects another client: by a connection of these requests that is idle, or by an endpoint."""

    def __init__(self, gets: Gets, endpoint: IStreamClientEndpoint) -> None:
        self._gets = gets
        self._endpoint = endpoint

    def connect(self, factory: Any) -> Deferred[IProtocol]:
        """Connect; see `IStreamClientEndpoint`."""
        idle = self._gets.take()
        if idle is None:
            return self._endpoint.connect(factory)
        factory.noisy = False
        protocol = factory.buildProtocol(idle.transport.getPeer())
        idle.hand_over(protocol)
        return succeed(protocol)


def _encode(path: str, headers: Mapping[Any, Any]) -> bytes:
    """Return the head of a request; line ends in values become spaces."""
    lines = [f"GET {path} HTTP/1.1"]
    for name, value in headers.items():
        line = f"{_text(name)}: {_text(value)}"
        lines.append(" ".join(line.splitlines()) if "\r" in line or "\n" in line else line)
    return "\r\n".join([*lines, "", ""]).encode("utf-8")


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8")
