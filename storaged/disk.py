"""Parts in a folder of a disk; how they lie in it is in `storaged.part_folder`."""

from __future__ import annotations

from functools import partial

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from storaged.checks import check_limit, check_part_id
from storaged.disk_calls import DiskCalls
from storaged.disk_reader import DiskPartReader
from storaged.disk_writer import DiskPartWriter
from storaged.errors import NodeUnavailable, NoSpace, PartExists, PartMissing
from storaged.interfaces import (
    IFilesystem,
    IPartReader,
    IPartStore,
    IPartWriter,
    NodeIdentity,
    NodeInfo,
    PartInfo,
)
from storaged.part_folder import SUBFOLDERS, PartFolder
from storaged.ranges import Span
from storaged.removals import Removals
from storaged.room import Room

_LOOK_EVERY_S = 1


@implementer(IPartStore)
class DiskPartStore:
    """The parts in one folder.  One process at a time: who makes it holds the folder's lock.

    :param folder: where the parts lie.
    :param pool: runs every blocking call; it is started and stopped by its owner.
    :param reserve: bytes of the volume that are left free.
    :param clock: spaces out the looks at the volume.
    :param identity: who the node is.
    """

    def __init__(
        self,
        folder: str,
        filesystem: IFilesystem,
        pool: ThreadPool,
        reactor: IReactorFromThreads,
        *,
        reserve: int,
        clock: IReactorTime,
        identity: NodeIdentity,
    ) -> None:
        self._parts = PartFolder(folder, filesystem)
        self._filesystem = filesystem
        self._calls = DiskCalls(reactor, pool)
        self._clock = clock
        self._identity = identity
        self._room = Room(reserve)
        self._looked_at: float | None = None
        self._writers: dict[str, DiskPartWriter] = {}
        self._readers: set[DiskPartReader] = set()
        self._removals = Removals()
        self._stopping = False

    async def start(self) -> None:
        """Make the folders that are missing and drop the parts that were left half written.

        :raise NodeUnavailable: the folder cannot be used.
        """
        await self._calls.run(self._parts.root, self._parts.prepare)
        await self._look()

    async def stop(self) -> None:
        """Refuse new parts and readers, abort those under way, and wait until their files are closed."""
        self._stopping = True
        problem = NodeUnavailable(f"node {self._identity.node_id} is stopping")
        ends = [writer.break_off(problem) for writer in list(self._writers.values())]
        for reader in list(self._readers):
            reader.close()
            ends.append(reader.when_ended())
        await gatherResults(ends)

    def create(self, part_id: str, stored: int | None) -> Deferred[IPartWriter]:
        """Begin a part; see `IPartStore.create`."""
        return Deferred.fromCoroutine(self._create(part_id, stored))

    async def _create(self, part_id: str, stored: int | None) -> IPartWriter:
        part = check_part_id(part_id)
        await self._look()
        self._refuse_while_stopping()
        self._removals.check(part_id)
        if part_id in self._writers:
            raise PartExists(f"part {part_id} is being written already")
        if self._room.free < (1 if stored is None else stored):
            raise NoSpace(f"part {part_id}: {stored} bytes announced, {self._room.free} bytes are free")
        writer = DiskPartWriter(
            part,
            stored,
            self._parts,
            filesystem=self._filesystem,
            calls=self._calls,
            promise=self._room.promise(stored or 0),
        )
        self._writers[part_id] = writer
        writer.when_ended().addCallback(lambda _: self._writers.pop(part_id))
        try:
            await writer.begin()
        except BaseException:
            await writer.abort()
            raise
        return writer

    def open(self, part_id: str, span: Span | None) -> Deferred[IPartReader]:
        """Read a part; see `IPartStore.open`."""
        return Deferred.fromCoroutine(self._open(part_id, span))

    async def _open(self, part_id: str, span: Span | None) -> IPartReader:
        place = self._parts.place(check_part_id(part_id))
        self._refuse_while_stopping()
        reader = DiskPartReader(part_id, place.path, span, filesystem=self._filesystem, calls=self._calls)
        self._readers.add(reader)
        reader.when_ended().addCallback(lambda _: self._readers.discard(reader))
        await reader.begin()
        return reader

    def stat(self, part_id: str) -> Deferred[PartInfo]:
        """Look at a part; see `IPartStore.stat`."""
        return Deferred.fromCoroutine(self._stat(part_id))

    async def _stat(self, part_id: str) -> PartInfo:
        part = check_part_id(part_id)
        return await self._calls.run(f"part {part_id}", lambda: self._parts.stat(part))

    def remove(self, part_id: str) -> Deferred[bool]:
        """Delete a part; see `IPartStore.remove`."""
        return Deferred.fromCoroutine(self._remove(part_id))

    async def _remove(self, part_id: str) -> bool:
        part = check_part_id(part_id)
        self._removals.note(part_id)
        writer = self._writers.get(part_id)
        if writer is not None:
            await writer.break_off(PartMissing(f"part {part_id} was removed while it was written"))
        found = await self._calls.run(f"part {part_id}", lambda: self._parts.remove(part))
        if found:
            self._removals.forget(part_id)
        return found

    def list_parts(self, after: str, limit: int) -> Deferred[list[PartInfo]]:
        """List parts; see `IPartStore.list_parts`."""
        return Deferred.fromCoroutine(self._list(after, limit))

    async def _list(self, after: str, limit: int) -> list[PartInfo]:
        check_limit(limit)
        found: list[PartInfo] = []
        for name in SUBFOLDERS:
            if name >= after[:2] and len(found) < limit:
                found += await self._calls.run(f"parts in {name}", partial(self._parts.scan, name, after))
        return found[:limit]

    def info(self) -> Deferred[NodeInfo]:
        """Who this is and what room there is; see `IPartStore.info`."""
        return Deferred.fromCoroutine(self._info())

    async def _info(self) -> NodeInfo:
        await self._look()
        return NodeInfo(self._identity.node_id, self._identity.cluster, self._room.capacity, self._room.free)

    def _refuse_while_stopping(self) -> None:
        if self._stopping:
            raise NodeUnavailable(f"node {self._identity.node_id} is stopping")

    async def _look(self) -> None:
        """Ask the volume for its room, unless that was just done."""
        now = self._clock.seconds()
        if self._looked_at is not None and now - self._looked_at < _LOOK_EVERY_S:
            return
        self._looked_at = now
        noted = self._room.begin_look()
        root = self._parts.root
        self._room.end_look(await self._calls.run(root, lambda: self._filesystem.volume(root)), noted)
