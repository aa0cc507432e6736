"""Uploads of large files, which are cut while they stream, with one lane per part.

The order that the invariants demand: connections to all nodes, then `upload-started` in the journal, then the first
byte; all parts durable, but for those that the file may miss, then `file-committed`, then the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from splitd.errors import CatalogReadOnly, LengthMismatch, UploadFailed
from splitd.interfaces.nodes import INodeRegistry
from splitd.interfaces.store import IUpload
from splitd.interfaces.upkeep import IReaper
from splitd.interfaces.uploads import IUploadLedger, Start
from splitd.model.manifest import Manifest
from splitd.model.media import Media
from splitd.model.striping import Cutter
from splitd.model.traffic import Traffic
from splitd.uploads.lanes import Intent, Lane
from splitd.uploads.open_lanes import OpenLanes
from splitd.uploads.parity import ParityFeed, run_coding
from storaged.http import reason_of
from storaged.system.buffers import Piece
from storaged.system.clocks import WallClock
from storaged.system.once import Once
from storaged.system.parallel import InThread, settled


@implementer(IUpload)
class Upload:
    """One upload whose lanes are open.

    :param lanes: the lanes by the parts' index; none if the file is known to be empty.
    :param hurt: called when the file is committed and some of its parts are not stored.
    :param reaper: deletes the parts of an aborted upload, or of the version before, from their nodes.
    :param ended: called once at the end, with the upload and whether it was committed.
    :param clock: measures how slow a lane is.
    :param slow_s: see `OpenLanes`.
    :param wall: tells when the file was made.
    """

    _log = Logger()

    def __init__(
        self,
        intent: Intent,
        lanes: Mapping[int, Lane],
        ledger: IUploadLedger,
        registry: INodeRegistry,
        reaper: IReaper,
        traffic: Traffic,
        ended: Callable[[Upload, bool], None],
        hurt: Callable[[], object],
        *,
        clock: IReactorTime,
        slow_s: float,
        wall: WallClock,
        run: InThread,
    ) -> None:
        self._intent = intent
        self._lanes = OpenLanes(intent, lanes, registry, clock, slow_s, self._set_lanes_full, self._break)
        self._ledger = ledger
        self._reaper = reaper
        self._traffic = traffic
        self._ended = ended
        self._hurt = hurt
        self._wall = wall
        self._cutter = Cutter(intent.layout, intent.size)
        self._parity: ParityFeed | None = None
        if lanes and intent.layout.parity:
            run = run_coding(intent.layout, run)
            self._parity = ParityFeed(intent.layout, run, self._lanes.write, self._set_parity_full, self._break)
        self._producer: Any = None
        self._lanes_full = False
        self._parity_full = False
        self._paused = False
        self._broken: Exception | None = None
        self._when_broken: Once[Exception] = Once()
        self._ending: Deferred[Any] | None = None
        self._aborted = False
        self._storing: Deferred[None] | None = None
        self._abort_reason = ""

    async def start(self) -> None:
        """Record the upload in the journal; bytes may flow after that.

        :raise CatalogReadOnly: the journal has failed.  The lanes are closed.
        """
        try:
            nodes = self._lanes.nodes() if self._lanes else ()
            await self._ledger.begin_all([Start(self._intent.upload, self._intent.path, nodes)])
        except BaseException as problem:
            await self.abort(reason_of(problem))
            raise
        self._lanes.watch()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take the producer of the file's bytes."""
        assert streaming
        self._producer = producer
        self._paused = False
        self._look_whether_full()

    def unregisterProducer(self) -> None:
        """Take note that the producer has ended."""
        self._producer = None

    def _set_lanes_full(self, full: bool) -> None:
        self._lanes_full = full
        self._look_whether_full()

    def _set_parity_full(self, full: bool) -> None:
        self._parity_full = full
        self._look_whether_full()

    def _look_whether_full(self) -> None:
        full = self._lanes_full or self._parity_full
        if self._producer is None or full == self._paused:
            return
        self._paused = full
        if self._paused:
            self._producer.pauseProducing()
        else:
            self._producer.resumeProducing()

    def write(self, data: bytes) -> None:
        """Take the next bytes of the file."""
        if self._broken is not None or self._ending is not None:
            return
        try:
            pieces = self._cutter.cut(data)
        except ValueError as problem:
            self._break(LengthMismatch(str(problem)))
            return
        self._traffic.bytes_in += len(data)
        self._send(pieces)

    def _send(self, pieces: Sequence[tuple[int, Piece]]) -> None:
        for index, piece in pieces:
            self._lanes.write(index, piece)
        if self._parity is not None:
            self._parity.add(pieces)

    def _break(self, problem: Exception) -> None:
        if self._broken is not None or self._ending is not None:
            return
        self._broken = problem
        self._when_broken.fire(problem)

    def when_broken(self) -> Deferred[Exception]:
        """Wait for a failure of the upload; see `IUpload.when_broken`."""
        return self._when_broken.wait()

    def finish(self, said: str | Media | None = None) -> Deferred[tuple[Manifest, bool]]:
        """End the file and commit it; see `IUpload.finish`."""
        assert self._ending is None, "an upload ends once"
        if said is not None:
            self._intent = msgspec.structs.replace(self._intent, said=said)
        ending = Deferred.fromCoroutine(self._finish())
        self._ending = settled([ending])
        return ending

    async def _finish(self) -> tuple[Manifest, bool]:
        try:
            self._send_rest()
            await self._wait_for_nodes()
            manifest = self._manifest()
            [committed] = self._ledger.commit_all([self._intent.commit(manifest)])
            created = await committed
        except BaseException as problem:
            await self._give_up(reason_of(problem))
            raise
        self._end(committed=True)
        if manifest.missing:
            self._hurt()
        if manifest.missing or not created:
            self._reaper.wake()
        return manifest, created

    def _send_rest(self) -> None:
        if self._broken is not None:
            raise self._broken
        try:
            self._send(self._cutter.finish())
        except ValueError as problem:
            raise LengthMismatch(str(problem)) from problem

    async def _wait_for_nodes(self) -> None:
        self._storing = Deferred.fromCoroutine(self._store_parts())
        try:
            await self._storing
        except CancelledError:
            if self._abort_reason:
                raise UploadFailed(self._abort_reason) from None
            raise
        finally:
            self._storing = None

    async def _store_parts(self) -> None:
        if self._cutter.position == 0:
            # An empty file has no parts, but lanes were opened for it if its size was unknown.
            await self._lanes.abort()
            return
        if self._parity is not None:
            await self._parity.finish()
        await self._lanes.finish()

    def _manifest(self) -> Manifest:
        layout = self._intent.layout
        size = self._cutter.position
        return Manifest(
            upload=self._intent.upload,
            size=size,
            created_ms=self._wall.now_ms(),
            data=layout.data,
            parity=layout.parity,
            unit=layout.unit,
            nodes=self._lanes.nodes() if size else (),
            said=self._intent.said,
            segment_of=self._intent.segment_of,
        )

    def abort(self, reason: str) -> Deferred[None]:
        """Abort the upload; see `IUpload.abort`."""
        if self._ending is None:
            self._ending = settled([Deferred.fromCoroutine(self._give_up(reason))])
        elif self._storing is not None:
            self._abort_reason = reason
            self._storing.cancel()
        return settled([self._ending])

    async def _give_up(self, reason: str) -> None:
        if self._aborted:
            return
        self._aborted = True
        try:
            await self._clean_up(reason)
        finally:
            self._end(committed=False)

    def _end(self, *, committed: bool) -> None:
        self._lanes.release()
        self._ended(self, committed)

    async def _clean_up(self, reason: str) -> None:
        if self._parity is not None:
            self._parity.stop()
        await self._lanes.abort()
        try:
            await self._ledger.abort(self._intent.upload, reason)
        except CatalogReadOnly:
            # If the journal failed, a restart must read it to know whether the file exists: its parts stay until then.
            # If it takes nothing just now, the ledger repeats the abort.
            self._log.error(
                "upload {upload} of {path} cannot be aborted now; its parts stay until that is possible",
                upload=self._intent.upload,
                path=self._intent.path,
            )
            return
        self._log.info(
            "upload {upload} of {path} aborted: {reason}",
            upload=self._intent.upload,
            path=self._intent.path,
            reason=reason,
        )
        # The client is answered now, without waiting for any node.
        self._reaper.wake()
