from __future__ import annotations

import errno
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThreadPool
from twisted.logger import capturedLogs
from twisted.python.threadpool import ThreadPool

from splitd.catalog.journal.file import FileJournal
from splitd.catalog.journal.reader import JournalReader
from splitd.catalog.journal.writer import SegmentWriter
from splitd.errors import CatalogReadOnly, JournalDamaged
from splitd.model.records import CollectionMade, Record, encode_line
from storaged.system.filesystem import OSFilesystem
from storaged.system.interfaces import IFile
from tests.contract.filesystems import FailingFilesystem, PassingFile, PassingFilesystem

Make = Callable[..., FileJournal]
FIRST = "journal-0000000001.jsonl"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "journal"


@pytest.fixture
def make(folder: Path, pool: ThreadPool) -> Make:
    from twisted.internet import reactor

    def make_journal(filesystem: PassingFilesystem | None = None, **options: Any) -> FileJournal:
        return FileJournal(str(folder), filesystem or PassingFilesystem(), pool, reactor, **options)

    return make_journal


def record(number: int) -> Record:
    return CollectionMade(f"/{number}", number)


@asynccontextmanager
async def opened(journal: FileJournal) -> AsyncIterator[FileJournal]:
    try:
        await journal.replay(lambda _: None)
        yield journal
    finally:
        await journal.close()


async def fill(make: Make, count: int, **options: Any) -> None:
    async with opened(make(**options)) as journal:
        for number in range(1, count + 1):
            await journal.append(record(number), durable=True)


async def contents(make: Make) -> list[Record]:
    found: list[Record] = []
    journal = make()
    try:
        assert await journal.replay(found.append) == len(found)
    finally:
        await journal.close()
    return found


def changes(filesystem: FailingFilesystem) -> list[str]:
    return [call for call in filesystem.calls if call in ("open-create", "write", "sync", "sync_folder")]


