"""The processes that make thumbnails: a few, started when they are needed, and ended when they are not."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, DeferredSemaphore
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from splitd.frontends.console.thumbnails import painting
from storaged.system.buffers import Piece
from storaged.system.once import Once

PROCESSES = 2
"""How many thumbnails are made at once."""

IDLE_S = 60.0
"""How long the processes wait for more."""

_LONGEST_S = 60.0
"""How long one image may take.  The process also bounds its own processor time, much shorter."""

_MOST_SAID = 500

_ENVIRONMENT = ("LD_LIBRARY_PATH", "PATH", "PYTHONPATH")
"""All that the processes inherit: the front's environment may hold secrets."""


class NotPainted(Exception):
    """No thumbnail can be made of an image; the message says why."""


class Broken(NotPainted):
    """The process that should make a thumbnail has ended: of this image, or of something else."""


class Painters:
    """Makes thumbnails, in processes of their own.

    :param reactor: starts the processes.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._turns = DeferredSemaphore(PROCESSES)
        self._idle: list[_Painter] = []
        self._all: set[_Painter] = set()
        self._ending: Any = None
        self._is_stopped = False

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._turns.waiting)

    def turn(self) -> Deferred[Any]:
        """Wait for one's turn to `paint`, after which `release` must be called.

        :return: a Deferred that fires when it is one's turn.  Cancelling it ends the wait.
        """
        return self._turns.acquire()

    def release(self) -> None:
        """Let the next one have a turn."""
        self._turns.release()

    async def paint(self, size: int, read: Callable[[], Awaitable[Sequence[Piece]]]) -> bytes:
        """Return the thumbnail of an image, as WebP.

        :param size: the bytes of the image.
        :param read: returns the next bytes of the image, and none at their end.
        :raise Broken: the process has ended.
        :raise NotPainted: it is no image of a known format, is too large or damaged.
        """
        if self._is_stopped:
            raise Broken("the front stops")
        painter = self._idle.pop() if self._idle else self._start()
        try:
            made = await painter.paint(size, read)
        except NotPainted:
            self._rest(painter)
            raise
        except Exception:
            painter.kill()  # it waits for bytes that will not come
            raise
        self._rest(painter)
        return made

    async def stop(self) -> None:
        """End all processes, and start no others."""
        self._is_stopped = True
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        ended = [each.ended.wait() for each in self._all]
        for each in list(self._all):
            each.kill()
        await DeferredList(ended)

    def _start(self) -> _Painter:
        painter = _Painter(self._reactor)
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        arguments = [sys.executable, "-m", painting.__name__]
        self._reactor.spawnProcess(painter, sys.executable, arguments, env={**environment, "MALLOC_ARENA_MAX": "1"})
        self._all.add(painter)
        painter.ended.wait().addCallback(self._gone, painter)
        return painter

    def _gone(self, _: None, painter: _Painter) -> None:
        self._all.discard(painter)
        with suppress(ValueError):
            self._idle.remove(painter)

    def _rest(self, painter: _Painter) -> None:
        if painter not in self._all or self._is_stopped:
            return
        self._idle.append(painter)
        if self._ending is not None:
            self._ending.cancel()
        self._ending = self._reactor.callLater(IDLE_S, self._end_idle)

    def _end_idle(self) -> None:
        self._ending = None
        for each in list(self._idle):
            each.kill()


class _Painter(ProcessProtocol):
    """One process.

    :ivar ended: fires when it has ended.
    """

    _log = Logger()

    def __init__(self, clock: Any) -> None:
        self.ended: Once[None] = Once()
        self._clock = clock
        self._received = b""
        self._said = b""
        self._is_killed = False
        self._answer: Once[bytes] = Once()

    async def paint(self, size: int, read: Callable[[], Awaitable[Sequence[Piece]]]) -> bytes:
        answer = self._answer = Once()
        process: Any = self.transport
        process.write(painting.LENGTH.pack(size))
        while not self.ended.fired and (pieces := await read()):
            for piece in pieces:
                process.write(bytes(piece))
        overdue = self._clock.callLater(_LONGEST_S, self.kill)
        try:
            return await answer.wait()
        finally:
            if overdue.active():
                overdue.cancel()

    def kill(self) -> None:
        self._is_killed = True
        process: Any = self.transport
        with suppress(ProcessExitedAlready):
            process.signalProcess("KILL")

    def outReceived(self, data: bytes) -> None:
        """Take a part of an answer."""
        self._received += data
        if len(self._received) < painting.HEAD.size:
            return
        is_made, length = painting.HEAD.unpack_from(self._received)
        if length > painting.MOST_ANSWER:
            self.kill()
        elif len(self._received) >= painting.HEAD.size + length:
            body, self._received = self._received[painting.HEAD.size :], b""
            why = body[:_MOST_SAID].decode("utf-8", "replace")  # which is kept for as long as the image is unfit
            self._answer.fire(body if is_made else Failure(NotPainted(why)))

    def errReceived(self, data: bytes) -> None:
        """Keep the end of what it says."""
        self._said = (self._said + data)[-_MOST_SAID:]

    def processEnded(self, reason: Failure) -> None:
        """Tell the one who waits that there will be no answer."""
        if not self._is_killed:
            said = self._said.decode(errors="replace")
            self._log.warn("a process that makes thumbnails: {why} {said}", why=reason.getErrorMessage(), said=said)
        self.ended.fire(None)
        self._answer.fire(Failure(Broken("it takes too much to decode, or breaks the decoder")))
