"""A backup of a journal: whole and verified, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from splitd.catalog.backup import BackupReader, encode_backup
from splitd.catalog.compaction import compact, fold
from splitd.catalog.effects import apply
from splitd.catalog.journal.reader import JournalReader
from splitd.catalog.journal.writer import SegmentWriter
from splitd.catalog.snapshot_records import records_of
from splitd.catalog.state import State
from splitd.errors import BackupDamaged, JournalDamaged
from splitd.model import records as kinds
from splitd.model.manifest import Manifest
from splitd.model.records import Record, encode_line
from storaged.system.filesystem import OSFilesystem
from tests.unit.test_cli_journal import run

NODES = tuple("abcdef")
OLD, KEPT, LATE, GONE = "1" * 32, "2" * 32, "3" * 32, "4" * 32
CLUSTER = "d" * 32

RECORDS: list[Record] = [
    kinds.JournalOpened(1, CLUSTER, 1000),
    kinds.CollectionMade("/photos", 2000, {"{urn:z}p": "<p/>"}),
    kinds.UploadStarted(KEPT, "/photos/a", NODES, 3000),
    kinds.FileCommitted("/photos/a", Manifest(KEPT, 10, 4000, 6, 0, 4, NODES)),
    kinds.EntryCopied("/photos/a", "/b", "0", 4500),
    kinds.UploadStarted(OLD, "/old", NODES, 5000),
    kinds.UploadAborted(OLD, "the client left", 6000),
    kinds.UploadStarted(LATE, "/late", NODES, 7000),
    kinds.PartMoveStarted(KEPT, 0, "g", 7500),
    kinds.PartMoved(KEPT, 0, "a", "g"),
    kinds.PartMoveStarted(KEPT, 1, "h", 7600),
    kinds.DiskChecked("a", "disk", 7700),
    kinds.LockTaken("/b", "urn:t", "exclusive", "0", "", 8000, 9000),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "data" / "journal", RECORDS)


def write(made: Path, records: list[Record]) -> Path:
    """Write a journal."""
    made.mkdir(parents=True)
    writer = SegmentWriter(OSFilesystem(), str(made), 500)
    for number, record in enumerate(records, 1):
        writer.write(number, [encode_line(number, number - 1, record)], durable=True)
    writer.finish()
    writer.close()
    return made


def backed_up(folder: Path) -> bytes:
    return b"".join(encode_backup(OSFilesystem(), str(folder), 10_000, 3))


def read(data: bytes, size: int = 1000) -> tuple[list[Record], BackupReader]:
    reader = BackupReader("file")
    return list(reader.records(data[at : at + size] for at in range(0, len(data), size))), reader


def test_a_backup_has_all_records_whatever_the_pieces(folder: Path) -> None:
    data = backed_up(folder)
    for size in (1, 7, len(data)):
        found, reader = read(data, size)
        assert found == RECORDS
        assert reader.head is not None
        assert (reader.head.taken_ms, reader.head.epoch, reader.finish().next) == (10_000, 3, len(RECORDS) + 1)


def test_a_backup_of_a_compacted_journal_results_in_the_same_state(folder: Path) -> None:
    segments = sorted(int(path.name[8:18]) for path in folder.glob("journal-*"))
    assert not compact(OSFilesystem(), str(folder), segments[-1])
    found, reader = read(backed_up(folder))
    state = State()
    for record in found:
        apply(state, record)
    assert reader.finish().next == len(RECORDS) + 1
    assert list(records_of(state)) == list(records_of(fold(JournalReader(OSFilesystem(), str(folder)))))


def test_torn_lines_at_the_end_are_not_in_it_and_other_damage_refuses_it(folder: Path) -> None:
    last = max(folder.glob("journal-*"))
    whole = last.read_bytes()
    last.write_bytes(whole + b'{"seq":' + bytes(500))
    assert read(backed_up(folder))[0] == RECORDS
    first = min(folder.glob("journal-*"))
    first.write_bytes(first.read_bytes()[:-3])
    with pytest.raises(JournalDamaged):
        backed_up(folder)


def test_a_backup_that_is_cut_off_anywhere_is_refused(folder: Path) -> None:
    data = backed_up(folder)
    for size in range(len(data)):
        with pytest.raises(BackupDamaged):
            read(data[:size])
    for more in (b"x", b"\n", data):
        with pytest.raises(BackupDamaged):
            read(data + more)


def test_a_backup_with_any_changed_byte_is_refused(folder: Path) -> None:
    data = backed_up(folder)
    for at in range(len(data)):
        with pytest.raises(BackupDamaged, match="file, line "):
            read(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


def test_a_backup_that_lacks_a_line_is_refused(folder: Path) -> None:
    lines = backed_up(folder).splitlines(keepends=True)
    for number in range(len(lines)):
        with pytest.raises(BackupDamaged):
            read(b"".join(lines[:number] + lines[number + 1 :]))


def test_splitctl_backs_up_a_folder_whole_or_not_at_all(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    assert run("journal", "backup", file, "--data", folder.parent).exit_code == 0
    first = file.read_bytes()
    assert read(first)[0] == RECORDS
    assert file.stat().st_mode & 0o777 == 0o600
    damaged = max(folder.glob("journal-*"))
    damaged.rename(tmp_path / "away")
    second = min(folder.glob("journal-*"))
    second.write_bytes(b"x" + second.read_bytes()[1:])
    result = run("journal", "backup", file, "--data", folder.parent)
    assert (result.exit_code, file.read_bytes()) == (1, first)
    assert str(second) in result.output
    other = tmp_path / "other"
    other.write_text("dear diary\n")
    result = run("journal", "backup", other, "--data", folder.parent)
    assert (result.exit_code, other.read_text()) == (1, "dear diary\n")
    assert "is no backup of a journal" in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["away", "backup", "data", "other"]
