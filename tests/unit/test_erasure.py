"""The erasure code: any `data` columns of a stripe give back all others, and parity never changes its meaning."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitd.model.erasure import ErasureCode, Pieces, code_of, cut_whole
from splitd.model.striping import MAX_PARITY, Layout, columns, parse_layout, part_size
from storaged.system.isal import find_isal
from storaged.system.ranges import Span

WAYS = (find_isal(), None)
"""With ISA-L and, where it is missing, with pyeclib only."""


def product(a: int, b: int) -> int:
    """In GF(2^8), polynomial 0x11d."""
    result = 0
    while b:
        if b & 1:
            result ^= a
        a = (a << 1) ^ (0x11D if a & 0x80 else 0)
        b >>= 1
    return result


def inverse(a: int) -> int:
    return next(b for b in range(1, 256) if product(a, b) == 1)


def parity_as_defined(columns: list[bytes], parity: int) -> list[bytes]:
    """The definition, byte by byte, without the library."""
    length, data = len(columns[0]), len(columns)
    out = []
    for row in range(data, data + parity):
        factors = [inverse(row ^ index) for index in range(data)]
        tables = [bytes(product(factor, byte) for byte in range(256)) for factor in factors]
        total = 0
        for table, column in zip(tables, columns, strict=True):
            total ^= int.from_bytes(column.ljust(length, b"\0").translate(table), "little")
        out.append(total.to_bytes(length, "little"))
    return out


def cut(data: int, size: int, seed: int) -> list[bytes]:
    """Random columns of a stripe of `size` bytes, as `Cutter` cuts it."""
    each, more = divmod(size, data)
    source = random.Random(seed)
    return [source.randbytes(each + (index < more)) for index in range(data)]


def encode(data: int, parity: int, stripe: list[bytes], cuts: int = 0) -> list[bytes]:
    """The parity of a stripe, whose columns are given in pieces."""
    pieces = [[column[:cuts], column[cuts : 2 * cuts], column[2 * cuts :]] for column in stripe]
    first, second = (ErasureCode(data, parity, isal).encode(pieces, len(stripe[0])) for isal in WAYS)
    assert first == second
    return [bytes(column) for column in first]


def in_pieces(column: bytes, source: random.Random) -> Pieces:
    """Views of a column, cut at random."""
    count = source.choice([0, 0, 1, 3, 4, 9])
    places = sorted(source.randrange(len(column) + 1) for _ in range(count))
    return [memoryview(column)[start:stop] for start, stop in zip([0, *places], [*places, len(column)], strict=True)]


def test_the_library_that_comes_with_pyeclib_is_found() -> None:
    assert find_isal() is not None


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(0, MAX_PARITY), st.integers(1, 5000), st.integers(0, 2**32))
def test_parity_is_what_its_definition_says(data: int, parity: int, size: int, seed: int) -> None:
    given_columns = cut(data, size, seed)
    assert encode(data, parity, given_columns, seed % 100) == parity_as_defined(given_columns, parity)


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, MAX_PARITY), st.integers(1, 400_000), st.integers(0, 2**32))
def test_both_ways_give_the_same_columns_wherever_they_are_cut(data: int, parity: int, size: int, seed: int) -> None:
    source, stripe = random.Random(seed), cut(data, size, seed)
    length = len(stripe[0])
    direct, joined = (ErasureCode(data, parity, isal) for isal in WAYS)
    coded = [bytes(column) for column in joined.encode([[column] for column in stripe], length)]
    assert direct.encode([in_pieces(column, source) for column in stripe], length) == coded
    every = dict(enumerate(stripe + coded))
    left = dict(source.sample(sorted(every.items()), data))
    pieces = {index: in_pieces(column, source) for index, column in left.items()}
    lost = every.keys() - left.keys()
    assert direct.rebuild(pieces, length, lost) == joined.rebuild(pieces, length, lost)


def test_columns_without_a_byte_count_as_zeros() -> None:
    length = 200_000
    parity = encode(3, 2, [bytes([1]) * length, b"", b""])
    assert parity == encode(3, 2, [bytes([1]) * length, bytes(length), bytes(length)])
    for isal in WAYS:
        given_columns: dict[int, Pieces] = {1: (), 2: [b""], 3: [parity[0]]}
        assert ErasureCode(3, 2, isal).rebuild(given_columns, length, [0, 4]) == {0: bytes([1]) * length, 4: parity[1]}


@settings(deadline=None)
@given(st.data())
def test_any_columns_that_are_lost_come_back_from_the_others(drawn: st.DataObject) -> None:
    data, parity = drawn.draw(st.integers(1, 12)), drawn.draw(st.integers(1, MAX_PARITY))
    size = drawn.draw(st.one_of(st.integers(1, 300), st.integers(90_000, 400_000)))
    stripe = cut(data, size, drawn.draw(st.integers(0, 2**32)))
    length = len(stripe[0])
    every = dict(enumerate(stripe + encode(data, parity, stripe)))
    lost = drawn.draw(st.sets(st.sampled_from(sorted(every)), min_size=1, max_size=parity))
    left = drawn.draw(st.permutations(sorted(every.keys() - lost)))[:data]
    for isal in WAYS:
        code = ErasureCode(data, parity, isal)
        rebuilt = code.rebuild({index: [every[index][:50], every[index][50:]] for index in left}, length, lost)
        assert rebuilt == {index: every[index].ljust(length, b"\0") for index in lost}


@pytest.mark.parametrize("unit", [256 * 1024, 1024 * 1024])  # coded in one call, and in several
def test_parity_of_a_large_stripe_is_that_of_its_pieces(unit: int) -> None:
    cells = cut(6, 6 * unit - 5, 1)
    whole = encode(6, 2, cells)
    assert [len(column) for column in whole] == [unit] * 2
    for start in (0, 16 * 1024, 100_000, unit // 3 - 7, unit // 3 + 70, unit - 9):
        pieces = [column[start : start + 9] for column in cells]
        assert [column[start : start + 9] for column in whole] == encode(6, 2, pieces)


def test_large_columns_that_are_lost_come_back() -> None:
    cells = cut(6, 6 * 1024 * 1024 - 5, 2)
    every = dict(enumerate(cells + encode(6, 2, cells)))
    lost = {2: every.pop(2), 5: every.pop(5)}
    for isal in WAYS:
        code = ErasureCode(6, 2, isal)
        rebuilt = code.rebuild({index: [column] for index, column in every.items()}, 1024 * 1024, lost)
        assert rebuilt == {index: column.ljust(1024 * 1024, b"\0") for index, column in lost.items()}


def test_without_parity_there_is_nothing_to_encode() -> None:
    assert ErasureCode(6, 0, find_isal()).encode([[column] for column in cut(6, 100, 1)], 17) == []


@pytest.mark.parametrize(("data", "parity"), [(0, 2), (6, MAX_PARITY + 1), (6, -1)])
def test_a_code_that_cannot_be_is_refused(data: int, parity: int) -> None:
    with pytest.raises(ValueError, match="no erasure code has"):
        ErasureCode(data, parity, find_isal())


def test_too_few_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="5 columns are given, 6 are needed"):
        code_of(6, 2).rebuild(dict(enumerate([[b"x"]] * 5)), 1, [5])


@settings(deadline=None)
@given(st.integers(1, 8), st.integers(0, MAX_PARITY), st.integers(1, 64), st.integers(1, 2000), st.integers(0, 2**32))
def test_a_whole_file_is_cut_into_parts_whose_stripes_are_coded(
    data: int, parity: int, unit: int, size: int, seed: int
) -> None:
    layout, content = Layout(data, parity, unit), random.Random(seed).randbytes(size)
    payloads = cut_whole(layout, content)
    assert [len(payload) for payload in payloads] == [part_size(layout, size, index) for index in range(layout.width)]
    file = b"".join(
        payloads[column.index][column.span.start : column.span.stop] for column in columns(layout, size, Span(0, size))
    )
    assert file == content
    for start in range(0, len(payloads[0]), unit):
        stripe = [payload[start : start + unit] for payload in payloads]
        assert stripe[data:] == encode(data, parity, stripe[:data])


@pytest.mark.parametrize("text", ["6+2", "1+0", "32+4", "6+0"])
def test_a_layout_is_read(text: str) -> None:
    assert str(parse_layout(text, 1024)) == text


@pytest.mark.parametrize("text", ["", "6", "6+", "+2", "0+2", "33+1", "6+5", "6-2", "06+2", "6+2 ", "٦+٢", "6+2\n"])
def test_a_layout_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a layout"):
        parse_layout(text, 1024)


@given(st.integers(1, 32), st.integers(0, 3), st.integers(0, 1000))
@settings(max_examples=50)
def test_a_parity_column_does_not_depend_on_how_many_others_there_are(data: int, parity: int, seed: int) -> None:
    columns = [[column] for column in cut(data, 97, seed)]
    length = len(columns[0][0])
    assert code_of(data, parity).encode(columns, length) == code_of(data, MAX_PARITY).encode(columns, length)[:parity]
