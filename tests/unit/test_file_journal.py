from __future__ import annotations

import errno
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from splitd.catalog.journal.file import FileJournal
from splitd.catalog.journal.reader import JournalReader
from splitd.errors import CatalogReadOnly
from splitd.model.records import CollectionMade, Record, encode_line
from storaged.system.filesystem import OSFilesystem
from storaged.system.interfaces import IFile
from tests.contract.filesystems import FailingFilesystem, PassingFile, PassingFilesystem

Make = Callable[..., FileJournal]
FIRST = "journal-0000000001.jsonl"


def record(number: int) -> Record:
    return CollectionMade(f"/{number}", number)


@asynccontextmanager
async def opened(journal: FileJournal) -> AsyncIterator[FileJournal]:
    try:
        await journal.replay(lambda _: None)
        yield journal
    finally:
        await journal.close()


async def fill(make_journal: Make, count: int, **options: Any) -> None:
    async with opened(make_journal(**options)) as journal:
        for number in range(1, count + 1):
            await journal.append_all([record(number)], durable=True)


async def contents(make_journal: Make) -> list[Record]:
    found: list[Record] = []
    journal = make_journal()
    try:
        assert await journal.replay(found.append) == len(found)
    finally:
        await journal.close()
    return found


def changes(filesystem: FailingFilesystem) -> list[str]:
    return [call for call in filesystem.calls if call in ("open-create", "write", "sync", "sync_folder")]


def segments(journal_folder: Path) -> list[str]:
    return sorted(path.name for path in journal_folder.glob("*.jsonl"))


@pytest_twisted.ensureDeferred
async def test_the_lines_are_those_of_the_format(journal_folder: Path, make_journal: Make) -> None:
    await fill(make_journal, 3)
    assert (journal_folder / FIRST).read_bytes() == b"".join(
        encode_line(number, number - 1, record(number)) for number in (1, 2, 3)
    )


@pytest_twisted.ensureDeferred
async def test_a_full_segment_is_followed_by_one_named_after_its_first_record(
    journal_folder: Path, make_journal: Make
) -> None:
    line = len(encode_line(1, 0, record(1)))
    await fill(make_journal, 5, segment_limit=2 * line)
    assert segments(journal_folder) == [FIRST, "journal-0000000003.jsonl", "journal-0000000005.jsonl"]
    assert await contents(make_journal) == [record(number) for number in range(1, 6)]


@pytest_twisted.ensureDeferred
async def test_it_is_read_in_blocks_that_end_anywhere(journal_folder: Path, make_journal: Make) -> None:
    await fill(make_journal, 9, segment_limit=300)
    for block in (1, 2, 7, 100, 101, 10_000):
        reader = JournalReader(OSFilesystem(), str(journal_folder), block)
        assert [found for batch in reader.batches() for found in batch.records] == [record(n) for n in range(1, 10)]
        assert reader.torn is None


@pytest_twisted.ensureDeferred
async def test_a_new_segment_is_durable_before_a_record_in_it_is(make_journal: Make) -> None:
    filesystem = FailingFilesystem()
    async with opened(make_journal(filesystem, segment_limit=1)) as journal:
        filesystem.calls.clear()
        await journal.append_all([record(1)], durable=True)
        await journal.append_all([record(2)], durable=True)
    assert changes(filesystem)[:8] == [
        *("open-create", "sync_folder", "write", "sync"),
        *("sync", "open-create", "sync_folder", "write"),
    ]


@pytest_twisted.ensureDeferred
async def test_a_segment_is_synced_before_the_next_is_begun(make_journal: Make) -> None:
    filesystem = FailingFilesystem()
    async with opened(make_journal(filesystem, segment_limit=1)) as journal:
        await journal.append_all([record(1)], durable=False)
        filesystem.calls.clear()
        await journal.append_all([record(2)], durable=False)
        assert changes(filesystem) == ["sync", "open-create", "sync_folder", "write"]


@pytest_twisted.ensureDeferred
async def test_what_was_read_is_synced_before_the_replay_ends(make_journal: Make) -> None:
    await fill(make_journal, 3)
    filesystem = FailingFilesystem()
    async with opened(make_journal(filesystem)):
        assert changes(filesystem)[-4:] == ["open-create", "write", "sync", "sync_folder"]


@pytest_twisted.ensureDeferred
async def test_other_files_in_the_folder_are_left_alone(journal_folder: Path, make_journal: Make) -> None:
    await fill(make_journal, 2)
    for name in ("README", "journal-1.jsonl", "journal-0000000001.jsonl.old"):
        (journal_folder / name).write_text("not a segment")
    assert await contents(make_journal) == [record(1), record(2)]


class HeldSyncs(PassingFilesystem):
    """Blocks syncs while a test wants it, and counts those that have begun."""

    def __init__(self) -> None:
        super().__init__()
        self.may_sync = threading.Event()
        self.may_sync.set()
        self.syncing = threading.Event()
        self.writes = 0

    def open(self, path: str, mode: str) -> IFile:
        return HeldFile(super().open(path, mode), self)


