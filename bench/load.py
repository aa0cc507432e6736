"""A client that needs little CPU: one process with epoll and keep-alive.  Large bodies are sent by sendfile; bodies
that need not be checked are discarded unread.

On one core it makes some 30,000 GETs of small files per second, so that the servers are the limit, not the client.
"""

from __future__ import annotations

import copy
import os
import re
import select
import socket
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import attrs
from body import MARK, MIB, PERIOD, Body

STALL_S = 60
_AT_ONCE = 64 * 1024  # a body up to this size is sent together with its head
_PIECE = MIB  # what a connection may send before it is the turn of the others
_LENGTH = re.compile(rb"(?i)\r\ncontent-length:[ \t]*(\d+)")


class Failed(Exception):
    """The server did not do what was requested."""


@attrs.define
class Exchange:
    """One request, and its result once it was made.

    :param size: for a PUT, the bytes to send; for a GET, the bytes that must come, None for any number.
    :param start: the first byte of the wanted range of `size` bytes; None for the whole file.
    :param check: whether to compare the received bytes with the stored ones.
    :ivar first: the time when the first byte of the answer's content came, or its end if it has no content.
    """

    method: str
    path: str
    size: int | None = None
    start: int | None = None
    check: bool = False
    began: float = 0.0
    first: float = 0.0
    ended: float = 0.0

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began