def segments(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.jsonl"))


@pytest_twisted.ensureDeferred
async def test_the_lines_are_those_of_the_format(folder: Path, make: Make) -> None:
    await fill(make, 3)
    assert (folder / FIRST).read_bytes() == b"".join(
        encode_line(number, number - 1, record(number)) for number in (1, 2, 3)
    )


@pytest_twisted.ensureDeferred
async def test_a_full_segment_is_followed_by_one_named_after_its_first_record(folder: Path, make: Make) -> None:
    line = len(encode_line(1, 0, record(1)))
    await fill(make, 5, segment_limit=2 * line)
    assert segments(folder) == [FIRST, "journal-0000000003.jsonl", "journal-0000000005.jsonl"]
    assert await contents(make) == [record(number) for number in range(1, 6)]


@pytest_twisted.ensureDeferred
async def test_it_is_read_in_blocks_that_end_anywhere(folder: Path, make: Make) -> None:
    await fill(make, 9, segment_limit=300)
    for block in (1, 2, 7, 100, 101, 10_000):
        reader = JournalReader(OSFilesystem(), str(folder), block)
        assert [found for batch in reader.batches() for found in batch.records] == [record(n) for n in range(1, 10)]
        assert reader.torn is None


@pytest_twisted.ensureDeferred
async def test_a_new_segment_is_durable_before_a_record_in_it_is(make: Make) -> None:
    filesystem = FailingFilesystem()
    async with opened(make(filesystem, segment_limit=1)) as journal:
        filesystem.calls.clear()
        await journal.append(record(1), durable=True)
        await journal.append(record(2), durable=True)
    assert changes(filesystem)[:8] == [
        *("open-create", "sync_folder", "write", "sync"),
        *("sync", "open-create", "sync_folder", "write"),
    ]


@pytest_twisted.ensureDeferred
async def test_a_segment_is_synced_before_the_next_is_begun(make: Make) -> None:
    filesystem = FailingFilesystem()
    async with opened(make(filesystem, segment_limit=1)) as journal:
        await journal.append(record(1), durable=False)
        filesystem.calls.clear()
        await journal.append(record(2), durable=False)
        assert changes(filesystem) == ["sync", "open-create", "sync_folder", "write"]


@pytest_twisted.ensureDeferred
async def test_what_was_read_is_synced_before_the_replay_ends(make: Make) -> None:
    await fill(make, 3)
    filesystem = FailingFilesystem()
    async with opened(make(filesystem)):
        assert changes(filesystem)[-4:] == ["open-create", "write", "sync", "sync_folder"]


@pytest_twisted.ensureDeferred
async def test_a_last_line_torn_at_any_byte_is_cut_off_and_told(folder: Path, make: Make) -> None:
    await fill(make, 2)
    whole = (folder / FIRST).read_bytes()
    first = len(encode_line(1, 0, record(1)))
    for size in range(first + 1, len(whole)):
        (folder / FIRST).write_bytes(whole[:size])
        with capturedLogs() as events:
            assert await contents(make) == [record(1)]
        assert (folder / FIRST).read_bytes() == whole[:first]
        [event] = [event for event in events if event.get("log_format", "").endswith("are cut off: {reason}")]
        assert (event["path"], event["line"], event["size"]) == (str(folder / FIRST), 2, size - first)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("torn", [b"\n", b"{}\n", b"\0" * 4096, b"\0" * 511 + b"\n", b"garbage"])
async def test_a_last_line_that_is_no_record_is_cut_off(folder: Path, make: Make, torn: bytes) -> None:
    await fill(make, 2)
    whole = (folder / FIRST).read_bytes()
    (folder / FIRST).write_bytes(whole + torn)
    assert await contents(make) == [record(1), record(2)]
    assert (folder / FIRST).read_bytes() == whole


@pytest_twisted.ensureDeferred
async def test_a_last_line_with_a_flipped_bit_is_cut_off(folder: Path, make: Make) -> None:
    await fill(make, 2)
    data = bytearray((folder / FIRST).read_bytes())
    data[-20] ^= 1
    (folder / FIRST).write_bytes(data)
    assert await contents(make) == [record(1)]


@pytest_twisted.ensureDeferred
async def test_of_lines_that_were_not_synced_any_may_be_lost(folder: Path, make: Make) -> None:
    async with opened(make()) as journal:
        for number in range(1, 8):
            await journal.append(record(number), durable=number <= 3)
    whole = (folder / FIRST).read_bytes().splitlines(keepends=True)
    for lost in (chosen for count in range(1, 5) for chosen in combinations(range(3, 7), count)):
        torn = [b"\0" * len(line) if at in lost else line for at, line in enumerate(whole)]
        (folder / FIRST).write_bytes(b"".join(torn))
        assert await contents(make) == [record(number) for number in range(1, lost[0] + 1)]
        assert (folder / FIRST).read_bytes() == b"".join(whole[: lost[0]])


@pytest_twisted.ensureDeferred
async def test_the_last_segment_ends_with_zeros_until_it_is_full_or_closed(folder: Path, make: Make) -> None:
    async with opened(make()) as journal:
        await journal.append(record(1), durable=True)
        size = (folder / FIRST).stat().st_size
        for number in (2, 3):
            await journal.append(record(number), durable=True)
        data = (folder / FIRST).read_bytes()
        assert (len(data), data.rstrip(b"\0").count(b"\n"), data.count(b"\n")) == (size, 3, 3)
    assert (folder / FIRST).read_bytes() == data.rstrip(b"\0")
    limit = len(data.rstrip(b"\0"))
    async with opened(make(segment_limit=limit)) as journal:
        await journal.append(record(4), durable=True)
        assert (folder / FIRST).stat().st_size == limit
    assert await contents(make) == [record(number) for number in range(1, 5)]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("room", [1, 511, 4096, 300_000])
async def test_zeros_after_the_last_line_are_no_torn_line(folder: Path, make: Make, room: int) -> None:
    await fill(make, 2)
    whole = (folder / FIRST).read_bytes()
    (folder / FIRST).write_bytes(whole + bytes(room))
    for block in (1000, 256 * 1024):
        reader = JournalReader(OSFilesystem(), str(folder), block)
        assert [found for batch in reader.batches() for found in batch.records] == [record(1), record(2)]
        assert reader.torn is None
    assert await contents(make) == [record(1), record(2)]
    assert (folder / FIRST).read_bytes() == whole


def test_lines_that_take_the_place_of_zeros_during_the_reading_are_no_damage(folder: Path) -> None:
    folder.mkdir(parents=True)
    lines = [encode_line(number, number - 1, record(number)) for number in range(1, 10)]
    writer = SegmentWriter(OSFilesystem(), str(folder), 1_000_000)
    writer.write(1, lines[:2], durable=True)

    class Growing(PassingFilesystem):
        def open(self, path: str, mode: str) -> IFile:
            return GrowingFile(super().open(path, mode))

    class GrowingFile(PassingFile):
        def read_at(self, offset: int, count: int) -> bytes:
            data = super().read_at(offset, count)
            if offset == 0:
                for number in range(3, 10):
                    writer.write(number, [lines[number - 1]], durable=True)
            return data

    reader = JournalReader(Growing(), str(folder), len(lines[0] + lines[1]) + 50)
    assert [found for batch in reader.batches() for found in batch.records] == [record(n) for n in range(1, 10)]
    assert reader.torn is None
    writer.close()


@pytest_twisted.ensureDeferred
async def test_a_torn_line_before_zeros_is_cut_off_and_told_without_them(folder: Path, make: Make) -> None:
    await fill(make, 3)
    whole = (folder / FIRST).read_bytes()
    first, second = (len(line) for line in whole.splitlines(keepends=True)[:2])
    for size in (first + 1, first + second, len(whole) - 1):
        torn = whole[:size] if size != first + second else whole[:first] + b"x" + whole[first + 1 : size]
        (folder / FIRST).write_bytes(torn + bytes(5000))
        reader = JournalReader(OSFilesystem(), str(folder))
        good = sum(len(batch.records) for batch in reader.batches())
        assert reader.torn is not None
        assert (reader.torn.offset, reader.torn.size) == (reader.good, size - reader.good)
        assert await contents(make) == [record(number) for number in range(1, good + 1)]


@pytest_twisted.ensureDeferred
async def test_zeros_in_place_of_a_durable_line_are_damage(folder: Path, make: Make) -> None:
    await fill(make, 3)
    lines = (folder / FIRST).read_bytes().splitlines(keepends=True)
    lines[1] = bytes(len(lines[1]))
    (folder / FIRST).write_bytes(b"".join(lines) + bytes(5000))
    with pytest.raises(JournalDamaged, match="it was durable"):
        await contents(make)


@pytest_twisted.ensureDeferred
async def test_the_last_segment_is_written_anew_at_a_start(folder: Path, make: Make) -> None:
    await fill(make, 3)
    before = (folder / FIRST).stat().st_ino
    assert await contents(make) == [record(1), record(2), record(3)]
    assert (folder / FIRST).stat().st_ino != before


@pytest_twisted.ensureDeferred
async def test_after_a_cut_it_goes_on_with_the_number_that_was_cut_off(folder: Path, make: Make) -> None:
    await fill(make, 2)
    (folder / FIRST).write_bytes((folder / FIRST).read_bytes()[:-1])
    async with opened(make()) as journal:
        await journal.append(record(7), durable=True)
    assert await contents(make) == [record(1), record(7)]


@pytest_twisted.ensureDeferred
async def test_a_segment_that_was_begun_and_never_written_is_written_on(folder: Path, make: Make) -> None:
    await fill(make, 2)
    (folder / "journal-0000000003.jsonl").touch()
    async with opened(make()) as journal:
        await journal.append(record(3), durable=True)
    assert segments(folder) == [FIRST, "journal-0000000003.jsonl"]
    assert await contents(make) == [record(1), record(2), record(3)]


def flip(lines: list[bytes]) -> None:
    lines[1] = lines[1].replace(b'"/2"', b'"/8"')


def drop(lines: list[bytes]) -> None:
    del lines[1]


def double(lines: list[bytes]) -> None:
    lines.insert(1, lines[1])


def shorten(lines: list[bytes]) -> None:
    lines[1] = lines[1][:10] + b"\n"


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (flip, r"line 2: record 2: its checksum is \w+, the line says \w+"),
        (drop, "line 2: record 3, expected 2"),
        (double, "line 3: record 2, expected 3"),
        (shorten, r"line 2: not a line of a journal.*\(and it was durable: record 3 says so\)"),
    ],
)
async def test_damage_in_the_middle_is_named_and_left_as_it_is(
    folder: Path, make: Make, damage: Callable[[list[bytes]], None], reason: str
) -> None:
    await fill(make, 4)
    lines = (folder / FIRST).read_bytes().splitlines(keepends=True)
    damage(lines)
    (folder / FIRST).write_bytes(b"".join(lines))
    with pytest.raises(JournalDamaged, match=rf"{FIRST}, {reason}"):
        await contents(make)
    assert (folder / FIRST).read_bytes() == b"".join(lines)


