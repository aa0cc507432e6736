"""Downloads of large files: one stream of checked units for each part, joined in the order of the file's bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from zope.interface import implementer

from splitd.errors import FileDamaged, FileUnavailable, Overloaded, SplitdError
from splitd.interfaces.nodes import INodeRegistry
from splitd.interfaces.store import IDownload
from splitd.model.manifest import Manifest
from splitd.model.striping import columns, part_spans
from splitd.model.traffic import Traffic
from storaged.parts.decoding import UnitDecoder
from storaged.parts.errors import BadSpan, NotAsked, PartDamaged, PartMissing, StoragedError
from storaged.parts.interfaces import IPartReader
from storaged.system.parallel import gather
from storaged.system.ranges import Span


class PartLost(FileDamaged):
    """A node reports that it does not hold a part that the manifest names."""


def explain_failure(manifest: Manifest, index: int, problem: StoragedError) -> SplitdError:
    """Turn the failure of a part into the error of its file."""
    text = str(problem.on(manifest.nodes[index]))
    if isinstance(problem, PartMissing):
        return PartLost(text)
    if isinstance(problem, PartDamaged | BadSpan):  # a part that is too short has no such span
        return FileDamaged(text)
    if isinstance(problem, NotAsked):
        return Overloaded(problem.reason)
    return FileUnavailable(text)


class _PartStream:
    """The checked units of a span of one part, one after the other."""

    def __init__(self, manifest: Manifest, index: int, span: Span, registry: INodeRegistry) -> None:
        self._manifest = manifest
        self._index = index
        self._part = manifest.part(index)
        self._node = manifest.nodes[index]
        self._registry = registry
        self._decoder = UnitDecoder(self._part, manifest.unit, manifest.part_size(index), span)
        self._units: deque[list[bytes]] = deque()
        self._reader: IPartReader | None = None

    async def open(self) -> None:
        """Ask the node for the units."""
        try:
            self._reader = await self._registry.store(self._node).open(str(self._part), self._decoder.stored_span)
        except StoragedError as problem:
            raise explain_failure(self._manifest, self._index, problem) from problem

    async def next_unit(self) -> list[bytes]:
        """Return the pieces of the next unit."""
        assert self._reader is not None
        while not self._units:
            try:
                data = await self._reader.read()
                if not data:
                    raise PartDamaged(f"part {self._part}: ended before its last unit")
                self._units.extend(self._decoder.feed(data))
            except StoragedError as problem:
                raise explain_failure(self._manifest, self._index, problem) from problem
        return self._units.popleft()

    def close(self) -> None:
        """Read no more."""
        if self._reader is not None:
            self._reader.close()


@implementer(IDownload)
class Download:
    """A range of one version of a file.

    :param span: the range; it must lie inside the file.
    :param closed: called once, when nothing is read any more.
    """

    def __init__(
        self, manifest: Manifest, span: Span, registry: INodeRegistry, traffic: Traffic, closed: Callable[[], None]
    ) -> None:
        self._traffic = traffic
        self._closed: Callable[[], None] | None = closed
        self._opened = False
        self._failed = False
        self._columns = columns(manifest.layout, manifest.size, span)
        self._streams = {
            index: _PartStream(manifest, index, part, registry)
            for index, part in enumerate(part_spans(manifest.layout, manifest.size, span))
            if len(part)
        }

    async def open(self) -> None:
        """Ask all nodes for their parts.

        :raise FileUnavailable: a node does not answer, or answers with an error.
        :raise FileDamaged: a node has lost its part, or holds a damaged one.
        :raise Overloaded: this process cannot connect to nodes.
        """
        try:
            await gather([stream.open() for stream in self._streams.values()])
        except BaseException:
            self.close()
            raise
        self._opened = True
        self._traffic.download_began()

    def read(self) -> Deferred[Sequence[bytes]]:
        """Read on; see `IDownload.read`."""
        return Deferred.fromCoroutine(self._read())

    async def _read(self) -> Sequence[bytes]:
        column = next(self._columns, None)
        if column is None:
            return []
        try:
            pieces = await self._streams[column.index].next_unit()
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
        for stream in self._streams.values():
            stream.close()
        if self._opened:
            self._traffic.download_ended(failed=self._failed)
        closed()