class HeldFile(PassingFile):
    def __init__(self, file: IFile, filesystem: HeldSyncs) -> None:
        super().__init__(file)
        self._filesystem = filesystem

    def write(self, pieces: Iterable[bytes]) -> None:
        self._filesystem.writes += 1
        super().write(pieces)

    def write_at(self, offset: int, pieces: Sequence[bytes]) -> None:
        self._filesystem.writes += 1
        super().write_at(offset, pieces)

    def sync(self) -> None:
        self._filesystem.syncing.set()
        self._filesystem.may_sync.wait()
        super().sync()


@pytest_twisted.ensureDeferred
async def test_what_gathers_during_a_sync_shares_the_next_one(make_journal: Make, pool: ThreadPool) -> None:
    from twisted.internet import reactor

    filesystem = HeldSyncs()
    async with opened(make_journal(filesystem)) as journal:
        await journal.append_all([record(0)], durable=True)
        before = journal.statistics.syncs
        filesystem.may_sync.clear()
        filesystem.syncing.clear()
        first = journal.append_all([record(1)], durable=True)
        await deferToThreadPool(reactor, pool, filesystem.syncing.wait)
        writes = filesystem.writes
        gathered = [journal.append_all([record(number)], durable=number % 2 == 0) for number in range(2, 102)]
        assert not first.called
        assert not any(done.called for done in gathered)
        filesystem.may_sync.set()
        await gatherResults([first, *gathered])
        assert journal.statistics.syncs == before + 2
        assert filesystem.writes == writes + 1
        assert journal.statistics.largest_batch == 100


@pytest_twisted.ensureDeferred
async def test_records_that_need_no_sync_get_none(make_journal: Make) -> None:
    async with opened(make_journal()) as journal:
        for number in range(10):
            await journal.append_all([record(number)], durable=False)
        assert journal.statistics.syncs == 0


@pytest_twisted.ensureDeferred
async def test_close_syncs_what_was_appended(make_journal: Make) -> None:
    filesystem = FailingFilesystem()
    async with opened(make_journal(filesystem)) as journal:
        await journal.append_all([record(1)], durable=False)
    assert changes(filesystem)[-2:] == ["write", "sync"]


@pytest_twisted.ensureDeferred
async def test_the_statistics_tell_what_is_on_the_disk(journal_folder: Path, make_journal: Make) -> None:
    await fill(make_journal, 5, segment_limit=200)
    async with opened(make_journal()) as journal:
        await journal.append_all([record(6)], durable=True)
        found = journal.statistics
        assert (found.records, found.segments) == (6, len(segments(journal_folder)))
        lines = b"".join((journal_folder / name).read_bytes().rstrip(b"\0") for name in segments(journal_folder))
        assert (found.size, lines.count(b"\n")) == (len(lines), 6)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("call", ["sync", "write", "open-create", "sync_folder"])
async def test_after_a_failed_call_nothing_is_written_any_more(
    journal_folder: Path, make_journal: Make, call: str
) -> None:
    filesystem = FailingFilesystem()
    journal = make_journal(filesystem, segment_limit=1)
    await journal.replay(lambda _: None)
    await journal.append_all([record(1)], durable=True)
    filesystem.fails = {call}
    failed: list[Deferred[None]] = [journal.append_all([record(number)], durable=True) for number in (2, 3)]
    for done in failed:
        with pytest.raises(CatalogReadOnly, match=r"journal-000000000[12].jsonl.*: Input/output error \(EIO\)"):
            await done
    filesystem.fails = set()
    filesystem.calls.clear()
    with pytest.raises(CatalogReadOnly, match="the journal cannot be written"):
        await journal.append_all([record(4)], durable=True)
    await journal.close()
    assert changes(filesystem) == []


@pytest_twisted.ensureDeferred
async def test_a_write_that_broke_off_in_the_middle_is_cut_off_at_the_next_start(
    journal_folder: Path, make_journal: Make
) -> None:
    class Short(PassingFilesystem):
        def open(self, path: str, mode: str) -> IFile:
            return ShortFile(super().open(path, mode))

    class ShortFile(PassingFile):
        def write_at(self, offset: int, pieces: Sequence[bytes]) -> None:
            data = b"".join(pieces)
            super().write_at(offset, [data[: len(data) // 2]])
            raise OSError(errno.ENOSPC, "No space left on device")

    await fill(make_journal, 2)
    async with opened(make_journal(Short())) as journal:
        with pytest.raises(CatalogReadOnly, match="No space left on device"):
            await journal.append_all([record(3)], durable=False)
    assert await contents(make_journal) == [record(1), record(2)]


@pytest_twisted.ensureDeferred
async def test_a_replay_that_is_closed_in_the_middle_fails_and_lets_go_of_the_folder(make_journal: Make) -> None:
    await fill(make_journal, 5, segment_limit=1)
    journal = make_journal()
    closed: list[Deferred[None]] = []

    def apply(_: Record) -> None:
        if not closed:
            closed.append(journal.close())

    with pytest.raises(CatalogReadOnly, match="closed before it was read"):
        await journal.replay(apply)
    await closed[0]
    assert len(await contents(make_journal)) == 5
