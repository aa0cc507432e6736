"""What a start makes of a journal whose lines are torn, damaged or missing."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest
import pytest_twisted
from twisted.logger import capturedLogs

from splitd.catalog.journal.reader import JournalReader
from splitd.catalog.journal.writer import SegmentWriter
from splitd.errors import JournalDamaged
from splitd.model.records import encode_line
from storaged.system.filesystem import OSFilesystem
from storaged.system.interfaces import IFile
from tests.contract.filesystems import PassingFile, PassingFilesystem
from tests.unit.test_file_journal import FIRST, Make, contents, fill, opened, record, segments


@pytest_twisted.ensureDeferred
async def test_a_last_line_torn_at_any_byte_is_cut_off_and_told(journal_folder: Path, make_journal: Make) -> None:
    await fill(make_journal, 2)
    whole = (journal_folder / FIRST).read_bytes()
    first = len(encode_line(1, 0, record(1)))
    for size in range(first + 1, len(whole)):
        (journal_folder / FIRST).write_bytes(whole[:size])
        with capturedLogs() as events:
            assert await contents(make_journal) == [record(1)]
        assert (journal_folder / FIRST).read_bytes() == whole[:first]
        [event] = [event for event in events if event.get("log_format", "").endswith("are cut off: {reason}")]
        assert (event["path"], event["line"], event["size"]) == (str(journal_folder / FIRST), 2, size - first)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("torn", [b"\n", b"{}\n", b"\0" * 4096, b"\0" * 511 + b"\n", b"garbage"])
async def test_a_last_line_that_is_no_record_is_cut_off(journal_folder: Path, make_journal: Make, torn: bytes) -> None:
    await fill(make_journal, 2)
    whole = (journal_folder / FIRST).read_bytes()
    (journal_folder / FIRST).write_bytes(whole + torn)
    assert await contents(make_journal) == [record(1), record(2)]
    assert (journal_folder / FIRST).read_bytes() == whole


@pytest_twisted.ensureDeferred
async def test_a_last_line_with_a_flipped_bit_is_cut_off(journal_folder: Path, make_journal: Make) -> None:
    await fill(make_journal, 2)
    data = bytearray((journal_folder / FIRST).read_bytes())
    data[-20] ^= 1
    (journal_folder / FIRST).write_bytes(data)
    assert await contents(make_journal) == [record(1)]


@pytest_twisted.ensureDeferred
async def test_of_lines_that_were_not_synced_any_may_be_lost(journal_folder: Path, make_journal: Make) -> None:
    async with opened(make_journal()) as journal:
        for number in range(1, 8):
            await journal.append_all([record(number)], durable=number <= 3)
    whole = (journal_folder / FIRST).read_bytes().splitlines(keepends=True)
    for lost in (chosen for count in range(1, 5) for chosen in combinations(range(3, 7), count)):
        torn = [b"\0" * len(line) if at in lost else line for at, line in enumerate(whole)]
        (journal_folder / FIRST).write_bytes(b"".join(torn))
        assert await contents(make_journal) == [record(number) for number in range(1, lost[0] + 1)]
        assert (journal_folder / FIRST).read_bytes() == b"".join(whole[: lost[0]])


@pytest_twisted.ensureDeferred
async def test_the_last_segment_ends_with_zeros_until_it_is_full_or_closed(
    journal_folder: Path, make_journal: Make
) -> None:
    async with opened(make_journal()) as journal:
        await journal.append_all([record(1)], durable=True)
        size = (journal_folder / FIRST).stat().st_size
        for number in (2, 3):
            await journal.append_all([record(number)], durable=True)
        data = (journal_folder / FIRST).read_bytes()
        assert (len(data), data.rstrip(b"\0").count(b"\n"), data.count(b"\n")) == (size, 3, 3)
    assert (journal_folder / FIRST).read_bytes() == data.rstrip(b"\0")
    limit = len(data.rstrip(b"\0"))
    async with opened(make_journal(segment_limit=limit)) as journal:
        await journal.append_all([record(4)], durable=True)
        assert (journal_folder / FIRST).stat().st_size == limit
    assert await contents(make_journal) == [record(number) for number in range(1, 5)]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("room", [1, 511, 4096, 300_000])
async def test_zeros_after_the_last_line_are_no_torn_line(journal_folder: Path, make_journal: Make, room: int) -> None:
    await fill(make_journal, 2)
    whole = (journal_folder / FIRST).read_bytes()
    (journal_folder / FIRST).write_bytes(whole + bytes(room))
    for block in (1000, 256 * 1024):
        reader = JournalReader(OSFilesystem(), str(journal_folder), block)
        assert [found for batch in reader.batches() for found in batch.records] == [record(1), record(2)]
        assert reader.torn is None
    assert await contents(make_journal) == [record(1), record(2)]
    assert (journal_folder / FIRST).read_bytes() == whole


def test_lines_that_take_the_place_of_zeros_during_the_reading_are_no_damage(journal_folder: Path) -> None:
    journal_folder.mkdir(parents=True)
    lines = [encode_line(number, number - 1, record(number)) for number in range(1, 10)]
    writer = SegmentWriter(OSFilesystem(), str(journal_folder), 1_000_000)
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

    reader = JournalReader(Growing(), str(journal_folder), len(lines[0] + lines[1]) + 50)
    assert [found for batch in reader.batches() for found in batch.records] == [record(n) for n in range(1, 10)]
    assert reader.torn is None
    writer.close()


@pytest_twisted.ensureDeferred
async def test_a_torn_line_before_zeros_is_cut_off_and_told_without_them(
    journal_folder: Path, make_journal: Make
) -> None:
    await fill(make_journal, 3)
    whole = (journal_folder / FIRST).read_bytes()
    first, second = (len(line) for line in whole.splitlines(keepends=True)[:2])
    for size in (first + 1, first + second, len(whole) - 1):
        torn = whole[:size] if size != first + second else whole[:first] + b"x" + whole[first + 1 : size]
        (journal_folder / FIRST).write_bytes(torn + bytes(5000))
        reader = JournalReader(OSFilesystem(), str(journal_folder))
        good = sum(len(batch.records) for batch in reader.batches())
        assert reader.torn is not None
        assert (reader.torn.offset, reader.torn.size) == (reader.good, size - reader.good)
        assert await contents(make_journal) == [record(number) for number in range(1, good + 1)]


@pytest_twisted.ensureDeferred
async def test_zeros_in_place_of_a_durable_line_are_damage(journal_folder: Path, make_journal: Make) -> None:
    await fill(make_journal, 3)
    lines = (journal_folder / FIRST).read_bytes().splitlines(keepends=True)
    lines[1] = bytes(len(lines[1]))
    (journal_folder / FIRST).write_bytes(b"".join(lines) + bytes(5000))
    with pytest.raises(JournalDamaged, match="it was durable"):
        await contents(make_journal)


@pytest_twisted.ensureDeferred
async def test_the_last_segment_is_written_anew_at_a_start(journal_folder: Path, make_journal: Make) -> None:
    await fill(make_journal, 3)
    before = (journal_folder / FIRST).stat().st_ino
    assert await contents(make_journal) == [record(1), record(2), record(3)]
    assert (journal_folder / FIRST).stat().st_ino != before


@pytest_twisted.ensureDeferred
async def test_after_a_cut_it_goes_on_with_the_number_that_was_cut_off(
    journal_folder: Path, make_journal: Make
) -> None:
    await fill(make_journal, 2)
    (journal_folder / FIRST).write_bytes((journal_folder / FIRST).read_bytes()[:-1])
    async with opened(make_journal()) as journal:
        await journal.append_all([record(7)], durable=True)
    assert await contents(make_journal) == [record(1), record(7)]


@pytest_twisted.ensureDeferred
async def test_a_segment_that_was_begun_and_never_written_is_written_on(
    journal_folder: Path, make_journal: Make
) -> None:
    await fill(make_journal, 2)
    (journal_folder / "journal-0000000003.jsonl").touch()
    async with opened(make_journal()) as journal:
        await journal.append_all([record(3)], durable=True)
    assert segments(journal_folder) == [FIRST, "journal-0000000003.jsonl"]
    assert await contents(make_journal) == [record(1), record(2), record(3)]


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
    journal_folder: Path, make_journal: Make, damage: Callable[[list[bytes]], None], reason: str
) -> None:
    await fill(make_journal, 4)
    lines = (journal_folder / FIRST).read_bytes().splitlines(keepends=True)
    damage(lines)
    (journal_folder / FIRST).write_bytes(b"".join(lines))
    with pytest.raises(JournalDamaged, match=rf"{FIRST}, {reason}"):
        await contents(make_journal)
    assert (journal_folder / FIRST).read_bytes() == b"".join(lines)


@pytest_twisted.ensureDeferred
async def test_a_whole_last_line_with_a_wrong_number_is_damage(journal_folder: Path, make_journal: Make) -> None:
    await fill(make_journal, 2)
    with (journal_folder / FIRST).open("ab") as file:
        file.write(encode_line(9, 8, record(9)))
    with pytest.raises(JournalDamaged, match=rf"{FIRST}, line 3: record 9, expected 3"):
        await contents(make_journal)


@pytest_twisted.ensureDeferred
async def test_a_torn_line_is_damage_where_another_segment_follows(journal_folder: Path, make_journal: Make) -> None:
    await fill(make_journal, 2, segment_limit=1)
    whole = (journal_folder / FIRST).read_bytes()
    for torn in (whole[:-1], whole + b"{", whole + bytes(100)):
        (journal_folder / FIRST).write_bytes(torn)
        with pytest.raises(JournalDamaged, match=rf"{FIRST}, line \d: it has no newline at its end"):
            await contents(make_journal)
        assert (journal_folder / FIRST).read_bytes() == torn


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("missing", [1, 2])
async def test_a_missing_segment_is_damage(journal_folder: Path, make_journal: Make, missing: int) -> None:
    await fill(make_journal, 3, segment_limit=1)
    (journal_folder / f"journal-{missing:010}.jsonl").unlink()
    reason = rf"journal-{missing + 1:010}.jsonl is there, and no segment that ends with record {missing}"
    with pytest.raises(JournalDamaged, match=reason):
        await contents(make_journal)
