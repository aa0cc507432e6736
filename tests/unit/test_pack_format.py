from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from storaged.packs.format import (
    ALIGNMENT,
    ENTRY_SIZE,
    HEADER_SIZE,
    Entry,
    Gap,
    encode_file_header,
    encode_part_entry,
    encode_removal,
    scan,
)
from storaged.parts.format import PartId, encode_part

UPLOAD = "0123456789abcdef" * 2


def make(sizes: list[int]) -> tuple[bytes, list[Entry]]:
    """Return a pack with parts of these payload sizes, and a removal for each 0."""
    pack = encode_file_header()
    entries = []
    for number, size in enumerate(sizes):
        part = PartId(UPLOAD, number)
        data = encode_part(part, 1000, bytes([number]) * size) if size else b""
        pieces = encode_part_entry(part, data, number) if size else encode_removal(part, 7, number)
        entries.append(Entry(str(part), len(pack) + ENTRY_SIZE, len(data), number, None if size else 7))
        pack += b"".join(pieces)
    return pack, entries


def read(pack: bytes, start: int = 0) -> list[Entry | Gap]:
    return list(scan(lambda offset, count: pack[offset : offset + count], start, len(pack)))


def test_the_example_of_the_format_s_page_holds() -> None:
    page = (Path(__file__).parents[2] / "docs/pack-format.md").read_text()
    lines = re.findall(r"^[0-9a-f]{4}  ((?:[0-9a-f]{2} )+)", page, re.MULTILINE)
    part, removed = PartId("000102030405060708090a0b0c0d0e0f", 2), PartId("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", 0)
    time_ms = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
    entries = [
        *encode_part_entry(part, encode_part(part, 8, b"Hello, splitd!"), time_ms),
        *encode_removal(removed, 4, time_ms + 1),
    ]
    assert encode_file_header() + b"".join(entries) == bytes.fromhex("".join(lines))


@settings(max_examples=50)
@given(st.lists(st.integers(0, 5000), max_size=8))
def test_what_was_written_is_found_again(sizes: list[int]) -> None:
    pack, entries = make(sizes)
    assert read(pack) == entries
    assert len(pack) % ALIGNMENT == 0
    for number, entry in enumerate(entries):
        assert read(pack, entry.stop) == entries[number + 1 :]


def test_a_torn_entry_is_no_part_wherever_it_was_torn() -> None:
    pack, entries = make([100, 0, 2500])
    begin = entries[-1].offset - ENTRY_SIZE
    for cut in range(begin, entries[-1].offset + entries[-1].length):
        gap = [Gap(begin, cut)] if cut > begin else []
        assert read(pack[:cut]) == [*entries[:-1], *gap]


def test_a_wrong_bit_costs_one_entry_and_no_other() -> None:
    pack, entries = make([100, 700, 0, 40, 1300])
    for number, entry in enumerate(entries):
        begin = entry.offset - ENTRY_SIZE
        for byte in range(begin, entry.offset + entry.length):
            damaged = bytearray(pack)
            damaged[byte] ^= 1
            assert read(bytes(damaged)) == [*entries[:number], Gap(begin, entry.stop), *entries[number + 1 :]]


def test_what_stands_before_and_between_entries_is_passed_over() -> None:
    pack, entries = make([100])
    entry = pack[HEADER_SIZE:]
    junk = b"ENTR" + b"?" * 92
    found = read(b"?" * HEADER_SIZE + junk + entry + junk)
    assert [type(each) for each in found] == [Gap, Gap, Entry, Gap]
    assert read(b"") == [Gap(0, 0)]
    assert read(encode_file_header()) == []
    assert entries[0].part_id == found[2].part_id  # type: ignore[union-attr]


def test_an_entry_under_another_name_is_no_part() -> None:
    part, other = PartId(UPLOAD, 1), PartId(UPLOAD, 2)
    pack = encode_file_header() + b"".join(encode_part_entry(other, encode_part(part, 1000, b"abc"), 0))
    assert read(pack) == [Gap(HEADER_SIZE, len(pack))]
