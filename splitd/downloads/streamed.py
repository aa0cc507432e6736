"""A large file on its way out: columns of checked units, joined in the order of the file's bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from twisted.internet.defer import Deferred
from zope.interface import implementer

from splitd.downloads.sources import Sources
from splitd.downloads.streams import PartStream
from splitd.downloads.stripes import StripeReader
from splitd.downloads.survivors import Found, Survivors
from splitd.errors import FileDamaged, SplitdError
from splitd.interfaces.store import IDownload
from splitd.model.manifest import Manifest
from splitd.model.striping import Column, columns, part_spans
from splitd.model.traffic import Traffic
from storaged.system.buffers import Piece
from storaged.system.parallel import gather
from storaged.system.ranges import Span


class ColumnSource(Protocol):
    """Gives the columns of a range of a version, in the order of the file's bytes."""

    async def open(self) -> None:
        """Request the columns from all nodes that are needed.

        :raise FileUnavailable: too many nodes cannot be read.
        :raise FileDamaged: too many parts are lost or damaged.
        :raise Overloaded: this process cannot connect to nodes.
        """

    async def read(self, column: Column) -> Sequence[Piece]:
        """Read the next column, as pieces; may raise what `open` raises."""

    def close(self) -> None:
        """Read no more."""


@implementer(IDownload)
class Download:
    """A range of one version of a file.

    :param span: the range; must lie inside the file.
    :param found: called for each part that is missing or damaged on its node.
    :param closed: called once, when nothing is read any more.
    :param whole: whether whole stripes of a version with parity may be kept in memory while all is well.
    """

    def __init__(
        self,
        manifest: Manifest,
        span: Span,
        sources: Sources,
        traffic: Traffic,
        found: Found,
        closed: Callable[[], None],
        *,
        whole: bool,
    ) -> None:
        self._traffic = traffic
        self._closed: Callable[[], None] | None = closed
        self._opened = False
        self._failed = False
        self._columns: Iterator[Column] = columns(manifest.layout, manifest.size, span)
        self._source: ColumnSource
        if manifest.parity:
            survivors = Survivors(manifest, sources.policy, found)
            self._source = _FromStripes(manifest, span, sources, survivors, traffic, whole=whole)
        else:
            self._source = _FromParts(manifest, span, sources, found)

    async def open(self) -> None:
        """Request the bytes from all nodes that are needed; may raise what `ColumnSource.open` raises."""
        try:
            await self._source.open()
        except BaseException:
            self.close()
            raise
        self._opened = True
        self._traffic.download_began()

    def read(self) -> Deferred[Sequence[Piece]]:
        """Read on; see `IDownload.read`."""
        return Deferred.fromCoroutine(self._read())

    async def _read(self) -> Sequence[Piece]:
        column = next(self._columns, None)
        if column is None:
            return []
        try:
            pieces = await self._source.read(column)
        except SplitdError:
            self._failed = True
            raise
        self._traffic.bytes_out += sum(map(len, pieces))
        return pieces

    def close(self) -> None:
        """Read no more; see `IDownload.close`."""
        closed, self._closed = self._closed, None
        if closed is None:
            return
        self._source.close()
        if self._opened:
            self._traffic.download_ended(failed=self._failed)
        closed()


class _FromParts:
    """The columns of a version without parity, each from its own part.  Provides `ColumnSource`."""

    def __init__(self, manifest: Manifest, span: Span, sources: Sources, found: Found) -> None:
        self._manifest = manifest
        self._found = found
        self._streams = {
            index: PartStream(manifest, index, part, sources.registry)
            for index, part in enumerate(part_spans(manifest.layout, manifest.size, span))
            if len(part)
        }

    async def open(self) -> None:
        await gather([self._open(index, stream) for index, stream in self._streams.items()])

    async def _open(self, index: int, stream: PartStream) -> None:
        try:
            await stream.open()
        except FileDamaged as problem:
            if self._manifest.nodes[index]:
                self._found(self._manifest, index, problem)
            raise

    async def read(self, column: Column) -> Sequence[Piece]:
        try:
            return await self._streams[column.index].next_unit()
        except FileDamaged as problem:
            self._found(self._manifest, column.index, problem)
            raise

    def close(self) -> None:
        for stream in self._streams.values():
            stream.close()


class _FromStripes:
    """The columns of a version with parity, stripe by stripe.  Provides `ColumnSource`."""

    def __init__(
        self, manifest: Manifest, span: Span, sources: Sources, survivors: Survivors, traffic: Traffic, *, whole: bool
    ) -> None:
        unit = self._unit = manifest.unit
        wanted = {
            index: Span(part.start // unit, -(-part.stop // unit))
            for index, part in enumerate(part_spans(manifest.layout, manifest.size, span))
            if len(part)
        }
        self._traffic = traffic
        self._reader = StripeReader(manifest, wanted, survivors, sources, whole=whole) if wanted else None
        self._degraded = False

    async def open(self) -> None:
        if self._reader is not None:
            await self._reader.open()
            self._count()

    async def read(self, column: Column) -> Sequence[Piece]:
        assert self._reader is not None
        pieces = await self._reader.read(column.stripe, column.index)
        self._count()
        start = column.span.start - column.stripe * self._unit
        stop = column.span.stop - column.stripe * self._unit
        if start or stop < sum(map(len, pieces)):
            return [b"".join(pieces)[start:stop]]
        return pieces

    def _count(self) -> None:
        """Count the download as degraded once columns were rebuilt."""
        assert self._reader is not None
        if self._reader.rebuilt and not self._degraded:
            self._degraded = True
            self._traffic.downloads_degraded += 1

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
