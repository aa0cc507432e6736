"""File descriptors: how many the process may have open, and the errors that mean that it lacks some."""

from __future__ import annotations

import errno
import os
import resource

import attrs
from twisted.internet.error import ConnectError, DNSLookupError

_MOST = 65_536
"""What the limit is raised to at most: each descriptor that is used costs memory, too."""

_LACKS = {
    errno.EMFILE: "this server has no free file descriptors (limit {limit})",
    errno.ENFILE: "this machine has no free file descriptors",
    errno.ENOBUFS: "this machine has no memory for connections",
    errno.ENOMEM: "this machine has no free memory",
}


class Shortage(Exception):
    """The process, or its machine, lacks file descriptors or memory.  Nobody else is at fault."""


@attrs.frozen
class Descriptors:
    """The file descriptors of this process.

    :param limit: how many may be open at once (RLIMIT_NOFILE).
    """

    limit: int

    def used(self) -> int:
        """How many are open now; 0 where the system does not tell."""
        try:
            return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - there may be many
        except OSError:
            return 0

    def divide(self, each: int, kept: int) -> int:
        """How many connections a server can take; at least one.

        :param each: descriptors that a connection needs at most, its own and those of the work that it asks for.
        :param kept: descriptors for all else.
        """
        return max(1, (self.limit - kept) // each)


def present_descriptors() -> Descriptors:
    """The descriptors that the process may have as its limit is now."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Descriptors(_MOST if soft == resource.RLIM_INFINITY else soft)


def raise_limit() -> Descriptors:
    """Raise the process's limit to what it may be raised to, but not above 65,536; a higher one stays."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return present_descriptors()


def shortage_of(problem: BaseException | None) -> str:
    """What the process lacks, where an error of a system call or of a connection means that; else an empty text."""
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
