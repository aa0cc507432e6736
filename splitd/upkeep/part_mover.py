"""Moves one part of a file to another node; the file can be read all the time.

The order: the journal records that a copy may lie on the new node; the copy is made, and the new node checks it byte
for byte; the journal records that the copy is the part now; the reaper deletes the old part once nobody reads it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from twisted.logger import Logger

from splitd.errors import CatalogReadOnly, MoveRefused, RecentlyRemoved
from splitd.interfaces.parts import IPartMoves
from splitd.model.holdings import PartCopy
from splitd.model.manifest import Manifest
from splitd.nodes.registry import NodeRegistry
from splitd.upkeep.gate import Gate
from splitd.upkeep.pace import Pace
from splitd.upkeep.reaper import Reaper
from storaged.http import reason_of
from storaged.parts.decoding import check_part
from storaged.parts.errors import BadPart, PartDamaged, PartExists, PartMissing, StoragedError
from storaged.parts.format import SMALL_PART, PartId, stored_size
from storaged.parts.interfaces import IPartReader, IPartWriter


class PartMover:
    """Moves parts.

    :param reaper: deletes the copies that are not needed.
    """

    _log = Logger()

    def __init__(self, moves: IPartMoves, registry: NodeRegistry, reaper: Reaper) -> None:
        self._moves = moves
        self._registry = registry
        self._reaper = reaper
        self._unended: dict[PartCopy, str] = {}  # moves to be aborted, and the reasons

    async def move(self, manifest: Manifest, index: int, target: str, pace: Pace) -> None:
        """Move a part.

        If this fails or is cancelled, the part stays where it is, unless the move was committed already.

        :param manifest: the version that the part belongs to, with the nodes where its parts lie now.
        :param target: the id of the node that shall hold the part.
        :raise MoveRefused: no file has this version any more, or the target does not take the part now.
        :raise StoragedError: a node failed.
        :raise CatalogReadOnly: the journal has failed.
        """
        copy = PartCopy(manifest.upload, index, target)
        await self.journalled([copy], lambda: self._copy_anew(manifest, index, target, pace))

    async def journalled(self, copies: Sequence[PartCopy], make: Callable[[], Awaitable[None]]) -> None:
        """Make copies of parts, and make these the parts.

        If this fails or is cancelled, the parts stay where they are, except those whose move was committed already.

        :param copies: copies of parts of one version.
        :param make: stores the copies on their nodes.
        :raise MoveRefused: no file has the version any more, or a node does not take its part now.
        :raise CatalogReadOnly: the journal has failed.
        :raise Exception: `make` has failed.
        """
        begun: list[PartCopy] = []
        try:
            for copy in copies:
                begun.append(copy)
                try:
                    await self._moves.begin_move(copy)
                except MoveRefused:
                    begun.pop()  # a move of this copy that is in progress is somebody else's
                    raise
            await make()
            while begun:
                await self._moves.commit_move(begun[0])
                del begun[0]
        except BaseException as problem:
            for copy in begun:
                await self._give_up(copy, reason_of(problem))
            raise
        self._reaper.wake()

    async def _give_up(self, copy: PartCopy, reason: str) -> None:
        try:
            await self._moves.abort_move(copy, reason)
        except CatalogReadOnly:
            # If the journal has failed, nothing can be changed until a restart, which aborts the move.  But a front
            # that waits for its epoch, or for holders of the journal's copies, soon can.
            self._unended[copy] = reason
            self._log.info("part {part}: its copy on node {node} stays until something can be changed",
                           part=copy.part, node=copy.node)  # fmt: skip
            return
        # Only the catalog knows which of the two is doomed: a move that was cancelled may have been committed.
        self._reaper.wake()

    async def end_unended(self) -> None:
        """Abort the moves that could not be aborted when they failed, because nothing could be changed then."""
        for copy, reason in list(self._unended.items()):
            del self._unended[copy]
            await self._give_up(copy, reason)

    async def _copy_anew(self, manifest: Manifest, index: int, target: str, pace: Pace) -> None:
        try:
            await self._copy(manifest, index, target, pace)
        except PartExists:
            # The journal knows of no copy there: the power was cut before the record of an earlier move was durable.
            await self._registry.store(target).trash(str(manifest.part(index)))
            await self._copy(manifest, index, target, pace)

    async def _copy(self, manifest: Manifest, index: int, target: str, pace: Pace) -> None:
        size = stored_size(manifest.part_size(index), manifest.unit)
        if size <= SMALL_PART:
            await pace.take(size)
            self._registry.reserve(target, size)
            await self._copy_small(manifest.part(index), manifest.nodes[index], target)
        else:
            self._registry.reserve(target, size)
            await self._copy_large(str(manifest.part(index)), size, manifest.nodes[index], target, pace)

    async def _copy_small(self, part: PartId, source: str, target: str) -> None:
        [data] = await self._registry.store(source).get_all([str(part)])
        if isinstance(data, StoragedError):
            raise data
        try:
            check_part(part, data)
        except BadPart as problem:
            raise PartDamaged(problem.reason).on(source) from problem
        with _too_early(target):
            [outcome] = await self._registry.store(target).put_all([(str(part), data)])
            if isinstance(outcome, StoragedError):
                raise outcome

    async def _copy_large(self, part: str, size: int, source: str, target: str, pace: Pace) -> None:
        reader = await self._registry.store(source).open(part, None)
        try:
            with _too_early(target):
                writer = await self._registry.store(target).create(part, size)
            try:
                await self._pump(reader, writer, target, pace)
                with _too_early(target):
                    await writer.finish()  # the node has checked every unit, and that it is this part and complete
            except BaseException:
                await writer.abort()
                raise
        finally:
            reader.close()

    async def _pump(self, reader: IPartReader, writer: IPartWriter, target: str, pace: Pace) -> None:
        """Copy all bytes, as fast as the pace and the writer allow."""
        gate = Gate()
        gate.watch(writer)
        while data := await reader.read():
            await pace.take(len(data))
            writer.write(data)
            with _too_early(target):
                await gate.passed()


@contextmanager
def _too_early(target: str) -> Iterator[None]:
    """Raise `RecentlyRemoved` if the target does not take the part yet, because it was removed there recently."""
    try:
        yield
    except PartMissing as problem:
        raise RecentlyRemoved(str(problem.on(target))) from problem
