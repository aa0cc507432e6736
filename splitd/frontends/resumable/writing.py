"""Writes the body of a request into segments, so that what has arrived is kept when the client leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from splitd.interfaces.store import IDownload, IUpload
from storaged.system.once import Once
from storaged.system.parallel import settled

Open = Callable[[int, str], Deferred[IUpload]]
"""Begins a segment, given its number and the id of the segment that must have this number; empty if none must."""


@implementer(IConsumer, IPushProducer)
class SegmentWriter:
    """A consumer of the bytes of one request: it writes them into one segment after the other.

    A segment is committed only after all before it are.  So the bytes that are durable have no gap, whatever fails.

    :param begin: begins a segment.
    :param number: the number of the first segment.
    :param replaces: the id of the segment that the first one replaces; empty for none.
    :param most: after how many bytes a segment ends; None to make one segment, which is committed at the end.
    :param note: the note of each segment.
    :param told: called with the bytes that have become durable, each time that a segment has.
    """

    def __init__(
        self,
        begin: Open,
        number: int,
        replaces: str,
        most: int | None,
        note: str,
        told: Callable[[int], object],
    ) -> None:
        self._begin = begin
        self._number = number
        self._replaces = replaces
        self._most = most
        self._note = note
        self._told = told
        self._current: IUpload | None = None
        self._in_current = 0
        self._opening: Deferred[None] | None = None
        self._held: list[bytes] = []
        self._committing: Deferred[None] | None = None
        self._producer: Any = None
        self._full: set[str] = set()
        self._free: Once[None] = Once()
        self._problem: Exception | None = None
        self._broken: Once[Exception] = Once()

    async def start(self) -> None:
        """Begin the first segment.

        :raise SplitdError: it cannot be begun.
        """
        self._take(await self._begin(self._number, self._replaces))

    def _take(self, upload: IUpload) -> None:
        self._current, self._in_current = upload, 0
        upload.when_broken().addCallback(self.break_off)
        upload.registerProducer(self, True)

    def when_broken(self) -> Deferred[Exception]:
        """Wait for a failure.

        :return: a Deferred that fires with the reason, as its result, when no more bytes can be taken.
        """
        return self._broken.wait()

    def break_off(self, problem: Exception) -> None:
        """Take no more bytes."""
        if self._problem is None:
            self._problem = problem
            self._free.fire(None)
            self._broken.fire(problem)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take the producer of the body."""
        assert streaming
        self._producer = producer
        if self._full:
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        """Take note that the producer has ended."""
        self._producer = None

    def pauseProducing(self) -> None:
        """Pause the client: the segment cannot take more."""
        self._set_full("segment", True)

    def resumeProducing(self) -> None:
        """Let the client go on, unless a segment is being begun."""
        self._set_full("segment", False)

    def stopProducing(self) -> None:
        """Pause the client for good."""
        self.pauseProducing()

    def _set_full(self, why: str, full: bool) -> None:
        before = bool(self._full)
        if full:
            self._full.add(why)
        else:
            self._full.discard(why)
        if bool(self._full) == before:
            return
        if self._full:
            self._free = Once()
        else:
            self._free.fire(None)
        if self._producer is not None:
            if self._full:
                self._producer.pauseProducing()
            else:
                self._producer.resumeProducing()

    async def copy(self, download: IDownload) -> None:
        """Write stored bytes before those of the request, or in place of them.

        :raise Exception: a segment failed.
        :raise SplitdError: the stored bytes cannot be read.
        """
        try:
            while pieces := await download.read():
                for piece in pieces:
                    self._pass_on(bytes(piece))
                if self._full:
                    await self._free.wait()
                if self._problem is not None:
                    raise self._problem
        finally:
            download.close()

    def write(self, data: bytes) -> None:
        """Take the next bytes of the request."""
        if self._problem is None:
            self._pass_on(data)

    def _pass_on(self, data: bytes) -> None:
        current = self._current
        if current is None:
            self._held.append(data)  # the client is paused, but over TLS more bytes may arrive after that
            return
        self._in_current += len(data)
        current.write(data)
        # The segment may have broken now, and all have been aborted.
        if self._most is not None and self._in_current >= self._most and self._problem is None:
            self._switch(current)

    def _switch(self, before: IUpload) -> None:
        """End a segment, and begin the next one while it is being committed."""
        self._current = None
        before.unregisterProducer()
        self._set_full("next", True)
        self._set_full("segment", False)
        self._commit(before, self._in_current)
        self._number, self._replaces = self._number + 1, ""
        self._opening = Deferred.fromCoroutine(self._open_next())

    async def _open_next(self) -> None:
        try:
            self._take(await self._begin(self._number, ""))
        except Exception as problem:
            self.break_off(problem)
            return
        held, self._held = self._held, []
        for data in held:
            self._pass_on(data)
        if self._current is not None:  # else what was held has filled the segment, and the next one is being begun
            self._set_full("next", False)

    def _commit(self, upload: IUpload, size: int) -> None:
        before = self._committing
        self._committing = Deferred.fromCoroutine(self._commit_after(before, upload, size))
        # Who waits for it gets the error; if nobody does, it is not logged as unhandled.
        self._committing.addErrback(self._not_committed)

    def _not_committed(self, failure: Failure) -> None:
        assert isinstance(failure.value, Exception)
        self.break_off(failure.value)

    async def _commit_after(self, before: Deferred[None] | None, upload: IUpload, size: int) -> None:
        if before is not None:
            await settled([before])
        if self._problem is not None:
            await upload.abort("a segment before it was not stored")
            return
        await upload.finish(self._note)
        self._told(size)

    async def finish(self) -> None:
        """Commit what was written.

        :raise Exception: not all of it could be; what was committed is the beginning of it, and has no gap.
        """
        if self._opening is not None:
            await settled([self._opening])
        current, self._current = self._current, None
        if current is not None:
            current.unregisterProducer()
            if self._in_current or self._committing is None:
                self._commit(current, self._in_current)
            else:
                await current.abort("nothing came any more")
        if self._committing is not None:
            await settled([self._committing])
        if self._problem is not None:
            raise self._problem

    async def abort(self, reason: str) -> None:
        """Drop what is not being committed, and wait until the rest is committed or has failed."""
        self.break_off(ConnectionError(reason))
        if self._opening is not None:
            await settled([self._opening])
        current, self._current = self._current, None
        if current is not None:
            await current.abort(reason)
        if self._committing is not None:
            await settled([self._committing])
