"""Reads that take a block of memory of the size of what has arrived."""

from __future__ import annotations

import termios
from array import array
from collections.abc import Callable
from errno import EWOULDBLOCK
from fcntl import ioctl
from functools import partial
from typing import Any
from weakref import ref

from twisted.internet.main import CONNECTION_LOST
from twisted.internet.tcp import Connection

_LEAST = 1024


def read_to_measure(transport: Any) -> None:
    """Let a plain TCP connection ask the kernel how much has arrived before it reads.

    Twisted reads into a new block of `bufferSize` bytes and then cuts it to what has arrived.  Where what was read is
    kept, as that of a small file is, nothing of 256 KiB fits any more into the gap that its block has left, and the
    next read takes another block at the end of the heap.
    """
    if isinstance(transport, Connection) and type(transport).doRead is Connection.doRead and not transport.TLS:
        # The reactor calls it by this name (interfaces.IReadDescriptor).
        transport.doRead = partial(_read, ref(transport))  # type: ignore[method-assign]


def _read(connection: Callable[[], Any]) -> Any:
    """As `tcp.Connection.doRead`, in a block of the right size.

    :param connection: gives the transport, which would be in a cycle with its own method otherwise.
    """
    transport = connection()
    count = array("i", [0])
    try:
        ioctl(transport.socket, termios.FIONREAD, count)
        data = transport.socket.recv(min(max(count[0], _LEAST), transport.bufferSize))
    except OSError as problem:
        return None if problem.errno == EWOULDBLOCK else CONNECTION_LOST
    receive: Callable[[bytes], Any] = transport._dataReceived
    return receive(data)
