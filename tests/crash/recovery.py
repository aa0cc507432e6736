"""Starts from the contents of a disk after a cut, with the blocking code that the daemons start with.

The result of a start follows from the bytes on the disk alone.  Several moments of a life leave the same bytes, and a
moment of a cluster's life changes the disks of one server or two: `Starts` starts each server once from each content.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from splitd.catalog.compaction import compact, fold
from splitd.catalog.effects import apply
from splitd.catalog.imaging import Restorer
from splitd.catalog.journal.file import FileJournal
from splitd.catalog.journal.image import ImageReader, ImageUnusable
from splitd.catalog.journal.reader import JournalReader
from splitd.catalog.journal.writer import SegmentWriter
from splitd.catalog.snapshot_records import records_of
from splitd.catalog.state import State
from splitd.model.records import CollectionMade, Record, encode_line
from storaged.disk.folder import SUBFOLDERS, PartFolder
from storaged.disk.trash import Trash
from storaged.packs.files import PackFiles
from storaged.packs.index import PackIndex
from storaged.packs.packs import SEAL_SIZE, Packs
from storaged.parts.decoding import check_part
from storaged.parts.format import parse_part_id
from storaged.system.interfaces import IFilesystem
from tests.crash.operations import Image
from tests.crash.power import PowerDisk
from tests.tally import TALLY

WRITTEN_ON = "/written on"
"""The prefix of the names of collections that are made to check that a journal can be continued."""

NOW_MS = 1_700_000_000_000
FROM_IMAGES = "starts from the image of a snapshot"
"""What is counted when an image was used."""

_KEPT = 1000
"""The results of so many starts are kept: moments that leave the same bytes follow each other."""


def recover_journal(disk: IFilesystem, folder: str) -> State:
    """Return the state that the journal produces.  Check that it can be continued, and that new records can be read."""
    reader = JournalReader(disk, folder)
    state = fold(reader)
    records = list(records_of(state))
    _check_image(disk, folder, records)
    writer = SegmentWriter(disk, folder, 10_000)
    writer.resume(reader)
    written_on = f"{WRITTEN_ON} {reader.sequence}"
    if state.cluster:
        line = encode_line(reader.sequence, reader.sequence - 1, CollectionMade(written_on, NOW_MS))
        writer.write(reader.sequence, [line], durable=True)
    writer.close()
    again = fold(JournalReader(disk, folder))
    if state.cluster:
        assert again.tree.lookup(written_on) is not None
        again.tree.delete(written_on, NOW_MS)
        again.tree.touch("/", state.tree.collection("/").modified_ms)
    assert list(records_of(again)) == records if state.cluster else not again.cluster
    return state


def _check_image(disk: IFilesystem, folder: str, records: list[Record]) -> None:
    """Check that a start with the image of the snapshot, where there is one that can be used, comes to the same.

    :param records: those of the state that a start without the image comes to.
    """
    again, image = State(), ImageReader(disk, folder)
    restorer = Restorer(again)
    try:
        for frame in image.frames():
            restorer.take(frame)
        if not image.upcoming:
            return
        restorer.end()
    except ImageUnusable:
        TALLY["starts from a snapshot whose image could not be used"] += 1
        return
    TALLY[FROM_IMAGES] += 1
    reader = JournalReader(disk, folder)
    reader.skip_snapshot(image.upcoming, image.size)
    for batch in reader.batches():
        batch.apply(partial(apply, again))
    assert list(records_of(again)) == records


class _Unlocked:
    """The lock of a disk in memory: it does nothing."""

    def acquire(self) -> None:
        pass

    def release(self) -> None:
        pass


def journal_on(
    disk: PowerDisk, pool: ThreadPool, segment_limit: int, compactions: list[Deferred[None]] | None = None
) -> FileJournal:
    """Return a journal on a disk whose power will be cut; its compactions run in a thread.

    :param compactions: a Deferred for each compaction is appended, which fires when its thread has ended: the journal
        itself does not wait for one when it is closed.
    """
    from twisted.internet import reactor

    def in_thread(folder: str, upcoming: int) -> Any:
        ended: Deferred[None] = Deferred()
        if compactions is not None:
            compactions.append(ended)

        def work() -> None:
            try:
                compact(disk, folder, upcoming)
            finally:
                reactor.callFromThread(ended.callback, None)  # type: ignore[attr-defined]

        return deferToThreadPool(reactor, pool, work)

    return FileJournal(
        "/journal", disk, pool, reactor, compactor=in_thread, lock=_Unlocked(), segment_limit=segment_limit
    )


class Parts:
    """The parts of a node after a cut."""

    def __init__(self, folder: PartFolder, packs: Packs) -> None:
        self.folder = folder
        self.packs = packs

    def all(self) -> dict[str, bytes]:
        """Return the stored bytes of all parts that are listed; each is verified."""
        found: dict[str, bytes] = {}
        for subfolder in SUBFOLDERS:
            for info in self.folder.scan(subfolder, ""):
                found[info.part_id] = self.folder.read_small(parse_part_id(info.part_id))
        packed = [part_id for part_id, _ in self.packs.page("", 10_000)]
        for part_id, data in zip(packed, self.packs.read(packed), strict=True):
            assert isinstance(data, bytes), f"{part_id}: {data}"
            assert part_id not in found, f"{part_id} is there twice"
            found[part_id] = data
        for part_id, data in found.items():
            check_part(parse_part_id(part_id), data)
        return found


@contextmanager
def recovered_parts(disk: IFilesystem, folder: str, index: Path, seal_size: int) -> Iterator[Parts]:
    """Start the part store of a node after a cut.

    :param index: the database of the packs' index, which may exist or not.
    """
    parts = PartFolder(folder, disk)
    parts.prepare()
    Trash(f"{folder}/trash", disk).prepare()
    packs = Packs(PackFiles(f"{folder}/packs", disk), PackIndex(str(index)), lambda: NOW_MS, parts, seal_size)
    packs.start()
    try:
        yield Parts(parts, packs)
    finally:
        packs.close()


class Starts:
    """Starts journals and nodes from what cuts have left; nothing that it returns may be changed."""

    def __init__(self) -> None:
        self._journal = lru_cache(_KEPT)(_start_journal)
        self._parts = lru_cache(_KEPT)(_start_node)

    def journal(self, image: Image, folder: str = "/journal") -> State:
        """Return the state that a journal produces; see `recover_journal`."""
        return self._journal(folder, _frozen(image, folder))

    def parts(self, image: Image, folder: str) -> dict[str, bytes]:
        """Return the parts that a node has, as `Parts.all` does, if it has lost the index of its packs."""
        return self._parts(folder, _frozen(image, folder))


_Frozen: TypeAlias = tuple[tuple[str, tuple[tuple[str, bytes], ...]], ...]


def _frozen(image: Image, folder: str) -> _Frozen:
    """Return the contents of a folder, and of all folders below it."""
    below = f"{folder}/"
    return tuple(
        (path, tuple(sorted(files.items())))
        for path, files in image.items()
        if path == folder or path.startswith(below)
    )


def _thawed(frozen: _Frozen) -> PowerDisk:
    return PowerDisk({path: dict(files) for path, files in frozen})


def _start_journal(folder: str, frozen: _Frozen) -> State:
    return recover_journal(_thawed(frozen), folder)


def _start_node(folder: str, frozen: _Frozen) -> dict[str, bytes]:
    with recovered_parts(_thawed(frozen), folder, Path(":memory:"), SEAL_SIZE) as parts:
        return parts.all()
