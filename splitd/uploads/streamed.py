"""Uploads of large files, which are cut while they stream, with one lane per part.

The order that the invariants demand: connections to all nodes, then `upload-started` in the journal, then the first
byte; all parts durable, then `file-committed`, then the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from splitd.errors import CatalogReadOnly, LengthMismatch, NotEnoughSpace, UploadFailed
from splitd.interfaces.nodes import INodeRegistry
from splitd.interfaces.store import IUpload
from splitd.interfaces.upkeep import IReaper
from splitd.interfaces.uploads import Commit, IUploadLedger, Start
from splitd.model.manifest import Manifest
from splitd.model.striping import Cutter
from splitd.model.traffic import Traffic
from splitd.uploads.lanes import Intent, Lane
from splitd.uploads.parity import ParityFeed
from storaged.http import reason_of
from storaged.parts.errors import NodeUnavailable, NoSpace, StoragedError
from storaged.system.clocks import WallClock
from storaged.system.once import Once
from storaged.system.parallel import InThread, gather, settled

_PARITY = -1
"""Stands among the indexes of full lanes for the computation of parity."""


@implementer(IPushProducer)
class _LaneSource:
    """The producer of one part writer; it pauses the client as long as any lane is full."""

    def __init__(self, full: set[int], index: int, changed: Callable[[], None]) -> None:
        self._full = full
        self._index = index
        self._changed = changed

    def pauseProducing(self) -> None:
        """Take note that the lane is full."""
        self._full.add(self._index)
        self._changed()

    def resumeProducing(self) -> None:
        """Take note that the lane has room again."""
        self._full.discard(self._index)
        self._changed()

    def stopProducing(self) -> None:
        """Take note that the lane has failed; `when_broken` reports that as well."""
        self.resumeProducing()


@implementer(IUpload)
class Upload:
    """One upload whose lanes are open.

    :param lanes: the lanes by the parts' index; none if the file is known to be empty.
    :param reaper: deletes the parts of an aborted upload, or of the version before, from their nodes.
    :param ended: called once at the end, with the upload and whether it was committed.
    :param wall: tells when the file was made.
    """

    _log = Logger()

    def __init__(
        self,
        intent: Intent,
        lanes: Sequence[Lane],
        ledger: IUploadLedger,
        registry: INodeRegistry,
        reaper: IReaper,
        traffic: Traffic,
        ended: Callable[[Upload, bool], None],
        *,
        wall: WallClock,
        run: InThread,
    ) -> None:
        self._intent = intent
        self._lanes = lanes
        self._ledger = ledger
        self._registry = registry
        self._reaper = reaper
        self._traffic = traffic
        self._ended = ended
        self._wall = wall
        self._cutter = Cutter(intent.layout, intent.size)
        self._parity: ParityFeed | None = None
        if lanes and intent.layout.parity:
            self._parity = ParityFeed(intent.layout, run, self._send_parity, self._set_parity_full, self._break)
        self._producer: Any = None
        self._full: set[int] = set()
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
            nodes = [lane.node for lane in self._lanes]
            await self._ledger.begin_all([Start(self._intent.upload, self._intent.path, nodes)])
        except BaseException as problem:
            await self.abort(reason_of(problem))
            raise
        for index, lane in enumerate(self._lanes):
            lane.writer.registerProducer(_LaneSource(self._full, index, self._lanes_changed), True)
            lane.writer.when_broken().addCallback(self._lane_broke, index)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take the producer of the file's bytes."""
        assert streaming
        self._producer = producer
        self._paused = False
        self._lanes_changed()

    def unregisterProducer(self) -> None:
        """Take note that the producer has ended."""
        self._producer = None

    def _lanes_changed(self) -> None:
        if self._producer is None or bool(self._full) == self._paused:
            return
        self._paused = bool(self._full)
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

    def _send(self, pieces: Sequence[tuple[int, bytes]]) -> None:
        for index, piece in pieces:
            self._lanes[index].write(piece)
        if self._parity is not None:
            self._parity.add(pieces)

    def _send_parity(self, index: int, column: bytes) -> None:
        self._lanes[index].write(column)

    def _set_parity_full(self, full: bool) -> None:
        if full:
            self._full.add(_PARITY)
        else:
            self._full.discard(_PARITY)
        self._lanes_changed()

    def _lane_broke(self, problem: Exception, index: int) -> None:
        self._break(self._explain(index, problem))

    def _explain(self, index: int, problem: Exception) -> UploadFailed | NotEnoughSpace:
        """Turn the failure of a lane into the error of the upload."""
        if not isinstance(problem, StoragedError):
            problem = NodeUnavailable(reason_of(problem))
        kind = NotEnoughSpace if isinstance(problem, NoSpace) else UploadFailed
        return kind(str(problem.on(self._lanes[index].node)))

    def _break(self, problem: Exception) -> None:
        if self._broken is not None or self._ending is not None:
            return
        self._broken = problem
        self._when_broken.fire(problem)

    def when_broken(self) -> Deferred[Exception]:
        """Wait for a failure of the upload; see `IUpload.when_broken`."""
        return self._when_broken.wait()

    def finish(self) -> Deferred[tuple[Manifest, bool]]:
        """End the file and commit it; see `IUpload.finish`."""
        assert self._ending is None, "an upload ends once"
        ending = Deferred.fromCoroutine(self._finish())
        self._ending = settled([ending])
        return ending

    async def _finish(self) -> tuple[Manifest, bool]:
        try:
            self._send_rest()
            await self._wait_for_nodes()
            manifest = self._manifest()
            [committed] = self._ledger.commit_all([Commit(self._intent.path, manifest, self._intent.condition)])
            created = await committed
        except BaseException as problem:
            await self._give_up(reason_of(problem))
            raise
        self._end(committed=True)
        if not created:
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
            await DeferredList([lane.writer.abort() for lane in self._lanes])
            return
        if self._parity is not None:
            await self._parity.finish()
        await gather([self._store_part(index, lane) for index, lane in enumerate(self._lanes)])

    async def _store_part(self, index: int, lane: Lane) -> None:
        try:
            await lane.finish()
        except StoragedError as problem:
            raise self._explain(index, problem) from problem

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
            nodes=tuple(lane.node for lane in self._lanes) if size else (),
            said=self._intent.said,
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
        for lane in self._lanes:
            self._intent.release(self._registry, lane.node)
        self._ended(self, committed)

    async def _clean_up(self, reason: str) -> None:
        if self._parity is not None:
            self._parity.stop()
        await DeferredList([lane.writer.abort() for lane in self._lanes])
        try:
            await self._ledger.abort(self._intent.upload, reason)
        except CatalogReadOnly:
            # Whether the file exists is not known until a restart has read the journal: its parts must stay.
            self._log.error(
                "upload {upload} of {path}: the journal failed; its parts stay until a restart",
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
