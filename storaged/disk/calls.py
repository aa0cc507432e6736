"""Makes blocking calls for a disk in a pool, and turns their `OSError` into a `StoragedError`."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TypeVar

from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from storaged.parts.errors import NodeUnavailable, NoSpace, PartDamaged, StoragedError
from storaged.system.descriptors import shortage_of
from storaged.system.os_errors import os_reason

_T = TypeVar("_T")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class DiskCalls:
    """Makes blocking calls in a pool.

    :param reactor: the reactor whose thread gets the results.
    :param pool: a running pool.
    """

    def __init__(self, reactor: IReactorFromThreads, pool: ThreadPool) -> None:
        self._reactor = reactor
        self._pool = pool

    async def run(self, subject: str, call: Callable[[], _T]) -> _T:
        """Make a call in the pool.  Cancelling discards its result; the call itself continues.

        :param subject: what the call is about, for the error's message.
        :return: the result of the call.
        :raise NoSpace: the disk or a quota is full.
        :raise NodeUnavailable: the call raised any other `OSError`.
        """
        try:
            return await deferToThreadPool(self._reactor, self._pool, call)
        except OSError as problem:
            raise disk_error(subject, problem) from problem


def disk_error(subject: str, problem: OSError) -> StoragedError:
    """Turn an `OSError` into `NoSpace` if the disk or a quota is full, otherwise into `NodeUnavailable`."""
    kind = NoSpace if problem.errno in _FULL else NodeUnavailable
    return kind(f"{subject}: {shortage_of(problem) or os_reason(problem)}")


def read_error(subject: str, problem: OSError) -> StoragedError:
    """Turn an `OSError` of reading an existing part into an error of the part.

    :return: `NodeUnavailable` if the process lacks file descriptors or memory, which says nothing about the part;
        otherwise `PartDamaged`.
    """
    if shortage_of(problem):
        return disk_error(subject, problem)
    return PartDamaged(f"{subject}: {os_reason(problem)}")
