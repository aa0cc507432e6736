"""The part format: what was written can be read, and nothing else can."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from google_crc32c import extend, value
from hypothesis import given, settings
from hypothesis import strategies as st

from storaged.parts.decoding import PartChecker, UnitDecoder, check_part, decode_part
from storaged.parts.errors import BadPart, BadSpan, PartDamaged
from storaged.parts.format import (
    CHECKSUM_SIZE,
    FOOTER_SIZE,
    HEADER_SIZE,
    MAX_UNIT,
    PartEncoder,
    PartId,
    decode_header,
    encode_header,
    encode_part,
    encode_parts,
    parse_part_id,
    payload_size,
    stored_size,
    stored_span,
)
from storaged.system.ranges import Span

PART = PartId("0123456789abcdef" * 2, 2)
OTHER_UPLOAD = PartId("0123456789abcdee" * 2, 2)
OTHER_INDEX = PartId("0123456789abcdef" * 2, 3)

part_ids = st.builds(PartId, st.binary(min_size=16, max_size=16).map(bytes.hex), st.integers(0, 255))
payloads = st.binary(max_size=200)
units = st.integers(1, 40)
cuts = st.lists(st.integers(0, 400), max_size=12)


def chunked(data: bytes, ends: list[int]) -> list[bytes]:
    ends = [0, *sorted(min(end, len(data)) for end in ends), len(data)]
    return [data[start:stop] for start, stop in pairwise(ends)]


def encode(part: PartId, pieces: list[bytes], unit: int) -> bytes:
    encoder = PartEncoder(part, unit)
    out = [stored for piece in pieces for stored in encoder.encode(piece)] + encoder.finish()
    assert encoder.size == sum(map(len, pieces))
    return b"".join(out)


def check(part: PartId, pieces: list[bytes], stored: int | None = None) -> int:
    checker = PartChecker(part, stored)
    try:
        for piece in pieces:
            checker.feed(piece)
        size = checker.finish()
    except BadPart:
        if stored in (None, sum(map(len, pieces))):
            with pytest.raises(BadPart, match=r"\Apart "):
                check_part(part, b"".join(pieces))
        raise
    assert check_part(part, b"".join(pieces)) == size
    return size


def decode(part: PartId, unit: int, size: int, span: Span, pieces: list[bytes]) -> bytes:
    decoder = UnitDecoder(part, unit, size, span)
    out = b"".join(piece for fed in pieces for checked in decoder.feed(fed) for piece in checked)
    assert decoder.complete
    return out


def swap(data: bytes, one: Span, other: Span) -> bytes:
    """Return the bytes with two spans of the same length exchanged; `one` comes first."""
    return b"".join(
        [
            data[: one.start],
            data[other.start : other.stop],
            data[one.stop : other.start],
            data[one.start : one.stop],
            data[other.stop :],
        ]
    )


@given(part_ids)
def test_a_part_id_is_read_as_it_was_written(part: PartId) -> None:
    assert parse_part_id(str(part)) == part


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "3f.0", "g" * 32 + ".0", "A" * 32 + ".0", "a" * 32, "a" * 32 + ".", "a" * 32 + ".256"),
        *("a" * 32 + ".01", "a" * 31 + ".0", "a" * 33 + ".0", "a" * 32 + ".0\n", " " + "a" * 32 + ".0"),
        *("a" * 32 + ".-1", "a" * 32 + ".\N{SUPERSCRIPT TWO}", "a" * 32 + ".\N{ARABIC-INDIC DIGIT ONE}"),
    ],
)
def test_other_text_is_not_a_part_id(text: str) -> None:
    with pytest.raises(ValueError, match="not a part id"):
        parse_part_id(text)


@given(part_ids, st.integers(1, MAX_UNIT))
def test_a_header_is_read_as_it_was_written(part: PartId, unit: int) -> None:
    header = decode_header(encode_header(part, unit))
    assert (header.part, header.unit) == (part, unit)


@pytest.mark.parametrize("unit", [-1, 0, MAX_UNIT + 1])
def test_a_unit_is_neither_empty_nor_huge(unit: int) -> None:
    with pytest.raises(ValueError, match=str(unit)):
        encode_header(PART, unit)


@given(st.integers(0, 10**13), st.integers(1, MAX_UNIT))
def test_the_payload_size_follows_from_the_stored_size(size: int, unit: int) -> None:
    assert payload_size(stored_size(size, unit), unit) == size


@given(units)
def test_a_stored_size_that_no_part_has_is_refused(unit: int) -> None:
    sizes = {stored_size(size, unit): size for size in range(300)}
    for stored in range(min(300, max(sizes))):
        if stored in sizes:
            assert payload_size(stored, unit) == sizes[stored]
        else:
            with pytest.raises(BadPart):
                payload_size(stored, unit)


def test_the_example_of_the_format_s_page_holds() -> None:
    page = (Path(__file__).parents[2] / "docs/part-format.md").read_text()
    lines = re.findall(r"^[0-9a-f]{4}  ((?:[0-9a-f]{2} )+)", page, re.MULTILINE)
    part = parse_part_id("000102030405060708090a0b0c0d0e0f.2")
    assert encode(part, [b"Hello, splitd!"], 8) == bytes.fromhex("".join(lines))


@pytest.mark.parametrize(
    ("at", "byte", "told"),
    [
        *((0, 0x20, "begin"), (8, 2, "version 2"), (10, 1, "flags 1"), (12, 0, "unit 0"), (15, 1, "unit 16777224")),
        *((33, 1, "index 258"), (34, 1, "no part has"), (59, 1, "no part has")),
    ],
)
def test_a_header_that_is_sealed_but_not_known_is_refused(at: int, byte: int, told: str) -> None:
    header = bytearray(encode_header(PART, 8)[:-CHECKSUM_SIZE])
    header[at] = byte
    with pytest.raises(BadPart, match=told):
        decode_header(bytes(header) + value(bytes(header)).to_bytes(CHECKSUM_SIZE, "little"))


@pytest.mark.parametrize(
    ("at", "told"), [(0, "without a footer"), (8, "tells of 2 bytes"), (16, "tells"), (20, "no part")]
)
def test_a_footer_that_is_sealed_but_wrong_is_refused(at: int, told: str) -> None:
    data = encode(PART, [b"abc"], 8)
    footer = bytearray(data[-FOOTER_SIZE:-CHECKSUM_SIZE])
    footer[at] ^= 1
    seal = extend(decode_header(data[:HEADER_SIZE]).checksum, bytes(footer))
    with pytest.raises(BadPart, match=told):
        check(PART, [data[:-FOOTER_SIZE], bytes(footer) + seal.to_bytes(CHECKSUM_SIZE, "little")])


@given(part_ids, payloads, units, cuts, cuts)
def test_a_part_is_good_however_it_was_cut(
    part: PartId, payload: bytes, unit: int, written: list[int], fed: list[int]
) -> None:
    data = encode(part, chunked(payload, written), unit)
    assert len(data) == stored_size(len(payload), unit)
    assert check(part, chunked(data, fed)) == len(payload)
    assert check(part, chunked(data, fed), len(data)) == len(payload)


def test_a_piece_that_fits_its_unit_is_not_copied() -> None:
    piece = bytes(1000)
    assert any(out is piece for out in PartEncoder(PART, 1000).encode(piece))


def test_every_flipped_bit_is_found() -> None:
    data = encode(PART, [b"twenty bytes of bytes"[:20]], 8)
    assert len(data) == 128
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        for stored in (None, len(data)):
            with pytest.raises(BadPart):
                check(PART, [bytes(flipped)], stored)


@settings(max_examples=25)
@given(st.binary(max_size=40), st.integers(1, 16))
def test_every_truncation_is_found(payload: bytes, unit: int) -> None:
    data = encode(PART, [payload], unit)
    for kept in range(len(data)):
        for stored in (None, kept, len(data)):
            with pytest.raises(BadPart):
                check(PART, [data[:kept]], stored)


@given(payloads, units, st.binary(min_size=1, max_size=100), cuts)
def test_every_extension_is_found(payload: bytes, unit: int, more: bytes, fed: list[int]) -> None:
    data = encode(PART, [payload], unit)
    for stored in (None, len(data), len(data + more)):
        with pytest.raises(BadPart):
            check(PART, chunked(data + more, fed), stored)


@given(payloads, units)
def test_a_part_of_another_length_than_announced_is_refused(payload: bytes, unit: int) -> None:
    data = encode(PART, [payload], unit)
    for stored in (0, len(data) - 1, len(data) + 1):
        with pytest.raises(BadPart, match=str(stored)):
            check(PART, [data], stored)


@pytest.mark.parametrize("other", [OTHER_UPLOAD, OTHER_INDEX])
def test_the_bytes_of_another_part_are_refused(other: PartId) -> None:
    with pytest.raises(BadPart, match=str(other)):
        check(PART, [encode(other, [b"abc"], 8)])


def test_a_unit_in_the_place_of_another_is_found() -> None:
    data = encode(PART, [b"one unit", b"oneother", b"the rest"], 8)
    first, second = (stored_span(24, 8, Span(start, start + 8)) for start in (0, 8))
    swapped = swap(data, first, second)
    with pytest.raises(BadPart, match="unit 0"):
        check(PART, [swapped])
    for span in (Span(0, 1), Span(8, 16), Span(0, 24)):
        stored = stored_span(24, 8, span)
        with pytest.raises(PartDamaged):
            decode(PART, 8, 24, span, [swapped[stored.start : stored.stop]])


@pytest.mark.parametrize("other", [OTHER_UPLOAD, OTHER_INDEX])
def test_a_unit_from_the_same_place_of_another_part_is_found(other: PartId) -> None:
    ours, theirs = (encode(part, [b"the same payload"], 8) for part in (PART, other))
    place = stored_span(16, 8, Span(8, 16))
    mixed = ours[: place.start] + theirs[place.start : place.stop] + ours[place.stop :]
    with pytest.raises(BadPart, match="unit 1"):
        check(PART, [mixed])
    with pytest.raises(PartDamaged, match="unit 1"):
        decode(PART, 8, 16, Span(8, 16), [mixed[place.start : place.stop]])


def test_the_end_of_another_part_is_found() -> None:
    ours, theirs = (encode(part, [], 8) for part in (PART, OTHER_INDEX))
    with pytest.raises(BadPart, match="footer"):
        check(PART, [ours[:HEADER_SIZE] + theirs[HEADER_SIZE:]])


@st.composite
def spans(draw: st.DrawFn) -> tuple[bytes, int, Span]:
    payload = draw(st.binary(min_size=1, max_size=200))
    start = draw(st.integers(0, len(payload) - 1))
    stop = draw(st.integers(start + 1, len(payload)))
    return payload, draw(units), Span(start, stop)


@given(spans(), cuts)
def test_a_span_is_decoded_whole_and_exactly(case: tuple[bytes, int, Span], fed: list[int]) -> None:
    payload, unit, span = case
    stored = stored_span(len(payload), unit, span)
    data = encode(PART, [payload], unit)[stored.start : stored.stop]
    assert decode(PART, unit, len(payload), span, chunked(data, fed)) == payload[span.start : span.stop]


@given(spans())
def test_a_span_is_read_with_no_more_units_than_it_touches(case: tuple[bytes, int, Span]) -> None:
    payload, unit, span = case
    stored = stored_span(len(payload), unit, span)
    touched = {position // unit for position in range(span.start, span.stop)}
    assert len(stored) == sum(len(payload[number * unit :][:unit]) + CHECKSUM_SIZE for number in touched)
    assert HEADER_SIZE <= stored.start < stored.stop <= stored_size(len(payload), unit) - FOOTER_SIZE


@given(spans(), st.data(), cuts)
def test_a_flipped_bit_in_a_unit_is_never_given_out(
    case: tuple[bytes, int, Span], data: st.DataObject, fed: list[int]
) -> None:
    payload, unit, span = case
    stored = stored_span(len(payload), unit, span)
    flipped = bytearray(encode(PART, [payload], unit)[stored.start : stored.stop])
    bit = data.draw(st.integers(0, len(flipped) * 8 - 1))
    flipped[bit // 8] ^= 1 << bit % 8
    decoder = UnitDecoder(PART, unit, len(payload), span)
    given_out = bytearray()

    def feed_all() -> None:
        for piece in chunked(bytes(flipped), fed):
            for checked in decoder.feed(piece):
                given_out.extend(b"".join(checked))

    with pytest.raises(PartDamaged, match=f"unit {span.start // unit + bit // 8 // (unit + CHECKSUM_SIZE)} "):
        feed_all()
    assert payload[span.start : span.stop].startswith(given_out)
    assert not decoder.complete


@given(spans())
def test_more_bytes_than_the_span_needs_are_refused(case: tuple[bytes, int, Span]) -> None:
    payload, unit, span = case
    data = encode(PART, [payload], unit)
    stored = stored_span(len(payload), unit, span)
    with pytest.raises(PartDamaged, match="more bytes"):
        decode(PART, unit, len(payload), span, [data[stored.start : stored.stop + 1]])


@given(spans())
def test_a_span_that_broke_off_is_not_complete(case: tuple[bytes, int, Span]) -> None:
    payload, unit, span = case
    stored = stored_span(len(payload), unit, span)
    decoder = UnitDecoder(PART, unit, len(payload), span)
    decoder.feed(encode(PART, [payload], unit)[stored.start : stored.stop - 1])
    assert not decoder.complete


@pytest.mark.parametrize("span", [Span(0, 0), Span(3, 3), Span(3, 2), Span(-1, 2), Span(0, 11), Span(10, 11)])
def test_a_span_that_is_empty_or_not_in_the_payload_is_refused(span: Span) -> None:
    with pytest.raises(BadSpan):
        stored_span(10, 4, span)


@given(st.lists(payloads, max_size=8), units)
def test_parts_that_are_encoded_together_are_those_that_are_encoded_alone(given: list[bytes], unit: int) -> None:
    alone = [encode(PartId(PART.upload, index), [payload], unit) for index, payload in enumerate(given)]
    assert encode_parts(PART.upload, unit, given) == alone
    assert [encode_part(PartId(PART.upload, index), unit, payload) for index, payload in enumerate(given)] == alone


@given(payloads.filter(bool), units)
def test_the_payload_of_a_whole_part_is_decoded(payload: bytes, unit: int) -> None:
    assert decode_part(PART, unit, len(payload), encode(PART, [payload], unit)) == payload


@given(payloads.filter(bool), units, st.data())
def test_a_flipped_bit_in_a_unit_of_a_whole_part_is_found(payload: bytes, unit: int, data: st.DataObject) -> None:
    flipped = bytearray(encode(PART, [payload], unit))
    stored = stored_span(len(payload), unit, Span(0, len(payload)))
    bit = data.draw(st.integers(stored.start * 8, stored.stop * 8 - 1))
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(PartDamaged, match=f"unit {(bit // 8 - stored.start) // (unit + CHECKSUM_SIZE)} is wrong"):
        decode_part(PART, unit, len(payload), bytes(flipped))


@given(payloads.filter(bool), units, st.integers(-40, 40).filter(bool))
def test_a_whole_part_of_another_size_is_refused(payload: bytes, unit: int, more: int) -> None:
    data = encode(PART, [payload], unit)
    with pytest.raises(PartDamaged, match="expected"):
        decode_part(PART, unit, len(payload), data[:more] if more < 0 else data + bytes(more))


@pytest.mark.parametrize("other", [OTHER_UPLOAD, OTHER_INDEX])
def test_a_whole_part_in_the_place_of_another_is_found(other: PartId) -> None:
    with pytest.raises(PartDamaged, match="unit 0"):
        decode_part(PART, 8, 3, encode(other, [b"abc"], 8))
