from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitd.model.striping import (
    Column,
    Cutter,
    Layout,
    column_size,
    columns,
    cut_stripe,
    part_size,
    part_spans,
)
from storaged.system.ranges import Span

layouts = st.builds(Layout, st.integers(1, 8), st.integers(0, 3), st.integers(1, 9))
sizes = st.integers(0, 300)


def byte_map(layout: Layout, size: int) -> list[tuple[int, int]]:
    """Return the place of each byte of a file, (part, offset), computed the slow way: stripe by stripe, byte by
    byte.
    """
    filled = [0] * layout.data
    places = []
    for start in range(0, size, layout.stripe):
        stripe_size = min(layout.stripe, size - start)
        shares = [0] * layout.data
        for byte in range(stripe_size):
            shares[byte % layout.data] += 1
        for index, share in enumerate(shares):
            places += [(index, filled[index] + byte) for byte in range(share)]
            filled[index] += share
    return places


def content(size: int) -> bytes:
    return bytes(byte % 251 for byte in range(size))


def cut_all(cutter: Cutter, chunks: list[bytes]) -> list[tuple[int, bytes]]:
    pieces = [piece for chunk in chunks for piece in cutter.cut(chunk)]
    return pieces + cutter.finish()


def chunks_of(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:stop] for start, stop in pairwise(edges)]


def parts_of(layout: Layout, pieces: list[tuple[int, bytes]]) -> list[bytes]:
    parts = [b""] * layout.data
    for index, piece in pieces:
        parts[index] += piece
    return parts


@given(layouts, sizes, st.lists(sizes, max_size=8), st.booleans())
def test_joining_what_was_cut_gives_the_file_back(layout: Layout, size: int, cuts: list[int], known: bool) -> None:
    data = content(size)
    pieces = cut_all(Cutter(layout, size if known else None), chunks_of(data, cuts))
    parts = parts_of(layout, pieces)

    assert [len(part) for part in parts] == [part_size(layout, size, index) for index in range(layout.data)]
    joined = b"".join(
        parts[column.index][column.span.start : column.span.stop] for column in columns(layout, size, Span(0, size))
    )
    assert joined == data


@given(layouts, sizes, st.lists(sizes, max_size=8))
def test_every_byte_lies_where_a_map_made_byte_by_byte_says(layout: Layout, size: int, cuts: list[int]) -> None:
    data = content(size)
    parts = parts_of(layout, cut_all(Cutter(layout), chunks_of(data, cuts)))
    assert bytes(parts[index][offset] for index, offset in byte_map(layout, size)) == data


@given(layouts, sizes, st.lists(sizes, max_size=8))
def test_a_known_size_changes_nothing_but_the_pieces(layout: Layout, size: int, cuts: list[int]) -> None:
    chunks = chunks_of(content(size), cuts)
    known = parts_of(layout, cut_all(Cutter(layout, size), chunks))
    unknown = parts_of(layout, cut_all(Cutter(layout), chunks))
    assert known == unknown


@given(layouts, sizes, st.lists(sizes, max_size=8))
def test_with_a_known_size_nothing_is_kept_back(layout: Layout, size: int, cuts: list[int]) -> None:
    cutter = Cutter(layout, size)
    for chunk in chunks_of(content(size), cuts):
        assert sum(len(piece) for _, piece in cutter.cut(chunk)) == len(chunk)


@given(layouts, sizes, st.lists(sizes, max_size=8))
def test_with_an_unknown_size_less_than_a_stripe_is_kept_back(layout: Layout, size: int, cuts: list[int]) -> None:
    cutter = Cutter(layout)
    given_out = 0
    for chunk in chunks_of(content(size), cuts):
        given_out += sum(len(piece) for _, piece in cutter.cut(chunk))
        assert 0 <= cutter.position - given_out < layout.stripe


def test_a_chunk_that_fits_one_column_is_passed_on_uncopied() -> None:
    chunk = bytes(10)
    [(index, piece)] = Cutter(Layout(6, 0, 16), 96).cut(chunk)
    assert index == 0
    assert piece is chunk