class _Lane:
    """One connection, which makes one exchange after the other."""

    def __init__(self, client: Client, poll: select.epoll, exchanges: Iterator[Exchange]) -> None:
        self._client = client
        self._poll = poll
        self._exchanges = exchanges
        self.socket = socket.create_connection(client.address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        poll.register(self.socket, select.EPOLLIN)

    def begin(self) -> bool:
        """Send the next request; return False if there is none."""
        exchange = next(self._exchanges, None)
        if exchange is None:
            self._poll.unregister(self.socket)
            return False
        self.exchange = exchange
        size = exchange.size or 0 if exchange.method == "PUT" else 0
        at_once = size if size <= _AT_ONCE else min(size, MARK)
        self._head = b""
        self._out = memoryview(self._client.head(exchange) + self._client.body.piece(exchange.path, 0, at_once))
        self._sent, self._size = at_once, size
        self._writing = False
        self._left: int | None = None
        exchange.began = time.perf_counter()
        self._send()
        return True

    def ready(self, events: int) -> bool:
        """Continue the exchange; return True if the answer is complete."""
        if events & select.EPOLLOUT:
            self._send()
        return bool(events & ~select.EPOLLOUT) and self._receive()

    def _send(self) -> None:
        try:
            while self._out:
                more = socket.MSG_MORE if self._sent < self._size else 0
                self._out = self._out[self.socket.send(self._out, more) :]
            if self._sent < self._size:
                offset = self._sent % PERIOD
                count = min(self._size - self._sent, PERIOD - offset, _PIECE)
                self._sent += os.sendfile(self.socket.fileno(), self._client.body.fileno, offset, count)
        except BlockingIOError:
            self._watch(writing=True)
        else:
            self._watch(writing=self._sent < self._size)

    def _watch(self, *, writing: bool) -> None:
        if writing != self._writing:
            self._writing = writing
            self._poll.modify(self.socket, select.EPOLLIN | (select.EPOLLOUT if writing else 0))

    def _receive(self) -> bool:
        buffer = self._client.buffer
        unread = self._left is not None and not self.exchange.check
        try:
            # With MSG_TRUNC the kernel drops the received bytes instead of copying them (man 7 tcp).
            count = self.socket.recv_into(buffer, min(self._left or MIB, MIB), socket.MSG_TRUNC if unread else 0)
        except BlockingIOError:
            return False
        if not count:
            raise Failed(f"{self.exchange.method} {self.exchange.path}: the connection ended before the answer did")
        return self._body(buffer[:count]) if self._left is not None else self._answer(bytes(buffer[:count]))

    def _answer(self, data: bytes) -> bool:
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            return False
        head, content = self._head[:end], self._head[end + 4 :]
        exchange, status = self.exchange, int(head[9:12])
        length = _LENGTH.search(head)
        if status == 100:
            self._head = b""
            return bool(content) and self._answer(content)
        if not 200 <= status < 300 or self._sent < self._size:
            raise Failed(f"{exchange.method} {exchange.path}: {status} {content[:300]!r}")
        if length is None and status != 204:
            raise Failed(f"{exchange.method} {exchange.path}: an answer without Content-Length: {head!r}")
        self._left = self._length = int(length[1]) if length and status != 204 and exchange.method != "HEAD" else 0
        if exchange.method == "GET" and exchange.size not in (None, self._left):
            raise Failed(f"GET {exchange.path}: {self._left} bytes, expected {exchange.size}")
        return self._body(memoryview(content)) if content or not self._left else False

    def _body(self, data: memoryview) -> bool:
        assert self._left is not None
        exchange = self.exchange
        if self._left == self._length:
            exchange.first = time.perf_counter()
        if exchange.check and exchange.method == "GET":
            position = (exchange.start or 0) + self._length - self._left
            if bytes(data) != self._client.body.piece(exchange.path, position, position + len(data)):
                raise Failed(f"GET {exchange.path}: wrong bytes between {position} and {position + len(data)}")
        self._left -= len(data)
        if self._left > 0:
            return False
        exchange.ended = time.perf_counter()
        return True


class Client:
    """Makes requests to one server.

    :param url: the server's URL; its path is put before that of each request.
    :param login: the value of the Authorization header of each request; empty for none.
    :param sign: returns more headers, given the method, and the path and query.
    """

    def __init__(self, url: str, body: Body, login: str = "", sign: Callable[[str, str], str] = lambda *_: "") -> None:
        parts = urlsplit(url)
        self.address = (parts.hostname or "", parts.port or 80)
        self.body = body
        self.buffer = memoryview(bytearray(MIB))
        self._prefix = parts.path.rstrip("/")
        self._host = parts.netloc
        self._login = f"Authorization: {login}\r\n" if login else ""
        self._sign = sign

    def to(self, path: str) -> Client:
        """Return a client of the same server that puts another path before that of each request."""
        other = copy.copy(self)
        other._prefix = f"/{path}"
        return other

    def head(self, exchange: Exchange) -> bytes:
        """Return the head of a request."""
        extra = self._login + self._sign(exchange.method, self._prefix + exchange.path)
        if exchange.method == "PUT":
            extra += f"Content-Length: {exchange.size}\r\n"
        elif exchange.start is not None:
            assert exchange.size
            extra += f"Range: bytes={exchange.start}-{exchange.start + exchange.size - 1}\r\n"
        return f"{exchange.method} {self._prefix}{exchange.path} HTTP/1.1\r\nHost: {self._host}\r\n{extra}\r\n".encode()

    def run(self, connections: int, exchanges: Iterator[Exchange]) -> list[Exchange]:
        """Make requests until there are no more; each connection makes one after the other.

        :param exchanges: the requests; each is taken from the iterator when it is about to begin.
        :return: the exchanges, in the order in which they ended.
        :raise Failed: an answer was not as it should be; no more requests are made.
        """
        done: list[Exchange] = []
        poll = select.epoll()
        lanes = [_Lane(self, poll, exchanges) for _ in range(connections)]
        by_number = {lane.socket.fileno(): lane for lane in lanes}
        try:
            busy = sum(lane.begin() for lane in lanes)
            while busy:
                events = poll.poll(STALL_S)
                if not events:
                    raise Failed(f"nothing came of {busy} requests for {STALL_S} s")
                for number, event in events:
                    lane = by_number[number]
                    if lane.ready(event):
                        done.append(lane.exchange)
                        busy -= not lane.begin()
        finally:
            poll.close()
            for lane in lanes:
                lane.socket.close()
        return done

    def once(self, exchange: Exchange) -> Exchange:
        """Make one request, on its own connection."""
        return self.run(1, iter([exchange]))[0]
