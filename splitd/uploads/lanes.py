"""The lanes of an upload: one connection to a node for each part, opened before the first byte."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import attrs
import msgspec
from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure

from splitd.errors import NotEnoughNodes, NotEnoughSpace, Overloaded
from splitd.interfaces.nodes import INodeRegistry
from splitd.interfaces.uploads import Commit
from splitd.model.conditions import Condition
from splitd.model.manifest import Manifest
from splitd.model.media import Media
from splitd.model.striping import Layout, part_size
from storaged.parts.errors import NotAsked, StoragedError
from storaged.parts.format import PartEncoder, PartId, stored_size
from storaged.parts.interfaces import IPartWriter
from storaged.system.buffers import Piece

_Found = TypeVar("_Found")

_UNKNOWN_SIZE_GUESS = 16 * 1024 * 1024
"""The bytes that are reserved on a node for each part of unknown size until it is stored."""


class Intent(msgspec.Struct, frozen=True, gc=False):
    """The file to store, and the condition for it.

    :param upload: the id of the upload, 32 hexadecimal digits.
    :param size: the bytes of the file, or None if unknown.
    :param largest: the bytes that its largest part will take, or None if unknown.
    :param said: the headers that the client sent with the file, as `Media.compact` returns them.
    :param may_miss: how many of its parts may stay unstored.
    :param segment_of: if it is a segment, the id of its continued upload; else empty.
    :param number: the number of the segment; 0 for a file.
    :param replaces: see `Commit.replaces`.
    :param asked: see `Commit.asked`.
    """

    upload: str
    path: str
    size: int | None
    largest: int | None
    said: str | Media
    condition: Condition
    layout: Layout
    may_miss: int = 0
    segment_of: str = ""
    number: int = 0
    replaces: str | None = None
    asked: str | None = None

    def commit(self, manifest: Manifest) -> Commit:
        """Return the commit of the version that was stored."""
        return Commit(self.path, manifest, self.condition, self.number, self.replaces, self.asked)

    @property
    def least(self) -> int:
        """How many parts must be stored."""
        return self.layout.width - self.may_miss

    def stored_size(self, index: int) -> int | None:
        """Return the bytes that one part will take; None if the file's size is unknown."""
        if self.size is None:
            return None
        return stored_size(part_size(self.layout, self.size, index), self.layout.unit)

    @property
    def reserved(self) -> int:
        """The bytes to reserve on each node."""
        return _UNKNOWN_SIZE_GUESS if self.largest is None else self.largest

    def release(self, registry: INodeRegistry, node: str) -> None:
        """Release the room that was reserved on a node because the size is unknown; do nothing if it is known."""
        if self.size is None:
            registry.release(node, self.reserved)


async def find_room(registry: INodeRegistry, look: Callable[[], _Found]) -> _Found:
    """Look for room; if there seems to be none, ask the nodes for their present room and look once more.

    :param look: looks for room; it may raise what `INodeRegistry.place` raises.
    :raise NotEnoughNodes: too few nodes can take a part, or have room for one.
    """
    try:
        return look()
    except NotEnoughSpace:
        await registry.refresh()
    return look()


def place_fewer(place: Callable[[int], list[str]], most: int, least: int) -> list[str] | None:
    """Choose as many nodes as there are.

    :param place: chooses a number of nodes; it may raise what `INodeRegistry.place` raises.
    :param most: the most nodes to choose.
    :param least: how many there must be.
    :return: the nodes; None if there are too few.
    """
    for count in range(most, max(least, 1) - 1, -1):
        try:
            return place(count)
        except NotEnoughNodes:
            continue
    return [] if least <= 0 else None


def name_failed(failed: Mapping[str, StoragedError]) -> str:
    """Return a text that names each failed node and its error.

    :param failed: the errors by the ids of the nodes.
    """
    return "; ".join(str(problem.on(node)) for node, problem in failed.items())


def explain_failed(failed: Mapping[str, StoragedError], problem: NotEnoughNodes) -> str:
    """Return a text that says what failed, and why no other node takes the part.

    :param failed: the errors of the nodes that have failed, by their ids.
    :param problem: the error of the registry, which was asked for others.
    """
    others = ": " + "; ".join(problem.others) if problem.others else ""
    return f"{name_failed(failed)}; no other node can take the part now{others}"


class Lanes:
    """Opens a lane to a node for each part of a file; if a node refuses, it takes another one.

    If there are too few nodes for all parts, the last parts get none, as many as the file may miss: parity parts first.

    :param registry: chooses nodes.
    """

    def __init__(self, registry: INodeRegistry, intent: Intent) -> None:
        self._registry = registry
        self._intent = intent
        self._tried: set[str] = set()
        self._failed: dict[str, StoragedError] = {}
        self._complete = False
        self.open: dict[int, Lane] = {}

    async def connect(self) -> dict[int, Lane]:
        """Open all lanes.

        :return: the lanes by the parts' index.
        :raise NotEnoughNodes: too few nodes can take a part, or have room for one.  No lane is open then.
        :raise Overloaded: this process cannot connect to nodes.  No lane is open then.
        """
        width = self._intent.layout.width
        try:
            while not self._complete and (missing := [index for index in range(width) if index not in self.open]):
                await self._connect_some(missing)
        except BaseException:
            await DeferredList([lane.writer.abort() for lane in self.open.values()])
            for lane in self.open.values():
                self._intent.release(self._registry, lane.node)
            raise
        return dict(sorted(self.open.items()))

    async def _connect_some(self, indexes: Sequence[int]) -> None:
        nodes = await self._place(len(indexes))
        self._tried.update(nodes)
        results = await DeferredList(
            [Deferred.fromCoroutine(self._connect(index, node)) for index, node in zip(indexes, nodes, strict=False)],
            consumeErrors=True,
        )
        for good, result in results:
            if not good:
                cast(Failure, result).raiseException()

    async def _place(self, count: int) -> list[str]:
        """Choose nodes that have not been tried: as many as there are, if the file may miss the other parts."""
        intent = self._intent

        def place(some: int) -> list[str]:
            return self._registry.place(some, intent.reserved, self._tried, is_guess=intent.size is None)

        try:
            return await find_room(self._registry, lambda: place(count))
        except NotEnoughNodes as problem:
            fewer = place_fewer(place, count - 1, intent.least - len(self.open))
            if fewer is not None:
                self._complete = not fewer
                return fewer
            if not self._failed:
                raise
            # The registry's reasons would be about the nodes that have lanes already.
            raise type(problem)(explain_failed(self._failed, problem)) from problem

    async def _connect(self, index: int, node: str) -> None:
        intent = self._intent
        part = PartId(intent.upload, index)
        try:
            writer = await self._registry.store(node).create(str(part), intent.stored_size(index))
        except BaseException as problem:
            intent.release(self._registry, node)
            if isinstance(problem, NotAsked):  # nor would another node be
                raise Overloaded(problem.reason) from problem
            if not isinstance(problem, StoragedError):
                raise
            self._failed[node] = problem  # the loop in `connect` takes another one
        else:
            self.open[index] = Lane(node, writer, PartEncoder(part, intent.layout.unit))


@attrs.define
class Lane:
    """One part on its way to its node."""

    node: str
    writer: IPartWriter
    encoder: PartEncoder

    def write(self, piece: Piece) -> None:
        """Send a piece of the part's payload."""
        self.writer.writeSequence(self.encoder.encode(piece))

    def finish(self) -> Deferred[Any]:
        """Send the end of the part.

        :return: a Deferred that fires when the part is durable.
        """
        for data in self.encoder.finish():
            self.writer.write(data)
        return self.writer.finish()
