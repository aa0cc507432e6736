"""The part store of a node: parts in a folder on a disk.  Small parts are packed, see `storaged.packs`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from heapq import merge
from itertools import islice
from operator import attrgetter

from twisted.internet.defer import Deferred, execute, gatherResults, maybeDeferred
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from storaged.disk.calls import DiskCalls
from storaged.disk.folder import SUBFOLDERS, PartFolder
from storaged.disk.reader import DiskPartReader
from storaged.disk.room import Room
from storaged.disk.trash import Trash
from storaged.disk.writer import DiskPartWriter, write_size
from storaged.packs.files import PackFiles
from storaged.packs.index import PackIndex
from storaged.packs.packs import SEAL_SIZE, Packs
from storaged.packs.store import PackStore
from storaged.parts.bytes_reader import BytesReader
from storaged.parts.checks import check_limit, check_part_id, check_small, check_span
from storaged.parts.errors import BadRequest, NodeUnavailable, NoSpace, PartExists, PartMissing, StoragedError
from storaged.parts.findings import Findings
from storaged.parts.format import PartId, is_part_id
from storaged.parts.interfaces import INodeStore, IPartReader, IPartWriter, IPromptPuts
from storaged.parts.removals import Removals
from storaged.parts.values import LOOK_EVERY_S, NodeIdentity, NodeInfo, PartInfo, PartLook, RottenPart, Scrub
from storaged.parts.wire import check_look
from storaged.putting import SmallPuts
from storaged.removal import PartRemover
from storaged.scrub.looks import look_all
from storaged.scrub.progress import Progress
from storaged.scrub.rechecks import Rechecks
from storaged.scrub.scrubber import Scrubber
from storaged.system.clocks import WallClock
from storaged.system.interfaces import IFilesystem
from storaged.system.ranges import Span


@implementer(INodeStore, IPromptPuts)
class DiskPartStore:
    """The parts in one folder: small ones in packs, the others in a file each.

    One process at a time may use a folder: the creator of this object must hold the folder's lock.

    :param folder: the path of the folder.
    :param pool: runs every blocking call; it is started and stopped by its owner.
    :param reserve: bytes of the volume that are left free.
    :param clock: measures the time between checks of the volume; nobody sets it.
    :param wall: the clock for times that are stored.
    :param identity: the identity of the node.
    :param pack_size: a pack of this many bytes is not written to any more.
    :param scrub_s: the seconds in which the scrub reads all parts once; 0 if it never does.
    :param findings: the list of rotten parts, empty at first.
    :ivar rechecks: checks parts that a reader could not read to their end.
    :ivar scrubber: the scrub, which its owner starts and stops; the store must be started already.
    """

    _log = Logger()

    def __init__(
        self,
        folder: str,
        filesystem: IFilesystem,
        pool: ThreadPool,
        reactor: IReactorFromThreads,
        *,
        reserve: int,
        clock: IReactorTime,
        wall: WallClock,
        identity: NodeIdentity,
        pack_size: int = SEAL_SIZE,
        scrub_s: float = 0,
        findings: Findings | None = None,
    ) -> None:
        self._parts = PartFolder(folder, filesystem)
        self._filesystem = filesystem
        self._calls = DiskCalls(reactor, pool)
        self._reactor = reactor
        self._clock = clock
        self._identity = identity
        self._room = Room(reserve)
        self._looked_at: float | None = None
        files = PackFiles(f"{folder}/packs", filesystem)
        index = PackIndex(f"{folder}/packs.sqlite")
        packs = Packs(files, index, wall.now_ms, self._parts, pack_size)
        self._packs = PackStore(packs, self._calls, reactor)
        trash = Trash(f"{folder}/trash", filesystem)
        self.findings = Findings() if findings is None else findings
        self._remover = PartRemover(self._parts, self._packs, trash, self.findings, self._calls, clock, wall)
        self.rechecks = Rechecks(self._parts, self.findings, filesystem, self._calls, wall)
        self.scrubber = Scrubber(
            Progress(folder, filesystem),
            self._parts,
            self._packs,
            self.findings,
            filesystem,
            self._calls,
            clock=clock,
            wall=wall,
            period_s=scrub_s,
        )
        self._writers: dict[str, DiskPartWriter] = {}
        self._puts = SmallPuts(self._packs, self._room, self._admit_small)
        self._readers: set[DiskPartReader] = set()
        self._removals = Removals(clock.seconds)
        self._stopping = False

    async def start(self) -> None:
        """Make the missing folders, delete unfinished parts, and index the packs.

        :raise NodeUnavailable: the folder cannot be used.
        """
        await self._calls.run(self._parts.root, self._parts.prepare)
        await self._remover.prepare()
        await self._packs.start()
        await self._look()

    async def stop(self) -> None:
        """Refuse new parts and readers, abort those in progress, and wait until all files are closed."""
        self._stopping = True
        problem = NodeUnavailable("the node is stopping")
        ends = [writer.break_off(problem) for writer in list(self._writers.values())]
        for reader in list(self._readers):
            reader.close()
            ends.append(reader.when_ended())
        await gatherResults([*ends, self.rechecks.stop()])
        await self._packs.stop(problem)

    def create(self, part_id: str, stored_size: int | None) -> Deferred[IPartWriter]:
        """Begin a part; see `IPartStore.create`."""
        return Deferred.fromCoroutine(self._create(part_id, stored_size))

    async def _create(self, part_id: str, stored_size: int | None) -> IPartWriter:
        part = check_part_id(part_id)
        await self._look()
        self._puts.settle()
        self._admit(part_id, stored_size, self._room.free)
        await self._refuse_packed(part_id)
        self._admit(part_id, stored_size, self._room.free)
        writer = DiskPartWriter(
            part,
            stored_size,
            self._parts,
            filesystem=self._filesystem,
            calls=self._calls,
            promise=self._room.promise(stored_size or 0),
            write_size=lambda: write_size(len(self._writers)),
        )
        self._writers[part_id] = writer
        writer.when_ended().addCallback(lambda _: self._writers.pop(part_id))
        try:
            await writer.begin()
        except BaseException:
            await writer.abort()
            raise
        return writer

    def _admit(self, part_id: str, stored_size: int | None, free: int) -> None:
        """Refuse a part that must not begin now, or for which there is no room in `free` bytes."""
        self._refuse_while_stopping()
        self._removals.check(part_id)
        if part_id in self._writers or part_id in self._puts:
            raise PartExists(f"part {part_id} is being written already")
        if free < (1 if stored_size is None else stored_size):
            raise NoSpace(f"part {part_id}: {stored_size} bytes announced, {free} bytes are free")

    async def _refuse_packed(self, part_id: str) -> None:
        try:
            await self._packs.find(part_id)
        except PartMissing:
            return
        raise PartExists(f"part {part_id} is here already")

    def put_all(self, parts: Sequence[tuple[str, bytes]]) -> Deferred[list[PartInfo | StoragedError]]:
        """Store small parts; see `ISmallPartStore.put_all`."""
        self._look_soon()
        return self._puts.put_all(parts)

    def put_all_then(
        self, parts: Sequence[tuple[str, bytes]], then: Callable[[list[PartInfo | StoragedError]], object]
    ) -> None:
        """Store small parts; see `IPromptPuts.put_all_then`."""
        self._look_soon()
        self._puts.put_all_then(parts, then)

    def tell(self, call: Callable[[], object]) -> None:
        """Make a call in the reactor's thread; see `IPromptPuts.tell`."""
        self._reactor.callFromThread(call)

    def _look_soon(self) -> None:
        if self._look_is_due():
            # Not awaited, because small parts do not use up so soon the room that the last check found.
            Deferred.fromCoroutine(self._look()).addErrback(lambda failure: self._log.failure("the volume", failure))

    def _admit_small(self, part_id: str, stored_size: int, free: int) -> PartId:
        part = check_part_id(part_id)
        check_small(part_id, stored_size)
        self._admit(part_id, stored_size, free)
        return part

    def get_all(self, part_ids: Sequence[str]) -> Deferred[list[bytes | StoragedError]]:
        """Read small parts; see `ISmallPartStore.get_all`."""
        return maybeDeferred(self._get_all, part_ids)

    def _get_all(self, part_ids: Sequence[str]) -> Deferred[list[bytes | StoragedError]]:
        if all(map(is_part_id, part_ids)):  # as nearly always
            return self._packs.get_all(part_ids)
        outcomes: list[bytes | StoragedError | None] = [_problem_of(part_id) for part_id in part_ids]
        asked = [part_id for part_id, outcome in zip(part_ids, outcomes, strict=True) if outcome is None]

        def merged(read: list[bytes | StoragedError]) -> list[bytes | StoragedError]:
            parts = iter(read)
            return [next(parts) if outcome is None else outcome for outcome in outcomes]

        return self._packs.get_all(asked).addCallback(merged)

    def remove_all(self, part_ids: Sequence[str]) -> Deferred[list[bool | StoragedError]]:
        """Delete parts; see `ISmallPartStore.remove_all`."""
        return Deferred.fromCoroutine(self._remove_all(part_ids))

    async def _remove_all(self, part_ids: Sequence[str]) -> list[bool | StoragedError]:
        outcomes: dict[str, bool | StoragedError] = {}
        parts: dict[str, PartId] = {}
        for part_id in part_ids:
            try:
                parts[part_id] = check_part_id(part_id)
            except BadRequest as problem:
                outcomes[part_id] = problem
            else:
                self._removals.note(part_id)
        await self._break_off(parts)
        removed = await self._remover.remove_all(list(parts.values()))
        outcomes.update(zip(parts, removed, strict=True))
        for part_id, outcome in outcomes.items():
            if outcome is True:
                self._removals.forget(part_id)
        return [outcomes[part_id] for part_id in part_ids]

    async def _break_off(self, part_ids: Iterable[str]) -> None:
        """Abort parts that are being written and are now removed."""
        await gatherResults(
            [
                self._writers[part_id].break_off(PartMissing(f"part {part_id} was removed while it was written"))
                for part_id in part_ids
                if part_id in self._writers
            ]
        )

    def open(self, part_id: str, span: Span | None) -> Deferred[IPartReader]:
        """Open a part for reading; see `IPartStore.open`."""
        return Deferred.fromCoroutine(self._open(part_id, span))

    async def _open(self, part_id: str, span: Span | None) -> IPartReader:
        place = self._parts.place(check_part_id(part_id))
        self._refuse_while_stopping()
        try:
            return await self._open_file(part_id, place.path, span)
        except PartMissing:
            data = (await self._packs.get_all([part_id]))[0]
            if isinstance(data, StoragedError):
                raise data from None
            return BytesReader(data, check_span(part_id, span, len(data)))

    async def _open_file(self, part_id: str, path: str, span: Span | None) -> IPartReader:
        reader = DiskPartReader(part_id, path, span, filesystem=self._filesystem, calls=self._calls)
        self._readers.add(reader)
        reader.when_ended().addCallback(lambda _: self._readers.discard(reader))
        await reader.begin()
        return reader

    def stat(self, part_id: str) -> Deferred[PartInfo]:
        """Look up a part; see `IPartStore.stat`."""
        return Deferred.fromCoroutine(self._stat(part_id))

    async def _stat(self, part_id: str) -> PartInfo:
        part = check_part_id(part_id)
        try:
            return await self._calls.run(f"part {part_id}", lambda: self._parts.stat(part))
        except PartMissing:
            return await self._packs.find(part_id)

    def remove(self, part_id: str) -> Deferred[bool]:
        """Delete a part; see `IPartStore.remove`."""
        return Deferred.fromCoroutine(self._remove(part_id))

    async def _remove(self, part_id: str) -> bool:
        [outcome] = await self._remove_all([part_id])
        if isinstance(outcome, StoragedError):
            raise outcome
        return outcome

    def trash(self, part_id: str) -> Deferred[bool]:
        """Move a part to the trash; see `IPartStore.trash`."""
        return Deferred.fromCoroutine(self._put_aside(part_id))

    async def _put_aside(self, part_id: str) -> bool:
        part = check_part_id(part_id)
        self._refuse_while_stopping()
        found = await self._remover.put_aside(part)
        self._removals.forget(part_id)
        return found

    async def empty_trash(self, keep_s: float) -> None:
        """Delete the parts that were moved to the trash long ago; see `PartRemover.empty_trash`."""
        await self._remover.empty_trash(keep_s)

    def list_parts(self, after: str, limit: int) -> Deferred[list[PartInfo]]:
        """List parts; see `IPartStore.list_parts`."""
        return Deferred.fromCoroutine(self._list(after, limit))

    async def _list(self, after: str, limit: int) -> list[PartInfo]:
        check_limit(limit)
        packed = await self._packs.page(after, limit)
        return list(islice(merge(packed, await self._list_files(after, limit), key=attrgetter("part_id")), limit))

    async def _list_files(self, after: str, limit: int) -> list[PartInfo]:
        found: list[PartInfo] = []
        for name in SUBFOLDERS:
            if name >= after[:2] and len(found) < limit:
                found += await self._calls.run(f"parts in {name}", partial(self._parts.scan, name, after))
        return found[:limit]

    def info(self) -> Deferred[NodeInfo]:
        """Describe the node and its room; see `IPartStore.info`."""
        return Deferred.fromCoroutine(self._info())

    async def _info(self) -> NodeInfo:
        await self._look()
        self._puts.settle()
        identity, room = self._identity, self._room
        return NodeInfo(
            identity.node_id,
            identity.cluster,
            room.capacity,
            room.free,
            room.reserve,
            room.volume_id,
            self.scrubber.report(),
            identity.disk,
        )

    def look_all(self, part_ids: Sequence[str]) -> Deferred[list[PartLook | StoragedError]]:
        """Look at parts; see `IPartChecks.look_all`."""
        return Deferred.fromCoroutine(self._look_at_all(part_ids))

    async def _look_at_all(self, part_ids: Sequence[str]) -> list[PartLook | StoragedError]:
        check_look(len(part_ids))
        self._refuse_while_stopping()
        return await self._calls.run(f"{len(part_ids)} parts", lambda: look_all(self._parts, self._packs, part_ids))

    def rotten(self, after: str, limit: int) -> Deferred[list[RottenPart]]:
        """List the parts that are known to be rotten; see `IPartChecks.rotten`."""
        return execute(self.findings.page, after, limit)

    def pause_scrub(self, *, paused: bool) -> Deferred[Scrub]:
        """Pause the scrub, or resume it; see `IPartChecks.pause_scrub`."""
        return execute(self.scrubber.pause if paused else self.scrubber.resume)

    def _refuse_while_stopping(self) -> None:
        if self._stopping:
            raise NodeUnavailable("the node is stopping")

    def _look_is_due(self) -> bool:
        return self._looked_at is None or self._clock.seconds() - self._looked_at >= LOOK_EVERY_S

    async def _look(self) -> None:
        """Check the room on the volume, unless that was done less than `LOOK_EVERY_S` seconds ago."""
        if not self._look_is_due():
            return
        self._looked_at = self._clock.seconds()
        self._puts.settle()
        noted = self._room.begin_look()
        root = self._parts.root
        self._room.end_look(await self._calls.run(root, lambda: self._filesystem.volume(root)), noted)


def _problem_of(part_id: str) -> BadRequest | None:
    try:
        check_part_id(part_id)
    except BadRequest as problem:
        return problem
    return None
