"""The system's page cache: checks whether bytes of a file are in it, and reads them in without blocking the reactor."""

from __future__ import annotations

import os

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

WINDOW = 2 * 1024 * 1024
"""Bytes that one call in the pool reads in."""

_READ_SIZE = 256 * 1024
_PROBE_EVERY = 256 * 1024
"""Bytes between two probes.  The kernel reads in spans of at least 128 KiB, so the bytes between two cached probes are
mostly cached, too."""


class ReadAhead:
    """Reads files into the page cache in a pool, so that `sendfile` in the reactor finds their bytes there.

    :param reactor: the reactor whose thread gets the results.
    """

    def __init__(self, pool: ThreadPool, reactor: IReactorFromThreads) -> None:
        self._pool = pool
        self._reactor = reactor
        self._probe = [bytearray(1)]

    def is_cached(self, file: int, start: int, stop: int) -> bool:
        """Return whether a span of a file seems to be in the page cache.  Does not block.

        :param file: the file's descriptor.
        :return: True also if the file system cannot tell.
        """
        probe = self._probe
        try:
            for position in range(start, stop, _PROBE_EVERY):
                os.preadv(file, probe, position, os.RWF_NOWAIT)
            os.preadv(file, probe, stop - 1, os.RWF_NOWAIT)
        except BlockingIOError:
            return False
        except OSError:
            pass  # not supported here, or a read error, which the reader will get
        return True

    def fetch(self, file: int, start: int, stop: int) -> Deferred[None]:
        """Read a span into the page cache.

        :param file: the file's descriptor; it may be closed as soon as this has returned.
        :return: a Deferred that fires with None when the span was read.  Cancelling it only ends the wait.
        :raise OSError: the file cannot be read.
        """
        return deferToThreadPool(self._reactor, self._pool, _fetch, os.dup(file), start, stop)


def _fetch(file: int, start: int, stop: int) -> None:
    try:
        # Read all bytes, piece by piece, so that the kernel reads ahead in long requests: single bytes would leave
        # holes, and WILLNEED takes more processor time than these copies.
        buffer = [bytearray(_READ_SIZE)]
        for position in range(start, stop, _READ_SIZE):
            os.preadv(file, buffer, position)
    finally:
        os.close(file)