@pytest_twisted.ensureDeferred
async def test_a_whole_last_line_with_a_wrong_number_is_damage(folder: Path, make: Make) -> None:
    await fill(make, 2)
    with (folder / FIRST).open("ab") as file:
        file.write(encode_line(9, 8, record(9)))
    with pytest.raises(JournalDamaged, match=rf"{FIRST}, line 3: record 9, expected 3"):
        await contents(make)


@pytest_twisted.ensureDeferred
async def test_a_torn_line_is_damage_where_another_segment_follows(folder: Path, make: Make) -> None:
    await fill(make, 2, segment_limit=1)
    whole = (folder / FIRST).read_bytes()
    for torn in (whole[:-1], whole + b"{", whole + bytes(100)):
        (folder / FIRST).write_bytes(torn)
        with pytest.raises(JournalDamaged, match=rf"{FIRST}, line \d: it has no newline at its end"):
            await contents(make)
        assert (folder / FIRST).read_bytes() == torn


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("missing", [1, 2])
async def test_a_missing_segment_is_damage(folder: Path, make: Make, missing: int) -> None:
    await fill(make, 3, segment_limit=1)
    (folder / f"journal-{missing:010}.jsonl").unlink()
    reason = rf"journal-{missing + 1:010}.jsonl is there, and no segment that ends with record {missing}"
    with pytest.raises(JournalDamaged, match=reason):
        await contents(make)


