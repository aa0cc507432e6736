"""Computes MD5 in a thread, while the bytes go on: at 0.8 GB/s it is the slowest step of an upload."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from storaged.system.parallel import InThread

INLINE = 64 * 1024
"""Bytes that are hashed at once: to ask a thread would cost more."""

HELD = 4 * 1024 * 1024
"""The most bytes that wait for the thread before the client is paused."""


class ThreadedMD5:
    """The MD5 of one body.

    :param in_thread: runs a call in a thread.
    :param set_full: called with True when too many bytes wait, and with False when they do not any more.
    """

    def __init__(self, in_thread: InThread, set_full: Callable[[bool], None]) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._in_thread = in_thread
        self._set_full = set_full
        self._waiting: list[bytes] = []
        self._held = 0
        self._is_full = False
        self._running = False
        self._failure: Failure | None = None
        self._done: Deferred[bytes] | None = None

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        self._waiting.append(data)
        self._held += len(data)
        if self._held >= INLINE and not self._running:
            self._run()
        if self._held > HELD and not self._is_full:
            self._is_full = True
            self._set_full(True)

    def _run(self) -> None:
        pieces, self._waiting = self._waiting, []
        self._running = True
        update = self._md5.update

        def work() -> int:
            for piece in pieces:
                update(piece)
            return sum(map(len, pieces))

        self._in_thread(work).addCallbacks(self._ran, self._failed)

    def _ran(self, size: int) -> None:
        self._running = False
        self._held -= size
        if self._held >= INLINE:
            self._run()
        elif self._done is not None:
            self._end(self._done)
        # This comes last: more bytes may come at once, and begin another run.
        if self._is_full and self._held <= HELD // 2:
            self._is_full = False
            self._set_full(False)

    def _failed(self, failure: Failure) -> None:
        self._running = False
        self._failure = failure
        if self._done is not None:
            self._done.errback(failure)

    def digest(self) -> Deferred[bytes]:
        """Return the MD5, after the last byte; called once.

        :return: a Deferred that fires with 16 bytes.
        """
        if not self._running:
            if self._failure is not None:
                self._done = Deferred()
                self._done.errback(self._failure)
                return self._done
            self._hash_rest()
            return succeed(self._md5.digest())
        self._done = Deferred()
        return self._done

    def _end(self, done: Deferred[bytes]) -> None:
        self._hash_rest()
        done.callback(self._md5.digest())

    def _hash_rest(self) -> None:
        for piece in self._waiting:
            self._md5.update(piece)
        self._waiting = []
