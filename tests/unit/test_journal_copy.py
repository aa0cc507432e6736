"""A node's copy of the journal, and where two journals agree."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storaged.journals.copy import JournalCopy
from storaged.parts.errors import BadRequest
from storaged.parts.journals import Append, CopyState, Piece, Run, agreement, cut, extend
from storaged.system.filesystem import OSFilesystem


def made(folder: Path) -> JournalCopy:
    copy = JournalCopy(OSFilesystem(), str(folder), segment_limit=300)
    copy.load()
    return copy


def append(copy: JournalCopy, first: int, count: int, epoch: int = 1) -> int:
    lines = b"".join(b"line %d of epoch %d\n" % (number, epoch) for number in range(first, first + count))
    return copy.append([Append(first, epoch, first, count, lines)])


@pytest.mark.parametrize("first", [1, 2, 4, 5, 10])
def test_an_append_that_does_not_follow_the_last_record_is_refused(tmp_path: Path, first: int) -> None:
    copy = made(tmp_path)
    append(copy, 1, 2)
    with pytest.raises(BadRequest, match=f"record {first} to append, and the copy ends before record 3"):
        append(copy, first, 1)
    assert append(copy, 3, 1) == 4


def test_lines_that_are_not_as_many_as_they_say_are_refused(tmp_path: Path) -> None:
    copy = made(tmp_path)
    for lines in (b"one\n", b"one\ntwo", b"one\ntwo\nthree\n", b""):
        with pytest.raises(BadRequest, match="not 2 lines"):
            copy.append([Append(1, 1, 1, 2, lines)])
    assert copy.state == CopyState()


def test_a_copy_is_the_same_after_it_is_read_again(tmp_path: Path) -> None:
    copy = made(tmp_path)
    append(copy, 1, 30)
    append(copy, 31, 2, epoch=2)
    copy.trim(32)
    append(copy, 32, 5, epoch=3)
    copy.close()
    expected = (Run(1, 1, 30), Run(2, 31, 31), Run(3, 32, 36))
    assert made(tmp_path).state == copy.state == CopyState(37, runs=expected)


def test_a_snapshot_replaces_the_records_before_it(tmp_path: Path) -> None:
    copy = made(tmp_path)
    append(copy, 1, 30)
    append(copy, 31, 30)
    copy.take(Piece(-1, 40, 1, 0, 6, b"sna"))
    copy.take(Piece(-2, 40, 1, 3, 6, b"p.\n"))
    assert copy.state == CopyState(61, 40, 1, 6, (Run(1, 40, 60),))
    assert copy.read_snapshot(0) == b"snap.\n"
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "copy-0000000031.blocks",
        "snapshot-0000000040-1.jsonl",
    ]
    copy.close()
    assert made(tmp_path).state == copy.state
    with pytest.raises(BadRequest, match="the snapshot holds those before 40"):
        copy.trim(39)


@pytest.mark.parametrize("offset", [1, 5, 7])
def test_a_piece_that_does_not_follow_is_refused(tmp_path: Path, offset: int) -> None:
    copy = made(tmp_path)
    copy.take(Piece(-1, 4, 1, 0, 9, b"four"))
    with pytest.raises(BadRequest, match=f"a piece of a snapshot at {offset}, expected 4 of 9"):
        copy.take(Piece(-2, 4, 1, offset, 9, b"xx"))
    assert copy.state == CopyState()


def test_a_rotten_block_is_damage_if_a_later_one_was_written_after_it_was_durable(tmp_path: Path) -> None:
    copy = made(tmp_path)
    for number in range(1, 5):
        append(copy, number, 1)
    copy.close()
    [path] = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    data[data.index(b"line 2")] ^= 1
    path.write_bytes(data)
    copy = made(tmp_path)
    assert "the block at " in copy.state.damage
    with pytest.raises(BadRequest, match="must be opened again"):
        append(copy, 5, 1)
    assert copy.trim(0) == 1
    assert append(copy, 1, 1) == 2
    copy.close()
    assert made(tmp_path).state.damage == ""


def test_only_the_last_file_may_end_with_zeros(tmp_path: Path) -> None:
    copy = made(tmp_path)
    for number in range(1, 30):
        append(copy, number, 1)
    *full, last = sorted(tmp_path.iterdir())
    assert all(path.read_bytes().endswith(b"\n") for path in full)
    assert last.read_bytes().endswith(b"\0")
    again = made(tmp_path)  # as after a crash
    assert again.state == copy.state
    assert append(again, 30, 1) == 31
    again.close()
    full[0].write_bytes(full[0].read_bytes() + bytes(10))
    assert "a bad block" in made(tmp_path).state.damage


def test_zeros_in_place_of_a_durable_block_are_damage(tmp_path: Path) -> None:
    copy = made(tmp_path)
    for number in range(1, 4):
        append(copy, number, 1)
    [path] = tmp_path.iterdir()
    data = path.read_bytes()
    middle, end = data.index(b"#1 2 "), data.index(b"#1 3 ")
    path.write_bytes(data[:middle] + bytes(end - middle) + data[end:])
    assert "a later one says that it was durable" in made(tmp_path).state.damage


def test_a_missing_file_is_damage(tmp_path: Path) -> None:
    copy = made(tmp_path)
    for number in range(1, 60):
        append(copy, number, 1)
    copy.close()
    sorted(tmp_path.iterdir())[1].unlink()
    assert "are missing before it" in made(tmp_path).state.damage


histories = st.lists(st.integers(1, 4), min_size=0, max_size=6)


@given(st.lists(st.integers(1, 3), max_size=5), histories, histories)
def test_two_journals_agree_up_to_the_last_record_of_the_same_number_and_epoch(
    shared: list[int], ours: list[int], theirs: list[int]
) -> None:
    def runs(more: list[int], epochs: list[int]) -> tuple[Run, ...]:
        found: tuple[Run, ...] = ()
        upcoming = 1
        for epoch, count in zip([*range(1, len(shared) + 1), *epochs], [*shared, *more], strict=True):
            found = extend(found, epoch, upcoming, count)
            upcoming += count
        return found

    even = [10 + 2 * number for number in range(len(ours))]
    odd = [11 + 2 * number for number in range(len(theirs))]
    assert agreement(runs(ours, even), runs(theirs, odd)) == sum(shared)


def test_runs_are_cut() -> None:
    runs = (Run(1, 1, 10), Run(2, 11, 12))
    assert cut(runs, 12) == (Run(1, 1, 10), Run(2, 11, 11))
    assert cut(runs, 11) == (Run(1, 1, 10),)
    assert cut(runs, 1) == ()