@pytest_twisted.ensureDeferred
async def test_other_files_in_the_folder_are_left_alone(folder: Path, make: Make) -> None:
    await fill(make, 2)
    for name in ("README", "journal-1.jsonl", "journal-0000000001.jsonl.old"):
        (folder / name).write_text("not a segment")
    assert await contents(make) == [record(1), record(2)]


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
async def test_what_gathers_during_a_sync_shares_the_next_one(make: Make, pool: ThreadPool) -> None:
    from twisted.internet import reactor

    filesystem = HeldSyncs()
    async with opened(make(filesystem)) as journal:
        await journal.append(record(0), durable=True)
        before = journal.statistics.syncs
        filesystem.may_sync.clear()
        filesystem.syncing.clear()
        first = journal.append(record(1), durable=True)
        await deferToThreadPool(reactor, pool, filesystem.syncing.wait)
        writes = filesystem.writes
        gathered = [journal.append(record(number), durable=number % 2 == 0) for number in range(2, 102)]
        assert not first.called
        assert not any(done.called for done in gathered)
        filesystem.may_sync.set()
        await gatherResults([first, *gathered])
        assert journal.statistics.syncs == before + 2
        assert filesystem.writes == writes + 1
        assert journal.statistics.largest_batch == 100


@pytest_twisted.ensureDeferred
async def test_records_that_need_no_sync_get_none(make: Make) -> None:
    async with opened(make()) as journal:
        for number in range(10):
            await journal.append(record(number), durable=False)
        assert journal.statistics.syncs == 0


@pytest_twisted.ensureDeferred
async def test_close_syncs_what_was_appended(make: Make) -> None:
    filesystem = FailingFilesystem()
    async with opened(make(filesystem)) as journal:
        await journal.append(record(1), durable=False)
    assert changes(filesystem)[-2:] == ["write", "sync"]


@pytest_twisted.ensureDeferred
async def test_the_statistics_tell_what_is_on_the_disk(folder: Path, make: Make) -> None:
    await fill(make, 5, segment_limit=200)
    async with opened(make()) as journal:
        await journal.append(record(6), durable=True)
        found = journal.statistics
        assert (found.records, found.segments) == (6, len(segments(folder)))
        lines = b"".join((folder / name).read_bytes().rstrip(b"\0") for name in segments(folder))
        assert (found.size, lines.count(b"\n")) == (len(lines), 6)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("call", ["sync", "write", "open-create", "sync_folder"])
async def test_after_a_failed_call_nothing_is_written_any_more(folder: Path, make: Make, call: str) -> None:
    filesystem = FailingFilesystem()
    journal = make(filesystem, segment_limit=1)
    await journal.replay(lambda _: None)
    await journal.append(record(1), durable=True)
    filesystem.fails = {call}
    failed: list[Deferred[None]] = [journal.append(record(number), durable=True) for number in (2, 3)]
    for done in failed:
        with pytest.raises(CatalogReadOnly, match=r"journal-000000000[12].jsonl.*: Input/output error \(EIO\)"):
            await done
    filesystem.fails = set()
    filesystem.calls.clear()
    with pytest.raises(CatalogReadOnly, match="the journal cannot be written"):
        await journal.append(record(4), durable=True)
    await journal.close()
    assert changes(filesystem) == []


@pytest_twisted.ensureDeferred
async def test_a_write_that_broke_off_in_the_middle_is_cut_off_at_the_next_start(folder: Path, make: Make) -> None:
    class Short(PassingFilesystem):
        def open(self, path: str, mode: str) -> IFile:
            return ShortFile(super().open(path, mode))

    class ShortFile(PassingFile):
        def write_at(self, offset: int, pieces: Sequence[bytes]) -> None:
            data = b"".join(pieces)
            super().write_at(offset, [data[: len(data) // 2]])
            raise OSError(errno.ENOSPC, "No space left on device")

    await fill(make, 2)
    async with opened(make(Short())) as journal:
        with pytest.raises(CatalogReadOnly, match="No space left on device"):
            await journal.append(record(3), durable=False)
    assert await contents(make) == [record(1), record(2)]


@pytest_twisted.ensureDeferred
async def test_a_replay_that_is_closed_in_the_middle_fails_and_lets_go_of_the_folder(make: Make) -> None:
    await fill(make, 5, segment_limit=1)
    journal = make()
    closed: list[Deferred[None]] = []

    def apply(_: Record) -> None:
        if not closed:
            closed.append(journal.close())

    with pytest.raises(CatalogReadOnly, match="closed before it was read"):
        await journal.replay(apply)
    await closed[0]
    assert len(await contents(make)) == 5
