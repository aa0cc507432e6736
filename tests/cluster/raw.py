"""A client that behaves as no correct client does: it sends half a body, waits, reads nothing, or leaves."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure


@attrs.frozen
class RawAnswer:
    """An answer as it came: its status, its headers by lower-case name, and its body if its length is known."""

    code: int
    headers: dict[str, str]
    body: bytes


class RawClient(Protocol):
    """One connection."""

    transport: Any

    def __init__(self) -> None:
        self.received = bytearray()
        self.total = 0
        self.ended = False
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self.total += len(data)
        self._look()

    def connectionLost(self, reason: Failure | None = None) -> None:  # noqa: ARG002 - a test asks whether, not why
        self.ended = True
        self._look()

    def _look(self) -> None:
        waiting, self._waiting = self._waiting, []
        for holds, told in waiting:
            if holds() or self.ended:
                told.callback(None)
            else:
                self._waiting.append((holds, told))

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until a condition holds for the received bytes, or the connection has ended."""
        if not holds() and not self.ended:
            told: Deferred[None] = Deferred()
            self._waiting.append((holds, told))
            await told

    async def until_ended(self) -> bytes:
        """Return all bytes that come before the connection ends."""
        await self.until(lambda: False)
        return bytes(self.received)

    def send(self, *pieces: bytes) -> None:
        self.transport.write(b"".join(pieces))

    def begin(self, method: str, path: str, *headers: str) -> None:
        """Send the head of a request."""
        lines = [f"{method} {path} HTTP/1.1", "Host: test", *headers, "", ""]
        self.send("\r\n".join(lines).encode())

    async def answer(self, method: str = "GET") -> RawAnswer:
        """Return the next answer; `100 Continue` counts as one.

        :param method: that of the request: the answer to a HEAD tells the length of a body that does not come.
        """
        await self.until(lambda: b"\r\n\r\n" in self.received)
        head = bytes(self.received).partition(b"\r\n\r\n")[0]
        assert head, "the connection ended without an answer"
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        code = int(status.split()[1])
        size = 0 if code in {100, 204, 304} or method == "HEAD" else int(headers.get("content-length", "0"))
        start = len(head) + 4
        await self.until(lambda: len(self.received) >= start + size)
        body = bytes(self.received[start : start + size])
        del self.received[: start + size]
        return RawAnswer(code, headers, body)

    def unsent(self) -> int:
        """How many bytes the other side has not accepted yet."""
        return len(self.transport.dataBuffer) - self.transport.offset + sum(map(len, self.transport._tempDataBuffer))

    def leave(self) -> None:
        """Close the connection properly."""
        self.transport.loseConnection()

    def reset(self) -> None:
        """Reset the connection."""
        self.transport.abortConnection()

    def stop_reading(self) -> None:
        self.transport.pauseProducing()

    def read_on(self) -> None:
        self.transport.resumeProducing()


async def connect(port: int, receive_buffer: int | None = None) -> RawClient:
    """Make a connection to a port of this machine.

    :param receive_buffer: how many bytes the kernel keeps for a client that does not read.
    """
    from twisted.internet import reactor

    client = await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), RawClient())
    if receive_buffer is not None:
        client.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    return client
