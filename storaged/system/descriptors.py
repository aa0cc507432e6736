"""File descriptors: the limit of the process, and the errors that mean that it has no free ones."""

from __future__ import annotations

import errno
import os
import resource

import attrs
from twisted.internet.error import ConnectError, DNSLookupError

_MOST = 65_536
"""The most that the limit is raised to, because each used descriptor also takes memory."""

_LACKS = {
    errno.EMFILE: "this server has no free file descriptors (limit {limit})",
    errno.ENFILE: "this machine has no free file descriptors",
    errno.ENOBUFS: "this machine has no memory for connections",
    errno.ENOMEM: "this machine has no free memory",
}


class Shortage(Exception):
    """The process or its machine lacks file descriptors or memory.  No other machine is at fault."""


@attrs.frozen
class Descriptors:
    """The file descriptors of this process.

    :param limit: how many may be open at once (RLIMIT_NOFILE).
    """

    limit: int

    def used(self) -> int:
        """Return the number of open descriptors; 0 if the system does not report it."""
        try:
            return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - there may be many
        except OSError:
            return 0

    def divide(self, each: int, kept: int) -> int:
        """Return the number of connections that a server can have; at least one.

        :param each: the most descriptors that a connection needs, for itself and for the work of its requests.
        :param kept: the descriptors for everything else.
        """
        return max(1, (self.limit - kept) // each)


def present_descriptors() -> Descriptors:
    """Return the descriptors of this process with its present limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Descriptors(_MOST if soft == resource.RLIM_INFINITY else soft)


def raise_limit() -> Descriptors:
    """Raise the limit of the process as far as it may, but not above 65,536; a higher limit stays.

    :return: the descriptors with the new limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return present_descriptors()


def shortage_of(problem: BaseException | None) -> str:
    """Return what the process lacks, if an error of a system call or of a connection means that it lacks something;
    otherwise an empty text.
    """
    if isinstance(problem, ConnectError):
        return _text(problem.osError)
    if isinstance(problem, DNSLookupError):
        # The resolver does not say why it failed.
        return _try_to_open()
    return _text(problem.errno) if isinstance(problem, OSError) else ""


def _try_to_open() -> str:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as problem:
        return _text(problem.errno)
    return ""


def _text(number: int | None) -> str:
    text = _LACKS.get(number, "") if number is not None else ""
    return text.format(limit=present_descriptors().limit) if text else ""
