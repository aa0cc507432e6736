"""Which front made which records, and lines that are read by their numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitd.catalog.journal.writer import SegmentWriter
from splitd.errors import JournalDamaged
from splitd.takeover.history import History, load_history, new_history, save_history
from splitd.takeover.source import Gone, LineSource
from storaged.parts.journals import Run
from storaged.system.filesystem import OSFilesystem

FRONT = "f" * 16


def test_each_start_has_an_epoch_of_its_own() -> None:
    history = new_history(FRONT).begin(10, 1).begin(10, 1).begin(15, 1)
    assert history.epoch == 3
    assert history.runs(20) == (Run(0, 1, 9), Run(2, 10, 14), Run(3, 15, 19))
    assert history.runs(15) == (Run(0, 1, 9), Run(2, 10, 14))
    assert [history.epoch_of(number) for number in (1, 9, 10, 14, 15, 99)] == [0, 0, 2, 2, 3, 3]


def test_epochs_before_the_snapshot_are_forgotten_but_that_of_its_last_record() -> None:
    history = new_history(FRONT).begin(10, 1).begin(20, 1).begin(30, 20)
    assert history.epochs == ((1, 10), (2, 20), (3, 30))
    assert history.epoch_of(19) == 1


def test_the_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert load_history(OSFilesystem(), str(tmp_path)) is None
    history = new_history(FRONT).begin(10, 1).own()
    save_history(OSFilesystem(), str(tmp_path), history)
    assert load_history(OSFilesystem(), str(tmp_path)) == history == History(1, FRONT, ((0, 1), (1, 10)), 1)


@pytest.mark.parametrize("text", ["", "{}", '{"version":2,"front":"f","epochs":[[1,1]]}'])
def test_a_file_that_cannot_be_read_stops_the_start(tmp_path: Path, text: str) -> None:
    (tmp_path / "epochs.json").write_text(text)
    with pytest.raises(JournalDamaged, match=r"epochs\.json"):
        load_history(OSFilesystem(), str(tmp_path))


@given(
    sizes=st.lists(st.integers(1, 400), min_size=1, max_size=30),
    limit=st.integers(1, 1000),
    starts=st.lists(st.integers(0, 29), min_size=1, max_size=5),
)
def test_lines_are_read_from_any_number(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], limit: int, starts: list[int]
) -> None:
    folder = str(tmp_path_factory.mktemp("journal"))
    writer = SegmentWriter(OSFilesystem(), folder, 900)
    lines = [b"%d%s\n" % (number, b"x" * size) for number, size in enumerate(sizes, 1)]
    for number, line in enumerate(lines, 1):
        writer.write(number, [line], durable=False)
    writer.close()
    source = LineSource(OSFilesystem(), folder)
    for start in starts:
        first = upcoming = 1 + start % len(lines)
        found = b""
        while upcoming <= len(lines):
            data, count = source.read(upcoming, len(lines) + 1, limit)
            assert data.count(b"\n") == count
            found += data
            upcoming += count
        assert found == b"".join(lines[first - 1 :])


def test_lines_before_the_first_segment_are_gone(tmp_path: Path) -> None:
    writer = SegmentWriter(OSFilesystem(), str(tmp_path), 900)
    writer.write(7, [b"seven\n"], durable=True)
    writer.close()
    with pytest.raises(Gone):
        LineSource(OSFilesystem(), str(tmp_path)).read(6, 8)


def test_zeros_after_the_last_line_are_not_read(tmp_path: Path) -> None:
    writer = SegmentWriter(OSFilesystem(), str(tmp_path), 900)
    writer.write(1, [b"one\n", b"two\n"], durable=True)
    assert (tmp_path / "journal-0000000001.jsonl").read_bytes()[:9] == b"one\ntwo\n\0"
    source = LineSource(OSFilesystem(), str(tmp_path))
    assert source.read(2, 3, 10_000) == (b"two\n", 1)
    writer.write(3, [b"three\n"], durable=False)
    assert source.read(3, 4) == (b"three\n", 1)
    writer.close()