@given(layouts, sizes)
def test_parts_differ_by_at_most_one_byte(layout: Layout, size: int) -> None:
    found = [part_size(layout, size, index) for index in range(layout.data)]
    assert max(found) - min(found) <= 1
    assert sum(found) == size


@given(layouts, sizes)
def test_a_parity_part_is_as_long_as_the_longest_part(layout: Layout, size: int) -> None:
    longest = max(part_size(layout, size, index) for index in range(layout.data))
    assert all(part_size(layout, size, index) == longest for index in range(layout.data, layout.width))


@given(st.integers(1, 20), st.integers(0, 200))
def test_the_columns_of_a_stripe_make_it_up(data: int, stripe_size: int) -> None:
    assert sum(column_size(data, stripe_size, column) for column in range(data)) == stripe_size


@given(st.integers(1, 40), st.binary(max_size=200))
def test_a_whole_stripe_is_cut_into_its_columns(data: int, stripe: bytes) -> None:
    cut = cut_stripe(data, stripe)
    assert [len(column) for column in cut] == [column_size(data, len(stripe), index) for index in range(data)]
    assert b"".join(cut) == stripe


@given(layouts, sizes, st.data())
def test_columns_cover_a_range_once_and_in_order(layout: Layout, size: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, size))
    stop = data.draw(st.integers(start, size))
    found = list(columns(layout, size, Span(start, stop)))

    assert [
        (column.index, offset) for column in found for offset in range(column.span.start, column.span.stop)
    ] == byte_map(layout, size)[start:stop]
    assert all(
        column.stripe == column.span.start // layout.unit == (column.span.stop - 1) // layout.unit for column in found
    )


@given(layouts, sizes, st.data())
def test_part_spans_agree_with_columns(layout: Layout, size: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, size))
    stop = data.draw(st.integers(start, size))
    spans = part_spans(layout, size, Span(start, stop))

    by_part: dict[int, list[Column]] = {}
    for column in columns(layout, size, Span(start, stop)):
        by_part.setdefault(column.index, []).append(column)
    for index, span in enumerate(spans):
        found = by_part.get(index, [])
        assert len(span) == sum(len(column.span) for column in found)
        if found:
            assert (span.start, span.stop) == (found[0].span.start, found[-1].span.stop)


@pytest.mark.parametrize("span", [Span(-1, 1), Span(2, 1), Span(0, 11)])
def test_a_range_outside_the_file_is_refused(span: Span) -> None:
    layout = Layout(6, 0, 4)
    with pytest.raises(ValueError, match="of a file of 10 bytes"):
        list(columns(layout, 10, span))
    with pytest.raises(ValueError, match="of a file of 10 bytes"):
        part_spans(layout, 10, span)


def test_more_bytes_than_announced_are_refused() -> None:
    cutter = Cutter(Layout(6, 0, 4), 10)
    cutter.cut(bytes(8))
    with pytest.raises(ValueError, match="got 11 bytes, expected 10"):
        cutter.cut(bytes(3))


def test_fewer_bytes_than_announced_are_refused() -> None:
    cutter = Cutter(Layout(6, 0, 4), 10)
    cutter.cut(bytes(8))
    with pytest.raises(ValueError, match="got 8 bytes, expected 10"):
        cutter.finish()


@pytest.mark.parametrize(("data", "parity", "unit"), [(0, 0, 1), (1, -1, 1), (6, 0, 0), (250, 7, 1)])
def test_a_layout_that_no_file_can_have_is_refused(data: int, parity: int, unit: int) -> None:
    with pytest.raises(ValueError, match="a layout no file can have"):
        Layout(data, parity, unit)


def test_a_file_as_large_as_the_largest_asked_for_is_laid_out_at_once() -> None:
    layout = Layout(6, 0, 256 * 1024)
    size = 10 * 1024**3 + 5
    assert sum(part_size(layout, size, index) for index in range(6)) == size
    assert sum(map(len, part_spans(layout, size, Span(size - 1_000_000, size)))) == 1_000_000
