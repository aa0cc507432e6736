"""Reads from connections into blocks of memory that are as large as the bytes that have arrived."""

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
    """Make a plain TCP connection ask the kernel, before each read, how many bytes have arrived.

    Twisted reads into a new block of `bufferSize` bytes, and then shrinks it to the bytes that have arrived.  If those
    are kept, as the bytes of a small file are, the gap that is left is too small for a block of 256 KiB, and the next
    read takes a new block at the end of the heap.
    """
    if isinstance(transport, Connection) and type(transport).doRead is Connection.doRead and not transport.TLS:
        # The reactor calls it by this name (interfaces.IReadDescriptor).
        transport.doRead = partial(_read, ref(transport))  # type: ignore[method-assign]


def _read(connection: Callable[[], Any]) -> Any:
    """Read like `tcp.Connection.doRead`, into a block of the right size.

    :param connection: returns the transport, which otherwise would be in a reference cycle with its own method.
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
