"""The errors of the operating system in plain words."""

from __future__ import annotations

import errno
import socket

_CONNECTIONS = {
    errno.ECONNABORTED: "the connection was cut",
    errno.ECONNREFUSED: "the connection was refused",
    errno.ECONNRESET: "the other side reset the connection",
    errno.EHOSTDOWN: "the host is down",
    errno.EHOSTUNREACH: "there is no route to the host",
    errno.ENETUNREACH: "there is no route to the network",
    errno.EPIPE: "the other side closed the connection",
    errno.ETIMEDOUT: "the other side does not answer",
}
"""Errors of connections, whose names say no more than the words."""


def os_reason(problem: OSError) -> str:
    """Return what an error means, without the file that it is about: `No space left on device (ENOSPC)`."""
    if isinstance(problem, socket.gaierror):
        return "the host name is not known"
    if problem.errno is None or problem.strerror is None:
        return str(problem) or type(problem).__name__
    if problem.errno in _CONNECTIONS:
        return _CONNECTIONS[problem.errno]
    name = errno.errorcode.get(problem.errno)
    return f"{problem.strerror} ({name})" if name else str(problem.strerror)
