"""Whether clients take what was written to them."""

from __future__ import annotations

import socket
import termios
from array import array
from collections.abc import Callable
from fcntl import ioctl
from typing import Any


def count_unsent(transport: Any) -> int:
    """Return how many of the bytes written to a connection the other side's kernel has not acknowledged.

    :param transport: of a stream socket, with or without TLS.
    """
    below = getattr(transport, "transport", transport)  # the transport below TLS
    kept = len(below.dataBuffer) - below.offset + below._tempDataLen  # abstract.FileDescriptor
    count = array("i", [0])
    ioctl(below.socket, termios.TIOCOUTQ, count)  # tcp(7), SIOCOUTQ
    return int(kept + count[0])


class Uptake:
    """Tells of a connection whether its client still takes what was written.

    :param limit_s: seconds after which the kernel ends the connection if the client takes nothing; None for no limit.
    :param held: returns how many bytes wait that the transport does not have yet.
    """

    def __init__(self, transport: Any, limit_s: float | None, held: Callable[[], int]) -> None:
        self._transport = transport
        self._held = held
        self._is_limited = limit_s is not None and hasattr(transport.getPeer(), "port")
        self._last = 0
        if limit_s is not None and self._is_limited:
            transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(limit_s * 1000))  # tcp(7)

    def goes_on(self) -> bool:
        """Return whether some bytes were not taken yet, and either some were since the last call, or the kernel limits
        how long the client may take none.
        """
        last, self._last = self._last, self._held() + count_unsent(self._transport)
        return self._last > 0 and (self._is_limited or self._last != last)
