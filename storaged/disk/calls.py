"""The blocking calls of a disk: made in a pool, their errors told in our own words."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TypeVar

from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from storaged.parts.errors import NodeUnavailable, NoSpace, StoragedError

_T = TypeVar("_T")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class DiskCalls:
    """Makes blocking calls in a pool.

    :param reactor: the reactor whose thread gets the results.
    :param pool: a pool that is running.
    """

    def __init__(self, reactor: IReactorFromThreads, pool: ThreadPool) -> None:
        self._reactor = reactor
        self._pool = pool

    async def run(self, subject: str, call: Callable[[], _T]) -> _T:
        """Make a call in the pool.  Cancelling gives up its result; the call itself goes on.

        :param subject: what the call is about, for the error's message.
        :raise NoSpace: the disk is full.
        :raise NodeUnavailable: another `OSError`.
        """
        try:
            return await deferToThreadPool(self._reactor, self._pool, call)
        except OSError as problem:
            raise disk_error(subject, problem) from problem


def disk_error(subject: str, problem: OSError) -> StoragedError:
    """What an `OSError` means for a part."""
    kind = NoSpace if problem.errno in _FULL else NodeUnavailable
    return kind(f"{subject}: {problem.strerror or problem}")
