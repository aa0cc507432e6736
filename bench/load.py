"""A client that costs little: raw sockets, keep-alive, bodies sent with sendfile, answers thrown away as they come."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

RECEIVE = 1024 * 1024


class Failed(Exception):
    """The server did not do what was asked."""


class Connection:
    """One connection to a server, kept between requests."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.netloc
        self._socket = socket.create_connection((parts.hostname, parts.port or 80))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = memoryview(bytearray(RECEIVE))

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def put(self, path: str, file: int, size: int) -> None:
        """Send a file; returns when it is answered."""
        head = f"PUT {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Length: {size}\r\n\r\n"
        self._socket.sendall(head.encode(), socket.MSG_MORE)
        offset = 0
        while offset < size:
            offset += os.sendfile(self._socket.fileno(), file, offset, size - offset)
        self._answer(path, {201, 204})

    def ask(self, method: str, path: str, allowed: set[int]) -> float:
        """A request without a body.  Returns the seconds until the answer's head was there."""
        began = time.perf_counter()
        self._socket.sendall(f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode())
        return self._answer(path, allowed) - began

    def _answer(self, path: str, allowed: set[int]) -> float:
        head = b""
        while b"\r\n\r\n" not in head:
            data = self._socket.recv(65536)
            if not data:
                raise Failed(f"{path}: the connection ended before an answer")
            head += data
        told = time.perf_counter()
        head, _, body = head.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        left = length - len(body)
        while left > 0:
            count = self._socket.recv_into(self._buffer, min(left, RECEIVE))
            if not count:
                raise Failed(f"{path}: {left} bytes of {length} are missing")
            left -= count
        if status not in allowed:
            raise Failed(f"{path}: {status} {body[:200]!r}")
        return told


def random_file(size: int) -> tuple[int, Callable[[], None]]:
    """A file of random bytes in memory-backed storage where there is one: its descriptor, and what closes it."""
    folder = "/dev/shm" if Path("/dev/shm").is_dir() else None
    file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - the caller closes it
    block = os.urandom(1024 * 1024)
    for start in range(0, size, len(block)):
        file.write(block[: size - start])
    file.flush()
    return file.fileno(), file.close


def run_threads(count: int, work: Callable[[int], None]) -> float:
    """Do something in several threads at once; the seconds until the last has ended.

    :raise Exception: what the first that failed has raised.
    """
    problems: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    if problems:
        raise problems[0]
    return took
