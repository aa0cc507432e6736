"""A part on its way from its node: its units, each checked, one after the other."""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred

from splitd.errors import FileDamaged, FileUnavailable, Overloaded, SplitdError
from splitd.interfaces.nodes import INodeRegistry, Wait
from splitd.model.manifest import Manifest
from storaged.parts.decoding import UnitDecoder
from storaged.parts.errors import BadSpan, NotAsked, PartDamaged, PartMissing, StoragedError
from storaged.parts.format import PartId
from storaged.parts.interfaces import IPartReader
from storaged.system.buffers import Piece
from storaged.system.ranges import Span


class PartLost(FileDamaged):
    """A part is missing: the catalog says so, or the node that should hold it."""

    @classmethod
    def nowhere(cls, part: PartId) -> PartLost:
        """Make the error of a part that is stored nowhere."""
        return cls(f"part {part} is lost, and was not rebuilt yet")


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


class PartStream:
    """The units of a span of one part.

    :param index: the index of the part, a data part or a parity part.
    :param span: the span of the part's payload; not empty.
    :ivar position: the number of the unit that comes next.
    :ivar stop: the number of the unit after the last one.
    """

    def __init__(self, manifest: Manifest, index: int, span: Span, registry: INodeRegistry) -> None:
        self._manifest = manifest
        self._index = index
        self._part = manifest.part(index)
        self._node = manifest.nodes[index]
        self._registry = registry
        self._decoder = UnitDecoder(self._part, manifest.unit, manifest.part_size(index), span)
        self._units: deque[list[Piece]] = deque()
        self._reader: IPartReader | None = None
        self._opening: Deferred[None] | None = None
        self.position = self._first = span.start // manifest.unit
        self.stop = -(-span.stop // manifest.unit)

    @property
    def wait(self) -> Wait:
        """What the next wait for the stream is for."""
        return Wait.FIRST_UNIT if self.position == self._first else Wait.NEXT_UNIT

    async def open(self) -> None:
        """Request the units from the node.

        :raise FileUnavailable: the node cannot be read.
        :raise FileDamaged: the node has lost the part, or holds a different one.
        """
        if not self._node:
            raise PartLost.nowhere(self._part)
        try:
            self._reader = await self._registry.store(self._node).open(str(self._part), self._decoder.stored_span)
        except StoragedError as problem:
            raise explain_failure(self._manifest, self._index, problem) from problem

    def begin(self) -> None:
        """Request the units from the node; `next_unit` waits for the answer, and fails as `open` does."""
        if self._opening is None and self._reader is None:
            self._opening = Deferred.fromCoroutine(self.open())

    async def next_unit(self) -> list[Piece]:
        """Return the next unit, as pieces.

        :raise FileUnavailable: the node cannot be read.
        :raise FileDamaged: the node lacks the part, or the unit is damaged or missing.
        """
        if self._reader is None:
            opening, self._opening = self._opening, None
            await (self.open() if opening is None else opening)
        assert self._reader is not None
        while not self._units:
            try:
                data = await self._reader.read()
                if not data:
                    raise PartDamaged(f"part {self._part}: ended before its last unit")
                self._units.extend(self._decoder.feed(data))
            except StoragedError as problem:
                raise explain_failure(self._manifest, self._index, problem) from problem
        self.position += 1
        return self._units.popleft()

    def close(self) -> None:
        """Read no more.  A pending `next_unit` fails with `CancelledError`."""
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.addErrback(lambda _: None)
            opening.cancel()
        if self._reader is not None:
            self._reader.close()
