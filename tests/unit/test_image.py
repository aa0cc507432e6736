"""The image of a snapshot as a file: it is used whole and beside the snapshot that it was made from, or not at all."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_twisted
from twisted.logger import capturedLogs
from twisted.python.threadpool import ThreadPool

from splitd.catalog.compaction import compact
from splitd.catalog.compactor import Compactor
from splitd.catalog.effects import apply
from splitd.catalog.imaging import Restorer
from splitd.catalog.journal.file import FileJournal
from splitd.catalog.journal.image import Digest, ImageReader, ImageUnusable, write_image
from splitd.catalog.journal.names import list_folder
from splitd.catalog.journal.reader import JournalReader
from splitd.catalog.journal.writer import SegmentWriter
from splitd.catalog.snapshot_records import records_of
from splitd.catalog.state import State
from splitd.errors import JournalDamaged
from splitd.model.manifest import Manifest
from splitd.model.records import FileCommitted, JournalOpened, Record
from storaged.system.filesystem import OSFilesystem
from storaged.system.interfaces import IFile
from tests.contract.filesystems import PassingFilesystem
from tests.unit.histories import NODES, told

FRAMES = [b"first", b"the second", b"\0" * 20]
SNAPSHOT = b"a snapshot\n"
NAME = "snapshot-0000000007"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / f"{NAME}.jsonl").write_bytes(SNAPSHOT)
    write_image(OSFilesystem(), str(tmp_path), 7, Digest().over([SNAPSHOT]), FRAMES)
    return tmp_path


def read(folder: Path) -> list[bytes]:
    return list(ImageReader(OSFilesystem(), str(folder)).frames())


def test_the_frames_of_an_image_are_read_as_they_were_written(folder: Path) -> None:
    reader = ImageReader(OSFilesystem(), str(folder))
    assert list(reader.frames()) == FRAMES
    assert (reader.upcoming, reader.size) == (7, len(SNAPSHOT))


def test_its_bytes_are_as_the_documentation_says(folder: Path) -> None:
    data = (folder / f"{NAME}.image").read_bytes()
    assert data[:36] == b"splitd-image 3 7 11 " + b"%08x\n" % Digest().over([SNAPSHOT]).crc + b"\0\0\0\5fir"
    assert data[-8:-4] == bytes(4)
    pieces = [data[:29], b"\0\0\0\5first", b"\0\0\0\x0athe second", b"\0\0\0\x14" + bytes(20), bytes(4)]
    assert data[-4:] == Digest().over(pieces).crc.to_bytes(4, "big")


def test_any_flipped_bit_is_noticed(folder: Path) -> None:
    image = folder / f"{NAME}.image"
    data = image.read_bytes()
    for place in range(len(data)):
        for bit in range(8):
            image.write_bytes(data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :])
            with pytest.raises(ImageUnusable):
                read(folder)


def test_an_image_that_is_cut_off_or_goes_on_is_noticed(folder: Path) -> None:
    image = folder / f"{NAME}.image"
    data = image.read_bytes()
    for other in (*(data[:size] for size in range(len(data))), data + b"\0", data + data[-8:]):
        image.write_bytes(other)
        with pytest.raises(ImageUnusable):
            read(folder)


@pytest.mark.parametrize("snapshot", [b"a snapshit\n", b"a snapshot\n\n", b"a snapshot", b""])
def test_an_image_of_another_snapshot_is_noticed(folder: Path, snapshot: bytes) -> None:
    (folder / f"{NAME}.jsonl").write_bytes(snapshot)
    with pytest.raises(ImageUnusable, match="it was made from another snapshot"):
        read(folder)


def test_an_image_of_another_version_is_told(folder: Path) -> None:
    image = folder / f"{NAME}.image"
    image.write_bytes(image.read_bytes().replace(b"splitd-image 3", b"splitd-image 4", 1))
    with pytest.raises(ImageUnusable, match="its format has version 4, only 3 is known here"):
        read(folder)


def test_a_snapshot_needs_no_image_and_an_image_a_snapshot(folder: Path) -> None:
    (folder / f"{NAME}.image").rename(folder / "snapshot-0000000006.image")
    with pytest.raises(ImageUnusable, match="there is none"):
        read(folder)
    (folder / f"{NAME}.jsonl").unlink()
    assert read(folder) == []
    assert ImageReader(OSFilesystem(), str(folder)).upcoming == 0


def test_an_unfinished_image_that_its_own_writer_removes_is_no_hindrance(tmp_path: Path) -> None:
    unfinished = tmp_path / f"{NAME}.image.new"
    unfinished.write_bytes(b"half")
    reader = JournalReader(OSFilesystem(), str(tmp_path))
    for _ in reader.batches():
        pass
    assert reader.obsolete == [unfinished.name]
    unfinished.unlink()  # the compaction of a front that was killed has ended at this moment
    SegmentWriter(OSFilesystem(), str(tmp_path), 1000).resume(reader)


def test_images_of_other_snapshots_and_unfinished_ones_are_obsolete(folder: Path) -> None:
    for name in (
        "snapshot-0000000006.image",
        "snapshot-0000000008.image",
        f"{NAME}.image.new",
        "journal-0000000001.image",
    ):
        (folder / name).write_bytes(b"")
    found = list_folder(OSFilesystem(), str(folder))
    assert found.obsolete == ["snapshot-0000000006.image", f"{NAME}.image.new", "snapshot-0000000008.image"]


OPENED = JournalOpened(1, "c" * 32, 5)


def commits(first: int, count: int) -> list[Record]:
    return [
        FileCommitted(f"/{number}", Manifest(f"{number:032x}", 1, number, 6, 0, 4, NODES))
        for number in range(first, first + count)
    ]


ALL = 42
"""The records of a `Place`, where the snapshot has one more for the time of the root."""


class Place:
    """A journal with a snapshot, its image, and records after it.

    :ivar applied: how many records the last start has applied.
    """

    def __init__(self, folder: Path, pool: ThreadPool) -> None:
        self.folder = folder
        self._pool = pool
        self.applied = 0
        self.wanted = State()

    @asynccontextmanager
    async def opened(self, state: State) -> AsyncIterator[FileJournal]:
        from twisted.internet import reactor

        def count(record: Record) -> None:
            self.applied += 1
            apply(state, record)

        self.applied = 0
        journal = FileJournal(str(self.folder), OSFilesystem(), self._pool, reactor, segment_limit=2000)
        try:
            await journal.replay(count, Restorer(state))
            yield journal
        finally:
            await journal.close()

    async def fill(self, first: int, count: int) -> None:
        state = State()
        async with self.opened(state) as journal:
            for record in ([] if state.cluster else [OPENED]) + commits(first, count):
                await journal.append_all([record], durable=True)
                apply(state, record)
        self.wanted = state

    @property
    def last(self) -> int:
        """The number of the first record of the last segment."""
        return list_folder(OSFilesystem(), str(self.folder)).segments[-1]

    async def start(self) -> list[str]:
        """Start, check the state, and return what was logged of images."""
        state = State()
        with capturedLogs() as events:
            async with self.opened(state):
                assert told(state) == told(self.wanted)
                assert list(records_of(state)) == list(records_of(self.wanted))
        return [event["reason"] for event in events if "its image" in (event["log_format"] or "")]

    def name(self, kind: str) -> Path:
        [found] = self.folder.glob(f"snapshot-*.{kind}")
        return found


@pytest_twisted.async_yield_fixture
async def place(tmp_path: Path, pool: ThreadPool) -> AsyncIterator[Place]:
    place = Place(tmp_path / "journal", pool)
    await place.fill(0, 40)
    assert compact(OSFilesystem(), str(place.folder), place.last) == ""
    yield place


@pytest_twisted.ensureDeferred
async def test_a_start_reads_the_image_in_place_of_the_snapshot(place: Place) -> None:
    records = len((place.folder / f"journal-{place.last:010}.jsonl").read_bytes().splitlines())
    assert await place.start() == []
    assert place.applied == records < ALL
    await place.fill(100, 5)
    assert await place.start() == []
    assert place.applied == records + 5


@pytest_twisted.ensureDeferred
async def test_an_image_that_cannot_be_used_is_told_and_the_snapshot_is_read(place: Place) -> None:
    image = place.name("image")
    data = image.read_bytes()
    for other, reason in (
        (data[:-1], "it ends in the frame at byte"),
        (data[:-10] + b"!" + data[-9:], "is damaged"),
        (b"", "its first line is none of an image"),
    ):
        image.write_bytes(other)
        [found] = await place.start()
        assert reason in found
        assert place.applied == ALL
    image.unlink()
    assert await place.start() == ["there is none"]
    assert place.applied == ALL


@pytest_twisted.ensureDeferred
async def test_frames_that_make_no_state_are_dropped(place: Place) -> None:
    upcoming = place.last
    digest = Digest().over([place.name("jsonl").read_bytes()])
    good = list(ImageReader(OSFilesystem(), str(place.folder)).frames())
    for frames in (good[:-1], [*good[:2], b"other", *good[2:]], []):
        write_image(OSFilesystem(), str(place.folder), upcoming, digest, frames)
        [found] = await place.start()
        assert "its frames make no state" in found
        assert place.applied == ALL


@pytest_twisted.ensureDeferred
async def test_a_damaged_snapshot_is_damage_whether_it_has_an_image_or_not(place: Place) -> None:
    snapshot = place.name("jsonl")
    snapshot.write_bytes(snapshot.read_bytes().replace(b'"/3"', b'"/4"'))
    with pytest.raises(JournalDamaged, match=rf"{snapshot.name}, line \d+: record \d+: its checksum"):
        await place.start()


@pytest_twisted.ensureDeferred
async def test_a_compaction_replaces_the_image_too(place: Place) -> None:
    first = place.name("image")
    await place.fill(200, 40)
    assert compact(OSFilesystem(), str(place.folder), place.last) == ""
    assert await place.start() == []
    assert place.name("image") != first


class NoImages(PassingFilesystem):
    """A disk that is full when an image is begun."""

    def open(self, path: str, mode: str) -> IFile:
        if mode == "create" and ".image" in path:
            raise OSError(errno.ENOSPC, "No space left on device", path)
        return super().open(path, mode)


@pytest_twisted.ensureDeferred
async def test_a_snapshot_without_an_image_is_as_good(place: Place) -> None:
    await place.fill(200, 40)
    lacking = compact(NoImages(), str(place.folder), place.last)
    assert lacking.startswith("the snapshot has no image: [Errno 28] No space left on device")
    assert await place.start() == ["there is none"]


@pytest_twisted.ensureDeferred
async def test_a_process_that_can_make_no_image_makes_the_snapshot_and_says_so(place: Place) -> None:
    from twisted.internet import reactor

    await place.fill(200, 40)
    (place.folder / f"snapshot-{place.last:010}.image.new").mkdir()
    (place.folder / f"snapshot-{place.last:010}.image.new" / "in the way").touch()
    with capturedLogs() as events:
        await Compactor(reactor)(str(place.folder), place.last)
    assert any("the snapshot has no image" in (event.get("said") or "") for event in events)
    assert (place.folder / f"snapshot-{place.last:010}.jsonl").exists()
