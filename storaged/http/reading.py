"""Reads from connections into blocks of memory that are as large as the bytes that have arrived."""

from __future__ import annotations

import termios
from array import array
from errno import EWOULDBLOCK
from fcntl import ioctl
from typing import Any
from weakref import ref

from twisted.internet.main import CONNECTION_LOST
from twisted.internet.tcp import Connection

SMALL = 16 * 1024
"""A read of fewer bytes than this, as most requests have, is made into memory that all connections share."""

_LEAST = 1024
"""The fewest bytes of a block, where the kernel is asked."""

_shared = memoryview(bytearray(SMALL))  # of the reactor's thread, which copies the bytes out before it reads again


def read_to_measure(transport: Any) -> Reader:
    """Make a plain TCP connection read into blocks of the right size.

    Twisted reads into a new block of `bufferSize` bytes, and then shrinks it to the bytes that have arrived.  If those
    are kept, as the bytes of a small file are, the gap that is left is too small for a block of 256 KiB, and the next
    read takes a new block at the end of the heap.

    :return: its reader, which can be told what is expected.  With TLS the reader has nothing to do.
    """
    reader = Reader(transport)
    if isinstance(transport, Connection) and type(transport).doRead is Connection.doRead and not transport.TLS:
        # The reactor calls it by this name (interfaces.IReadDescriptor).
        transport.doRead = reader.read  # type: ignore[method-assign]
    return reader


class Reader:
    """Reads from one connection.

    A small read is copied.  After one that was not small, the kernel is asked before each read how many bytes have
    arrived, which costs a call more, and no copy.

    :ivar expects_much: whether the kernel is asked in any case, because more than a small read is to come.  Otherwise
        the first read of a large body would take a small piece of it, and each piece has its cost.
    """

    __slots__ = ("_is_small", "_transport", "expects_much")

    def __init__(self, transport: Any) -> None:
        self._transport = ref(transport)  # otherwise it would be in a reference cycle with its own method
        self._is_small = True
        self.expects_much = False

    def read(self) -> Any:
        """Read once, in place of `Connection.doRead`."""
        transport: Any = self._transport()
        most = transport.bufferSize
        try:
            if self._is_small and not self.expects_much:
                size = transport.socket.recv_into(_shared, min(SMALL, most))
                data = bytes(_shared[:size])
            else:
                count = array("i", [0])
                ioctl(transport.socket, termios.FIONREAD, count)
                data = transport.socket.recv(min(max(count[0], _LEAST), most))
        except OSError as problem:
            return None if problem.errno == EWOULDBLOCK else CONNECTION_LOST
        self._is_small = len(data) < SMALL
        return transport._dataReceived(data)
