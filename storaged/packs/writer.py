"""A small part on its way into a pack: it gathers in memory, and is put when it is whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from storaged.errors import BadPart, StoragedError
from storaged.interfaces import IPartWriter, PartInfo
from storaged.once import Once
from storaged.packs.store import PackStore
from storaged.partfile import PartChecker, PartId


@implementer(IPartWriter)
class PackedPartWriter:
    """Checks one part and keeps it until it is whole; it is small, and so pauses nobody.

    :param stored: the bytes the part will take.
    :param packs: where it is put.
    """

    def __init__(self, part: PartId, stored: int, packs: PackStore) -> None:
        self._part = part
        self._packs = packs
        self._checker = PartChecker(part, stored)
        self._pieces: list[bytes] = []
        self._finishing = False
        self._problem: Exception | None = None
        self._broken: Once[Exception] = Once()
        self._ended: Once[PartInfo] = Once()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take a producer, which is never paused."""

    def unregisterProducer(self) -> None:
        """Let the producer go."""

    def write(self, data: bytes) -> None:
        """Take the next stored bytes."""
        if self._finishing or self._problem is not None:
            return
        try:
            self._checker.feed(data)
        except BadPart as problem:
            self._break(problem)
            return
        self._pieces.append(data)

    def writeSequence(self, pieces: Sequence[bytes]) -> None:
        """Take the next stored bytes; see `IPartWriter.writeSequence`."""
        for piece in pieces:
            self.write(piece)

    def when_broken(self) -> Deferred[Exception]:
        """Learn of a failure; see `IPartWriter.when_broken`."""
        return self._broken.wait()

    def finish(self) -> Deferred[PartInfo]:
        """End the part; see `IPartWriter.finish`."""
        if not self._finishing and self._problem is None:
            self._finishing = True
            try:
                self._checker.finish()
            except BadPart as problem:
                self._break(problem)
            else:
                Deferred.fromCoroutine(self._store(b"".join(self._pieces))).addBoth(self._ended.fire)
        return self._ended.wait()

    async def _store(self, data: bytes) -> PartInfo:
        info = await self._packs.put(self._part, data)
        if self._problem is not None:
            await self._packs.remove_all([self._part])
            raise self._problem
        return info

    def abort(self) -> Deferred[None]:
        """Give the part up; see `IPartWriter.abort`."""
        self._break(CancelledError(f"part {self._part} was given up"))
        return self.when_ended()

    def break_off(self, problem: StoragedError) -> Deferred[None]:
        """Give the part up for a reason that is not its owner's, who learns of it as of any failure.

        :return: a Deferred that fires when nothing of the part is left.
        """
        self._break(problem)
        return self.when_ended()

    def when_ended(self) -> Deferred[None]:
        """Learn that the part is stored, or that nothing of it is left.  It does not fail."""
        return self._ended.wait().addBoth(lambda _: None)

    def _break(self, problem: Exception) -> None:
        if self._problem is not None or self._ended.fired:
            return
        self._problem = problem
        self._pieces.clear()
        if not self._finishing or isinstance(problem, BadPart):
            self._ended.fire(Failure(problem))
        if not self._finishing and not isinstance(problem, CancelledError):
            self._broken.fire(problem)
