"""Lines are found however they come, and at a cost that does not grow with what is kept."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from storaged.http.lines import LineBuffer

pieces = st.lists(st.one_of(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"\r\n\r\n"]), st.binary(max_size=5)))


def take_lines(buffer: LineBuffer) -> list[bytes]:
    lines = []
    while (line := buffer.take_line()) is not None:
        lines.append(line)
    return lines


@given(pieces)
def test_lines_are_the_same_in_whatever_pieces_they_come(pieces: list[bytes]) -> None:
    buffer = LineBuffer()
    lines = []
    for piece in pieces:
        buffer.add(piece)
        lines += take_lines(buffer)
    *whole, rest = b"".join(pieces).split(b"\r\n")
    assert lines == whole
    assert len(buffer) == len(rest)
    assert buffer.take_all() == rest
    assert (len(buffer), buffer.take_all(), buffer.take_line()) == (0, b"", None)


@given(pieces, pieces)
def test_what_is_not_taken_can_be_taken_as_it_is(first: list[bytes], then: list[bytes]) -> None:
    buffer = LineBuffer()
    buffer.add(b"line\r\n" + b"".join(first))
    assert buffer.take_line() == b"line"
    for piece in then:
        buffer.add(piece)
    assert buffer.take_all() == b"".join(first + then)


def test_a_line_feed_alone_is_seen_as_soon_as_it_has_come() -> None:
    for data, is_bare in [(b"a\nb", True), (b"\n", True), (b"a\r", False), (b"a", False), (b"a\r\nb\n", True)]:
        buffer = LineBuffer()
        for byte in data:
            buffer.add(bytes([byte]))
            take_lines(buffer)
        assert buffer.has_bare_feed is is_bare, data


def test_bytes_that_are_not_lines_are_not_copied() -> None:
    buffer, data = LineBuffer(), bytes(1000)
    buffer.add(data)
    assert buffer.take_all() is data


def test_what_was_taken_is_not_kept() -> None:
    buffer, data = LineBuffer(), bytes(bytearray(b"line\r\nanother\r\n"))
    before = sys.getrefcount(data)
    buffer.add(data)
    assert sys.getrefcount(data) > before
    take_lines(buffer)
    assert sys.getrefcount(data) == before


def test_a_great_many_short_lines_at_once_are_no_work() -> None:
    buffer, count = LineBuffer(), 300_000
    buffer.add(b"a:\r\n" * count)  # copied for each line they were 180 GB
    assert take_lines(buffer) == [b"a:"] * count


def test_a_long_line_byte_by_byte_is_no_work() -> None:
    buffer, size = LineBuffer(), 1_000_000
    for _ in range(size):
        buffer.add(b"a")
        assert buffer.take_line() is None  # searched anew each time it were 500 GB
    buffer.add(b"\r\n")
    assert buffer.take_line() == b"a" * size
