"""Uploads of small files, which are collected in memory and stored whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from splitd.errors import LengthMismatch, UploadAborted
from splitd.interfaces.store import IUpload
from splitd.model.manifest import Manifest
from splitd.model.media import Media
from splitd.model.traffic import Traffic
from splitd.uploads.group import GroupCommit
from splitd.uploads.lanes import Intent
from storaged.system.once import Once
from storaged.system.parallel import settled

Again: TypeAlias = Callable[[], Deferred[IUpload]]


@implementer(IUpload)
class SmallUpload:
    """One upload of a small file.

    :param ended: called once at the end, with the upload and whether it was committed; with None if another upload has
        stored its file, or failed to.
    :param again: begins another upload of the file, if the catalog refuses this one with `UploadAborted`; None to pass
        that error on.
    :ivar size: the bytes of the file.
    """

    _log = Logger()

    def __init__(
        self,
        intent: Intent,
        group: GroupCommit,
        traffic: Traffic,
        ended: Callable[[SmallUpload, bool | None], None],
        again: Again | None = None,
    ) -> None:
        assert intent.size is not None
        self.size = intent.size
        self._intent = intent
        self._group = group
        self._traffic = traffic
        self._ended = ended
        self._again = again
        self._pieces: list[bytes] = []
        self._position = 0
        self._broken: LengthMismatch | None = None
        self._when_broken: Once[Exception] = Once()
        self._finishing: Deferred[Any] | None = None
        self._other: IUpload | None = None
        self._abort_reason = ""
        self._over = False

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take the producer of the file's bytes, which is never paused: the file is small."""

    def unregisterProducer(self) -> None:
        """Take note that the producer has ended."""

    def write(self, data: bytes) -> None:
        """Take the next bytes of the file."""
        if self._over or self._finishing is not None or self._broken is not None:
            return
        self._position += len(data)
        if self._position > self.size:
            self._break(LengthMismatch(f"got {self._position} bytes, expected {self.size}"))
            return
        self._traffic.bytes_in += len(data)
        self._pieces.append(data)

    def _break(self, problem: LengthMismatch) -> None:
        self._broken = problem
        self._when_broken.fire(problem)

    def when_broken(self) -> Deferred[Exception]:
        """Wait for a failure of the upload; see `IUpload.when_broken`."""
        return self._when_broken.wait()

    def finish(self, said: str | Media | None = None) -> Deferred[tuple[Manifest, bool]]:
        """End the file and commit it; see `IUpload.finish`."""
        assert self._finishing is None, "an upload ends once"
        if self._over:
            return fail(UploadAborted(self._abort_reason))  # its bytes are gone
        if said is not None and said != self._intent.said:
            self._intent = msgspec.structs.replace(self._intent, said=said)
        try:
            data = self._take_file()
        except LengthMismatch as problem:
            self._end(committed=False)
            return fail(problem)
        stored = self._group.store(self._intent, data)
        self._finishing = stored.addCallbacks(self._committed, self._failed, errbackArgs=(data, said))
        return self._finishing

    def _take_file(self) -> bytes:
        if self._broken is not None:
            raise self._broken
        if self._position != self.size:
            raise LengthMismatch(f"got {self._position} bytes, expected {self.size}")
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)

    def _committed(self, stored: tuple[Manifest, bool]) -> tuple[Manifest, bool]:
        self._end(committed=True)
        return stored

    def _failed(self, failure: Failure, data: bytes, said: str | Media | None) -> Any:
        if self._again is None or self._abort_reason or not failure.check(UploadAborted):
            self._end(committed=False)
            return failure
        self._log.info("upload of {path} is done again: {reason}", path=self._intent.path, reason=failure.value)
        return Deferred.fromCoroutine(self._store_again(self._again, data, said))

    async def _store_again(self, again: Again, data: bytes, said: str | Media | None) -> tuple[Manifest, bool]:
        """Store the file by another upload.

        This one ends after it: its share of the memory counts the bytes, which a streamed upload does not, and a stop
        of the front waits for it.
        """
        try:
            other = await again()
        except BaseException:
            self._end(committed=False)
            raise
        try:
            if self._abort_reason:
                await other.abort(self._abort_reason)
                raise UploadAborted(self._abort_reason)
            self._other = other
            counted = self._traffic.bytes_in
            other.write(data)
            self._traffic.bytes_in = counted  # the client has sent them once
            return await other.finish(said)
        finally:
            self._end(committed=None)

    def abort(self, reason: str) -> Deferred[None]:
        """Abort the upload; see `IUpload.abort`."""
        if self._finishing is None:
            if not self._over:
                self._log.info("upload of {path} given up: {reason}", path=self._intent.path, reason=reason)
                self._abort_reason = reason
            self._end(committed=False)
            return succeed(None)
        self._abort_reason = reason
        if self._other is None:
            return settled([self._finishing])
        return settled([self._finishing, self._other.abort(reason)])

    def _end(self, *, committed: bool | None) -> None:
        if not self._over:
            self._over = True
            self._pieces.clear()
            self._ended(self, committed)
