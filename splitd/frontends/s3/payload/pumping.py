"""Leads the bytes of a stored object into an upload, and computes their checksums on the way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from splitd.frontends.s3.payload.checksums import Algorithm, Checksum, encode
from splitd.frontends.s3.payload.hashing import ThreadedMD5
from splitd.frontends.s3.payload.receiving import Received
from splitd.interfaces.store import IUpload, Opened
from splitd.model.manifest import Manifest
from storaged.http import reason_of


async def pump(
    open_source: Callable[[], Awaitable[Opened | Manifest]],
    upload: IUpload,
    make_md5: Callable[[Callable[[bool], None]], ThreadedMD5] | None,
    algorithm: Algorithm | None,
) -> Received:
    """Write the bytes of a stored object to an upload; it is not finished.

    :param open_source: opens the object; a manifest stands for one without bytes.
    :raise SplitdError: the source cannot be read, or the upload failed.  After any error the upload is aborted.
    """
    valve = _Valve()
    md5 = None if make_md5 is None else make_md5(lambda full: valve.set_full("md5", full))
    found = None if algorithm is None else algorithm.new()
    try:
        upload.when_broken().addCallback(valve.break_off)
        upload.registerProducer(valve, True)
        opened = await open_source()
        try:
            while isinstance(opened, Opened) and (pieces := await opened.download.read()):
                for piece in map(bytes, pieces):
                    if md5 is not None:
                        md5.update(piece)
                    if found is not None:
                        found.update(piece)
                    upload.write(piece)
                await valve.wait()
        finally:
            if isinstance(opened, Opened):
                opened.download.close()
        upload.unregisterProducer()
        digest = "" if md5 is None else (await md5.digest()).hex()
    except BaseException as problem:
        await upload.abort(reason_of(problem))
        raise
    checksum = None if algorithm is None or found is None else Checksum(algorithm, encode(found.digest()))
    return Received(digest, checksum)


@implementer(IPushProducer)
class _Valve:
    """Holds the flow while the upload, or the computation of the MD5, cannot take more."""

    def __init__(self) -> None:
        self._full: set[str] = set()
        self._waiting: Deferred[None] | None = None
        self._broken: Exception | None = None

    def set_full(self, who: str, full: bool) -> None:
        """Take note whether somebody can take more."""
        if full:
            self._full.add(who)
            return
        self._full.discard(who)
        if not self._full:
            self._go_on()

    def _go_on(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def break_off(self, problem: Exception) -> None:
        """Take note that the upload has failed."""
        self._broken = problem
        self._go_on()

    async def wait(self) -> None:
        """Wait until all can take more.

        :raise Exception: the upload has failed.
        """
        while self._full and self._broken is None:
            self._waiting = Deferred()
            await self._waiting
        if self._broken is not None:
            raise self._broken

    def pauseProducing(self) -> None:
        """Hold the flow."""
        self.set_full("upload", True)

    def resumeProducing(self) -> None:
        """Let it go on."""
        self.set_full("upload", False)

    def stopProducing(self) -> None:
        """Hold the flow for good."""
        self.pauseProducing()
