"""Uploads of unknown length that may have so many bytes and no more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from splitd.errors import SplitdError
from splitd.interfaces.store import IUpload
from splitd.model.manifest import Manifest
from splitd.model.media import Media
from storaged.system.once import Once


def limit_size(upload: IUpload, limits: Sequence[tuple[int, SplitdError]]) -> IUpload:
    """Return an upload that breaks as soon as it has too many bytes.

    :param limits: the most bytes, and the error of an upload that has more; the lowest limit counts.
    """
    return _Bounded(upload, *min(limits, key=lambda limit: limit[0])) if limits else upload


@implementer(IUpload)
class _Bounded:
    def __init__(self, upload: IUpload, most: int, problem: SplitdError) -> None:
        self._upload = upload
        self._left = most
        self._problem = problem
        self._broken: Once[Exception] = Once()
        upload.when_broken().addCallback(self._broken.fire)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take the producer of the file's bytes."""
        self._upload.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """Take note that the producer has ended."""
        self._upload.unregisterProducer()

    def write(self, data: bytes) -> None:
        """Take the next bytes of the file; with one too many, the upload is broken."""
        if self._left < 0:
            return
        self._left -= len(data)
        if self._left < 0:
            self._broken.fire(self._problem)
        else:
            self._upload.write(data)

    def when_broken(self) -> Deferred[Exception]:
        """Wait for a failure of the upload; see `IUpload.when_broken`."""
        return self._broken.wait()

    def finish(self, said: str | Media | None = None) -> Deferred[tuple[Manifest, bool]]:
        """End the file and commit it; see `IUpload.finish`."""
        assert self._left >= 0, "a broken upload is aborted"
        return self._upload.finish(said)

    def abort(self, reason: str) -> Deferred[None]:
        """Abort the upload; see `IUpload.abort`."""
        return self._upload.abort(reason)
