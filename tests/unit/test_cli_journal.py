"""splitctl journal, on journals on a disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from splitd.catalog.compaction import compact
from splitd.catalog.journal.writer import SegmentWriter
from splitd.cli.main import main
from splitd.model.manifest import Manifest
from splitd.model.records import (
    CollectionMade,
    FileCommitted,
    JournalOpened,
    Record,
    UploadAborted,
    UploadStarted,
    encode_line,
)
from storaged.system.filesystem import OSFilesystem

NODES = tuple("abcdef")
A, B, C = "a" * 32, "b" * 32, "c" * 32

RECORDS: list[Record] = [
    JournalOpened(1, "d" * 32, 1000),
    CollectionMade("/photos", 2000),
    UploadStarted(A, "/photos/a", NODES, 3000),
    FileCommitted("/photos/a", Manifest(A, 10, 4000, 6, 0, 4, NODES)),
    UploadStarted(B, "/photos-2", NODES, 5000),
    UploadAborted(B, "the client left", 6000),
    UploadStarted(C, "/c", NODES, 7000),
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A front's data folder."""
    folder = tmp_path / "journal"
    folder.mkdir()
    writer = SegmentWriter(OSFilesystem(), str(folder), 500)
    for number, record in enumerate(RECORDS, 1):
        writer.write(number, [encode_line(number, number - 1, record)], durable=True)
    writer.finish()
    writer.close()
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def documents(*arguments: object) -> list[Any]:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def snapshot(data: Path) -> int:
    last = max((data / "journal").glob("journal-*.jsonl"))
    upcoming = int(last.stem.partition("-")[2])
    compact(OSFilesystem(), str(data / "journal"), upcoming)
    return upcoming


def test_a_good_journal_is_told_in_numbers(data: Path) -> None:
    [found] = documents("--json", "journal", "check", data)
    size = sum(path.stat().st_size for path in (data / "journal").iterdir())
    assert found == {
        "cluster": "d" * 32, "records": 7, "snapshot": 0, "segments": 2, "size": size, "torn": 0,
        "files": 1, "bytes": 10, "uploads": 1, "continued": 0, "doomed": 1,
    }  # fmt: skip
    assert run("journal", "check", data).stdout.startswith("journal  good")


def test_the_folder_of_the_journal_itself_will_do(data: Path) -> None:
    assert documents("--json", "journal", "check", data / "journal") == documents("--json", "journal", "check", data)


def test_a_snapshot_comes_to_the_same(data: Path) -> None:
    [before] = documents("--json", "journal", "check", data)
    snapshot(data)
    [after] = documents("--json", "journal", "check", data)
    assert after["snapshot"] > 0
    told = ("cluster", "records", "files", "bytes", "uploads", "doomed")
    assert [after[key] for key in told] == [before[key] for key in told]
    assert "and a snapshot of" in run("journal", "check", data).stdout


def test_what_a_crash_tore_is_told_and_left(data: Path) -> None:
    last = max((data / "journal").glob("journal-*.jsonl"))
    last.write_bytes(last.read_bytes() + b'{"seq')
    [found] = documents("--json", "journal", "check", data)
    assert found["torn"] == 5
    assert "good, but for 5 bytes at the end" in run("journal", "check", data).stdout
    assert last.read_bytes().endswith(b'{"seq')


def test_damage_is_named_by_file_and_line(data: Path) -> None:
    first = min((data / "journal").glob("journal-*.jsonl"))
    first.write_bytes(first.read_bytes().replace(b"photos", b"fotos", 1))
    for command in ("check", "dump"):
        result = run("journal", command, data)
        assert result.exit_code == 1
        assert f"{first}, line 2: record 2: its checksum is" in result.stderr


def test_records_are_printed_with_their_places(data: Path) -> None:
    found = documents("journal", "dump", data)
    assert [each["seq"] for each in found] == list(range(1, 8))
    assert found[1] == {
        "file": "journal-0000000001.jsonl", "line": 2, "seq": 2,
        "record": {"type": "collection-made", "path": "/photos", "time_ms": 2000},
    }  # fmt: skip
    by_file: dict[str, list[int]] = {}
    for each in found:
        by_file.setdefault(each["file"], []).append(each["line"])
    assert all(lines == list(range(1, len(lines) + 1)) for lines in by_file.values())


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        (["--path", "/photos"], [2, 3, 4]),
        (["--path", "/photos/"], [3, 4]),
        (["--path", "/photos/a"], [3, 4]),
        (["--path", "/"], [2, 3, 4, 5, 7]),
        (["--upload", A], [3, 4]),
        (["--upload", B], [5, 6]),
        (["--type", "upload-started"], [3, 5, 7]),
        (["--type", "upload-started", "--path", "/c"], [7]),
        (["--upload", "e" * 32], []),
    ],
)
def test_records_can_be_chosen(data: Path, options: list[str], numbers: list[int]) -> None:
    assert [each["seq"] for each in documents("journal", "dump", data, *options)] == numbers


def test_what_a_snapshot_says_comes_first(data: Path) -> None:
    upcoming = snapshot(data)
    found = documents("journal", "dump", data)
    assert found[0]["file"] == f"snapshot-{upcoming:010}.jsonl"
    assert [each["seq"] for each in found if each["file"].startswith("journal")] == list(range(upcoming, 8))


def test_a_folder_without_a_journal_is_bad_usage(tmp_path: Path) -> None:
    result = run("journal", "check", tmp_path)
    assert result.exit_code == 2
    assert f"{tmp_path}: no journal is there" in result.stderr
