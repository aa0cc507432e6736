"""A large file on its way out: streams of checked units, joined in the order of the file's bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from twisted.internet.defer import Deferred
from zope.interface import implementer

from splitd.downloads.streams import PartStream
from splitd.downloads.stripes import StripeReader
from splitd.downloads.survivors import Survivors
from splitd.errors import FileDamaged, FileUnavailable, SplitdError
from splitd.interfaces.nodes import INodeRegistry
from splitd.interfaces.store import IDownload
from splitd.model.manifest import Manifest
from splitd.model.striping import Column, columns, part_spans
from splitd.model.traffic import Traffic
from storaged.system.parallel import InThread, gather
from storaged.system.ranges import Span


@implementer(IDownload)
class Download:
    """A range of one version of a file.

    As long as all is well, only the columns of the range are read, each from its own part.  From the stripe on where a
    part fails, whole stripes are read from the parts that are left.

    :param span: the range; must lie inside the file.
    :param run: runs a computation in a thread.
    :param closed: called once, when nothing is read any more.
    """

    def __init__(
        self,
        manifest: Manifest,
        span: Span,
        registry: INodeRegistry,
        traffic: Traffic,
        run: InThread,
        closed: Callable[[], None],
    ) -> None:
        self._manifest = manifest
        self._registry = registry
        self._traffic = traffic
        self._run = run
        self._closed: Callable[[], None] | None = closed
        self._opened = False
        self._failed = False
        self._columns: Iterator[Column] = columns(manifest.layout, manifest.size, span)
        self._first, self._stop = span.start // manifest.layout.stripe, -(-span.stop // manifest.layout.stripe)
        self._survivors = Survivors(manifest, registry)
        self._streams = {
            index: self._make_stream(index, part)
            for index, part in enumerate(part_spans(manifest.layout, manifest.size, span))
            if len(part)
        }
        self._stripes: StripeReader | None = None
        self._stripe = -1  # the number of the stripe that `_rebuilt` has the columns of
        self._rebuilt: list[bytes] = []

    def _make_stream(self, index: int, span: Span) -> PartStream:
        return PartStream(self._manifest, index, span, self._registry)

    async def open(self) -> None:
        """Request the bytes from all nodes that are needed.

        :raise FileUnavailable: too many nodes cannot be read.
        :raise FileDamaged: too many parts are lost or damaged.
        :raise Overloaded: this process cannot connect to nodes.
        """
        try:
            await self._open()
        except BaseException:
            self.close()
            raise
        self._opened = True
        self._traffic.download_began()

    async def _open(self) -> None:
        if not self._manifest.parity:
            await gather([stream.open() for stream in self._streams.values()])
        elif not self._survivors.seem_well(self._streams):
            await self._read_stripes(self._first)
        else:
            opened = await self._survivors.try_all({index: stream.open() for index, stream in self._streams.items()})
            if len(opened) < len(self._streams):
                await self._read_stripes(self._first)

    async def _read_stripes(self, first: int) -> None:
        """Read whole stripes from now on.  The first one is read at once: it shows whether enough parts are left."""
        for stream in self._streams.values():
            stream.close()
        self._streams = {}
        self._traffic.downloads_degraded += 1
        self._stripes = StripeReader(self._manifest, first, self._stop, self._survivors, self._make_stream, self._run)
        self._rebuilt, self._stripe = await self._stripes.read(), first

    def read(self) -> Deferred[Sequence[bytes]]:
        """Read on; see `IDownload.read`."""
        return Deferred.fromCoroutine(self._read())

    async def _read(self) -> Sequence[bytes]:
        column = next(self._columns, None)
        if column is None:
            return []
        try:
            pieces = await self._read_column(column)
        except SplitdError:
            self._failed = True
            raise
        self._traffic.bytes_out += sum(map(len, pieces))
        return pieces

    async def _read_column(self, column: Column) -> Sequence[bytes]:
        if self._stripes is None:
            try:
                return await self._streams[column.index].next_unit()
            except (FileUnavailable, FileDamaged) as problem:
                self._survivors.lose(column.index, problem)
                await self._read_stripes(column.stripe)
        while self._stripe < column.stripe:
            assert self._stripes is not None
            self._rebuilt = await self._stripes.read()
            self._stripe += 1
        before = column.stripe * self._manifest.unit
        return [self._rebuilt[column.index][column.span.start - before : column.span.stop - before]]

    def close(self) -> None:
        """Read no more; see `IDownload.close`."""
        closed, self._closed = self._closed, None
        if closed is None:
            return
        for stream in self._streams.values():
            stream.close()
        if self._stripes is not None:
            self._stripes.close()
        if self._opened:
            self._traffic.download_ended(failed=self._failed)
        closed()
