"""Rebuilds parts of a version from its other parts, and stores them.

The file is read as a client would read it, without the parts that cannot be read, and cut once more; of the columns,
only those of the wanted parts are sent.  So the parts are, byte for byte, those that an upload stores.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from splitd.interfaces.nodes import INodeRegistry
from splitd.interfaces.store import IDownload, Opened
from splitd.model.erasure import cut_whole
from splitd.model.manifest import Manifest
from splitd.model.striping import Cutter
from splitd.upkeep.gate import Gate
from splitd.upkeep.pace import Pace
from splitd.uploads.lanes import Lane
from splitd.uploads.parity import ParityFeed, run_coding
from storaged.parts.errors import PartExists, PartMissing, StoragedError
from storaged.parts.format import SMALL_PART, PartEncoder, encode_part, stored_size
from storaged.system.buffers import Piece
from storaged.system.parallel import InThread, gather
from storaged.system.ranges import Span


class Rebuilder:
    """Rebuilds parts.

    :param open_file: opens a range of a version for reading.
    :param run: runs a computation in a thread.
    """

    def __init__(
        self, open_file: Callable[[Manifest, Span], Awaitable[Opened]], registry: INodeRegistry, run: InThread
    ) -> None:
        self._open = open_file
        self._registry = registry
        self._run = run

    async def rebuild(self, manifest: Manifest, targets: Mapping[int, str], pace: Pace) -> None:
        """Rebuild parts, and store each on a node.

        :param manifest: the version; parts whose node is "" are not read.
        :param targets: the ids of the nodes that get the parts, by the parts' indexes.
        :param pace: limits the stored bytes of the rebuilt parts.
        :raise FileUnavailable: too many nodes cannot be read.
        :raise FileDamaged: too many parts are missing or damaged.
        :raise StoragedError: a node failed.
        After each of these errors, and when it is cancelled, parts may be stored or not.
        """
        try:
            await self._rebuild(manifest, targets, pace)
        except (PartExists, PartMissing):
            # The journal knows of no copy there: the power was cut before the record of an earlier one was durable.  Or
            # a copy was removed that had not arrived, and the node still refuses it; the journal says that it is gone.
            for index, node in targets.items():
                await self._registry.store(node).trash(str(manifest.part(index)))
            await self._rebuild(manifest, targets, pace)

    async def _rebuild(self, manifest: Manifest, targets: Mapping[int, str], pace: Pace) -> None:
        opened = await self._open(manifest, Span(0, manifest.size))
        try:
            if all(stored_size(manifest.part_size(index), manifest.unit) <= SMALL_PART for index in targets):
                await self._store_small(manifest, opened.download, targets, pace)
            else:
                await _Stream(manifest, targets, self._registry, self._run).store(opened.download, pace)
        finally:
            opened.download.close()

    async def _store_small(
        self, manifest: Manifest, download: IDownload, targets: Mapping[int, str], pace: Pace
    ) -> None:
        pieces: list[Piece] = []
        while more := await download.read():
            pieces += more
        payloads = cut_whole(manifest.layout, b"".join(pieces))
        stored = {index: encode_part(manifest.part(index), manifest.unit, payloads[index]) for index in targets}
        await pace.take(sum(map(len, stored.values())))
        await gather([self._put(node, str(manifest.part(index)), stored[index]) for index, node in targets.items()])

    async def _put(self, node: str, part: str, data: bytes) -> None:
        [outcome] = await self._registry.store(node).put_all([(part, data)])
        if isinstance(outcome, StoragedError):
            raise outcome.on(node)


class _Stream:
    """Parts of a large file on their way to their nodes."""

    def __init__(self, manifest: Manifest, targets: Mapping[int, str], registry: INodeRegistry, run: InThread) -> None:
        self._manifest = manifest
        self._targets = targets
        self._registry = registry
        self._gate = Gate()
        self._lanes: dict[int, Lane] = {}
        self._cutter = Cutter(manifest.layout, manifest.size)
        self._parity: ParityFeed | None = None
        if max(targets) >= manifest.data:
            run = run_coding(manifest.layout, run)
            self._parity = ParityFeed(manifest.layout, run, self._write, self._set_parity_full, self._gate.fail)

    async def store(self, download: IDownload, pace: Pace) -> None:
        try:
            await gather([self._open_lane(index, node) for index, node in self._targets.items()])
            while pieces := await download.read():
                for piece in pieces:
                    self._send(self._cutter.cut(piece))
                await pace.take(sum(map(len, pieces)) * len(self._targets) // self._manifest.data)
                await self._gate.passed()
            self._send(self._cutter.finish())
            if self._parity is not None:
                await self._parity.finish()
            await gather([_ended(lane) for lane in self._lanes.values()])
        except BaseException:
            if self._parity is not None:
                self._parity.stop()
            await DeferredList([lane.writer.abort() for lane in self._lanes.values()])
            raise

    async def _open_lane(self, index: int, node: str) -> None:
        part, unit = self._manifest.part(index), self._manifest.unit
        size = stored_size(self._manifest.part_size(index), unit)
        writer = await self._registry.store(node).create(str(part), size)
        self._lanes[index] = Lane(node, writer, PartEncoder(part, unit))
        self._gate.watch(writer)

    def _send(self, pieces: list[tuple[int, Piece]]) -> None:
        for index, piece in pieces:
            self._write(index, piece)
        if self._parity is not None:
            self._parity.add(pieces)

    def _write(self, index: int, piece: Piece) -> None:
        lane = self._lanes.get(index)
        if lane is not None:
            lane.write(piece)

    def _set_parity_full(self, full: bool) -> None:
        self._gate.set_full("parity", full)


async def _ended(lane: Lane) -> None:
    ended: Deferred[Any] = lane.finish()
    await ended
