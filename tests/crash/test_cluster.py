"""A front and six nodes through power cuts that hit all of them at once, while clients use them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from splitd.catalog.continued import Continued
from splitd.catalog.state import State
from splitd.errors import MoveRefused
from splitd.model.conditions import ALWAYS
from splitd.model.erasure import cut_whole
from splitd.model.manifest import Manifest
from splitd.model.media import NO_MEDIA
from splitd.model.tree import Collection
from splitd.upkeep.pace import Pace
from storaged.parts.errors import StoragedError
from storaged.parts.format import encode_part, parse_part_id
from storaged.system.sizes import Size
from tests.cluster.cluster import Answer, Cluster
from tests.cluster.s3 import KEY
from tests.cluster.segments import continued, feed, put_segment
from tests.crash.cuts import Cuts
from tests.crash.operations import Image
from tests.crash.oracle import Begun, Ended, allowed
from tests.crash.power import PowerDisk
from tests.crash.recovery import WRITTEN_ON, Starts
from tests.tally import EFFORT, TALLY

UNIT = 512
LARGE, SMALL = 20_000, 3_000
SEGMENT = "segment "
"""What the name of a segment begins with in the notes; its upload and its number follow."""
NODES = 7


class ClusterDisk(PowerDisk):
    """The disk that all servers share."""

    room: int | None = None

    def release(self) -> None:
        """Do nothing: no call is held."""


class Life:
    """Uses a cluster, and records its answers."""

    def __init__(self, cluster: Cluster, disk: PowerDisk) -> None:
        self._cluster = cluster
        self._disk = disk
        self._random = Random(1)

    async def run(self) -> None:
        await self.change("MKCOL", "/c", True)
        await self.put("/large", LARGE)
        await self.put("/small", SMALL)
        await self.put("/c/1", SMALL)
        await self.put("/large", SMALL)
        await self.break_off("/c/2")
        await self.put("/c/2", LARGE)
        await self.put("/empty", 0)
        await self.change("DELETE", "/small", None)
        await self.reaped()
        await self.put("/small", LARGE)
        await self.change("DELETE", "/c/1", None)
        await self.put("/small", 0)
        await self.reaped()
        await self.put("/c/3", SMALL)
        await self.copies_and_moves()
        await self.put("/last", LARGE)
        await self.move("/last", 0)
        await self.move("/c/3", 5)
        await self.move("/last", 3)
        await self.reaped()
        await self.put("/last", SMALL)
        await self.move_in_vain("/c/2")
        await self.change("DELETE", "/c/3", None)
        await self.reaped()

    async def move(self, path: str, index: int) -> None:
        """Move a part to a node that has no part of the file."""
        front = self._cluster.front
        assert front is not None
        manifest = await front.catalog.lookup(path)
        target = next(node.node_id for node in self._cluster.nodes if node.node_id not in manifest.nodes)
        await front.upkeep.mover.move(manifest, index, target, Pace(None, None))

    async def move_in_vain(self, path: str) -> None:
        """Move a part of a file that is deleted before the move is committed."""
        front = self._cluster.front
        assert front is not None
        manifest = await front.catalog.lookup(path)
        target = next(node.node_id for node in self._cluster.nodes if node.node_id not in manifest.nodes)
        moving = Deferred.fromCoroutine(front.upkeep.mover.move(manifest, 2, target, Pace(None, None)))
        await self.change("DELETE", path, None)
        with suppress(MoveRefused, StoragedError):
            await moving

    async def copies_and_moves(self) -> None:
        """Copy, move and delete files: their parts must stay as long as they have a name."""
        for source, copy, moved in (("/original", "/c/copy", "/moved"), ("/original", "/c/copy", "/c/3")):
            data = await self.put(source, LARGE if moved == "/moved" else SMALL)
            await self.transfer("COPY", source, {copy: data}, copy)
            await self.change("DELETE", source, None)
            await self.reaped()
            await self.transfer("MOVE", copy, {copy: None, moved: data}, moved)
            await self.reaped()
        await self.change("DELETE", "/moved", None)
        await self.reaped()

    async def transfer(self, method: str, source: str, results: dict[str, Any], target: str) -> None:
        changes = [Begun(path, result) for path, result in results.items()]
        for change in changes:
            self._disk.note(change)
        answer = await self._cluster.ask(method, source, Destination=target)
        assert answer.code in {201, 204}, answer
        for change in changes:
            self._disk.note(Ended(change, True))

    async def put(self, path: str, size: int) -> bytes:
        data = self._random.randbytes(size)
        await self.change("PUT", path, data, data)
        return data

    async def change(self, method: str, path: str, result: Any, body: bytes | None = None) -> Answer:
        change = Begun(path, result)
        self._disk.note(change)
        answer = await self._cluster.ask(method, path, body)
        assert answer.code in {201, 204}, answer
        self._disk.note(Ended(change, True))
        return answer

    async def break_off(self, path: str) -> None:
        client = await self._cluster.connect()
        client.begin("PUT", path, f"Content-Length: {LARGE}")
        client.send(bytes(LARGE // 2))
        await self._cluster.status_becomes(lambda status: status["uploads"]["under_way"] == 1)
        client.reset()
        await self.reaped()

    async def reaped(self) -> None:
        await self._cluster.status_becomes(
            lambda status: status["uploads"]["under_way"] == status["reaper"]["doomed"] == 0
        )


def columns(data: bytes, count: int) -> list[bytes]:
    """Return the data parts of a file, cut as the format says.

    :param count: how many there are.
    """
    parts = [b""] * count
    for start in range(0, len(data), count * UNIT):
        stripe = data[start : start + count * UNIT]
        share, more = divmod(len(stripe), count)
        position = 0
        for index in range(count):
            size = share + (index < more)
            parts[index] += stripe[position : position + size]
            position += size
    return parts


def is_stored(manifest: Manifest, data: bytes, nodes: dict[str, dict[str, bytes]]) -> bool:
    """Return whether a file with this content can be read, and each node has what the manifest places there."""
    if manifest.size != len(data):
        return False
    payloads = columns(data, manifest.data) + cut_whole(manifest.layout, data)[manifest.data :]
    for index, (node, payload) in enumerate(zip(manifest.nodes, payloads, strict=False)):
        part_id = f"{manifest.upload}.{index}"
        if node and nodes[node].get(part_id) != encode_part(parse_part_id(part_id), UNIT, payload):
            return False
    return len(manifest.nodes) == (manifest.layout.width if data else 0) and (not data or manifest.spare >= 0)


def are_stored(manifest: Manifest, data: bytes, nodes: dict[str, dict[str, bytes]], state: State) -> bool:
    """Return whether the segments of a file are stored, and make up this content."""
    start = 0
    for ref in manifest.segments:
        version = state.version(ref.upload)
        if version is None or not is_stored(version, data[start : start + ref.size], nodes):
            return False
        start += ref.size
    return start == len(data) == manifest.size


def judge(image: Image, notes: list[Any], folder: Path, starts: Starts) -> None:
    nodes = {
        node: starts.parts(image, str(folder / node))
        for node in (f"n{number}" for number in range(1, NODES + 1))
        if f"{folder / node}/packs" in image  # the node had begun its start
    }
    state = starts.journal(image, str(folder / "front/journal"))
    may = allowed(notes)
    for path, results in may.items():
        found = segment_of(state, path) if path.startswith(SEGMENT) else state.find(path)
        assert any(_is(found, result, nodes, state) for result in results), f"{path}: {found}"
    assert {path for path, _ in state.tree.walk() if not path.startswith(WRITTEN_ON)} <= may.keys()
    assert {name for each in state.continued for name in segments_of(each)} <= may.keys()
    TALLY["parts and copies forgotten by a cut, for the sweep"] += sum(1 for _ in _left(state, nodes))


def segments_of(continued: Continued) -> list[str]:
    """Return what the segments of an upload are called in the notes."""
    return [f"{SEGMENT}{continued.upload} {number}" for number in continued.segments]


def segment_of(state: State, name: str) -> Manifest | None:
    """Return the segment that is called so, if its upload is under way and has it."""
    upload, number = name.removeprefix(SEGMENT).split()
    continued = state.continued.find(upload)
    packed = None if continued is None else continued.segments.get(int(number))
    return None if packed is None else state.shown(packed)


def _is(found: Manifest | Collection | None, result: Any, nodes: dict[str, dict[str, bytes]], state: State) -> bool:
    if isinstance(found, Manifest) and found.packed_segments:
        return isinstance(result, bytes) and are_stored(found, result, nodes, state)
    if isinstance(found, Manifest):
        return isinstance(result, bytes) and is_stored(found, result, nodes)
    return result is (True if isinstance(found, Collection) else None)


def _left(state: State, nodes: dict[str, dict[str, bytes]]) -> Iterator[str]:
    """Yield the parts that remain after the reaper has deleted the parts it knows of: a sweep finds exactly these."""
    for node, parts in nodes.items():
        for part_id in parts:
            if not state.knows(parse_part_id(part_id), node):
                yield part_id


def empty(folder: Path) -> Image:
    """Return empty folders for the disk, and make real ones of the same names for locks and the indexes of packs."""
    names = ("front/journal", *(f"n{number}" for number in range(1, NODES + 1)))
    for name in names:
        (folder / name).mkdir(parents=True)
    return {str(folder / name): {} for name in names}


class HurtLife(Life):
    """Uses a cluster whose files have parity, while nodes come and go and parts are lost."""

    async def run(self) -> None:
        for path, size in (("/large", 8_000), ("/small", 1_000), ("/replaced", 1_000), ("/deleted", 1_000)):
            await self.put(path, size)
        for number in (0, 1):
            await self._cluster.break_node(number)
        await self.put("/stored without", 8_000)
        await self.put("/small without", 1_000)
        for number in (0, 1):
            await self._cluster.nodes[number].start()
        await self._cluster.look_at_nodes()
        await self.whole()
        for path, index in (("/large", 0), ("/large", 5), ("/small", 1), ("/replaced", 2), ("/deleted", 3)):
            await self.lose(path, index)
        await self.put("/replaced", 1_000)
        await self.change("DELETE", "/deleted", None)
        await self.whole()
        registry = self._cluster.registry
        registry.write_text(registry.read_text().replace("- id: n3\n", "- id: n3\n  state: lost\n"))
        assert (await self._cluster.reload()).code == 200
        await self.whole()

    async def lose(self, path: str, index: int) -> None:
        """Have the front believe that a part is damaged."""
        front = self._cluster.front
        assert front is not None
        manifest = await front.catalog.lookup(path)
        await front.catalog.heal_ledger.lose(manifest.nodes[index], [manifest.part(index)], "it is said to be")
        front.upkeep.healer.wake()

    async def whole(self) -> None:
        await self._cluster.status_becomes(
            lambda status: not status["heal"]["versions"] and not status["heal"]["leaving"]
        )
        await self.reaped()


class SegmentLife(Life):
    """Uses a cluster for uploads in segments."""

    def __init__(self, cluster: Cluster, disk: PowerDisk) -> None:
        super().__init__(cluster, disk)
        self._numbers: dict[str, list[int]] = {}

    async def run(self) -> None:
        first = await self.begin("/file")
        one = await self.segment("/file", first, 1, LARGE)
        two = await self.segment("/file", first, 2, SMALL)
        await self.segment("/file", first, 3, 0)
        two = await self.segment("/file", first, 2, SMALL)
        await self.cut_off("/file", first)
        await self.reaped()
        await self.complete("/file", first, {1: one, 2: two})
        await self.reaped()
        second = await self.begin("/file")
        three = await self.segment("/file", second, 1, SMALL)
        aborted = await self.begin("/other")
        await self.segment("/other", aborted, 5, LARGE)
        await self.segment("/other", aborted, 6, SMALL)
        await self.ended(aborted, lambda: continued(self._cluster).abort("/other", aborted, "no longer wanted"))
        await self.reaped()
        await self.complete("/file", second, {1: three})
        await self.reaped()
        await self.change("DELETE", "/file", None)
        await self.reaped()

    async def begin(self, path: str) -> str:
        begun = await continued(self._cluster).begin(path, NO_MEDIA, ALWAYS)
        self._numbers[begun.upload] = []
        return begun.upload

    async def segment(self, path: str, upload: str, number: int, size: int) -> tuple[str, bytes]:
        """Store a segment; return its id and its bytes."""
        data = self._random.randbytes(size)
        change = Begun(f"{SEGMENT}{upload} {number}", data)
        self._disk.note(change)
        stored = await put_segment(self._cluster, path, upload, number, data)
        self._disk.note(Ended(change, True))
        self._numbers[upload].append(number)
        return stored, data

    async def cut_off(self, path: str, upload: str) -> None:
        """Begin a segment, and leave."""
        begun = await continued(self._cluster).put_segment(path, upload, 4, LARGE)
        feed(begun, bytes(LARGE // 2))
        await begun.abort("the client has left")

    async def complete(self, path: str, upload: str, chosen: dict[int, tuple[str, bytes]]) -> None:
        ids = [(number, stored) for number, (stored, _) in chosen.items()]
        change = Begun(path, b"".join(data for _, data in chosen.values()))
        self._disk.note(change)
        await self.ended(upload, lambda: continued(self._cluster).complete(path, upload, ids, ALWAYS))
        self._disk.note(Ended(change, True))

    async def ended(self, upload: str, end: Callable[[], Deferred[Any]]) -> None:
        """End an upload, which has no segments any more afterwards."""
        changes = [Begun(f"{SEGMENT}{upload} {number}", None) for number in set(self._numbers[upload])]
        for change in changes:
            self._disk.note(change)
        await end()
        for change in changes:
            self._disk.note(Ended(change, True))


@pytest.mark.parametrize(
    ("life", "settings"),
    [(Life, {}), (SegmentLife, {}), (HurtLife, {"layout": "4+2", "min_parts": 4, "heal_limit": Size(0)})],
)
@pytest_twisted.ensureDeferred
async def test_power_cuts_at_every_moment(
    make_cluster: Callable[..., Cluster], life: type[Life], settings: dict[str, Any]
) -> None:
    assert await cut_at_every_moment(make_cluster, life, **settings) > 500


async def cut_at_every_moment(make_cluster: Callable[..., Cluster], life: type[Life], **settings: Any) -> int:
    """Let a cluster live, and judge what a power cut at any moment can leave; return how many different disks that
    were.
    """
    cluster = make_cluster(count=NODES, unit=UNIT, small_part=Size(1000), reap_interval_s=3600.0, **settings)
    cluster.s3_key = KEY
    folder = cluster.folder
    first = empty(folder)
    disk = ClusterDisk(first)
    cluster.journal_filesystem = disk  # type: ignore[assignment]
    for node in cluster.nodes:
        node.filesystem = disk  # type: ignore[assignment]
    await cluster.start()
    await life(cluster, disk).run()
    await cluster.stop()
    random, cuts, seen, starts = Random(1), Cuts(first, disk.log), set(), Starts()
    for _ in cuts.moments():
        TALLY["moments of a cluster's life at which the power was cut"] += 1
        for image in cuts.images(random, most=4 * EFFORT):
            state = hash((len(cuts.notes), tuple((path, *sorted(files.items())) for path, files in image.items())))
            if state not in seen:
                seen.add(state)
                judge(image, cuts.notes, folder, starts)
    TALLY["states of a cluster's disks started from"] += len(seen)
    return len(seen)
