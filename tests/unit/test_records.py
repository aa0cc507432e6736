from __future__ import annotations

import json
import re

import pytest
from google_crc32c import value
from hypothesis import given
from hypothesis import strategies as st

from splitd.model.manifest import Manifest
from splitd.model.records import (
    CollectionMade,
    CollectionTouched,
    DiskChecked,
    EntryBinned,
    EntryCopied,
    EntryDeleted,
    EntryMoved,
    EntryRestored,
    FileCommitted,
    JournalOpened,
    LockReleased,
    LockTaken,
    NodeLost,
    PartCopyReaped,
    PartMoveAborted,
    PartMoved,
    PartMoveStarted,
    PartsGone,
    PartsLost,
    PartsReaped,
    PropertiesChanged,
    Record,
    SnapshotEnded,
    UploadAborted,
    UploadStarted,
    decode_line,
    encode_line,
)

DOCUMENTED = (
    b'{"seq":5,"synced":3,"crc":"20023303",'
    b'"record":{"type":"collection-made","path":"/photos","time_ms":1767225602000}}\n'
)

texts = st.text(st.characters(exclude_categories=["Cs"]))
times = st.integers(0, 2**53)
indexes = st.integers(0, 255)
nodes = st.lists(texts, max_size=8).map(tuple)
manifests = st.builds(
    Manifest, texts, times, times, st.integers(1, 8), st.integers(0, 3), st.integers(1, 2**24), nodes, texts
)
properties = st.dictionaries(texts, texts, max_size=3)
depths = st.sampled_from(["0", "infinity"])
records: st.SearchStrategy[Record] = st.one_of(
    st.builds(JournalOpened, st.integers(1, 9), texts, times),
    st.builds(UploadStarted, texts, texts, nodes, times, texts),
    st.builds(UploadAborted, texts, texts, times),
    st.builds(FileCommitted, texts, manifests),
    st.builds(CollectionMade, texts, times, properties),
    st.builds(EntryDeleted, texts, times),
    st.builds(EntryMoved, texts, texts, times),
    st.builds(EntryBinned, texts, texts, times, st.dictionaries(texts, texts)),
    st.builds(EntryRestored, texts, texts, times),
    st.builds(EntryCopied, texts, texts, depths, times),
    st.builds(PropertiesChanged, texts, properties, st.lists(texts, max_size=3).map(tuple)),
    st.builds(
        LockTaken,
        texts,
        texts,
        st.sampled_from(["exclusive", "shared"]),
        depths,
        texts,
        times,
        times,
        st.none() | manifests,
    ),
    st.builds(LockReleased, texts),
    st.builds(PartsReaped, texts),
    st.builds(PartsGone, texts, st.lists(texts, max_size=3).map(tuple)),
    st.builds(PartMoveStarted, texts, indexes, texts, times, texts),
    st.builds(PartMoved, texts, indexes, texts, texts, texts),
    st.builds(PartMoveAborted, texts, indexes, texts, texts, times),
    st.builds(PartCopyReaped, texts, indexes, texts),
    st.builds(PartsLost, texts, st.lists(texts, max_size=3).map(tuple), texts, times, st.booleans()),
    st.builds(NodeLost, texts, times),
    st.builds(DiskChecked, texts, texts, times),
    st.builds(CollectionTouched, texts, times),
    st.builds(SnapshotEnded, times),
)


@given(st.integers(1, 10**18), st.integers(0, 10**18), records)
def test_every_record_is_read_back_from_its_line(sequence: int, synced: int, record: Record) -> None:
    line = encode_line(sequence, synced, record)
    assert decode_line(line) == (sequence, synced, record)
    assert decode_line(line.removesuffix(b"\n")) == (sequence, synced, record)


@given(st.integers(1, 10**18), st.integers(0, 10**18), records)
def test_a_line_is_one_line_of_json_with_the_documented_checksum(sequence: int, synced: int, record: Record) -> None:
    line = encode_line(sequence, synced, record)
    assert line.index(b"\n") == len(line) - 1
    assert b"\r" not in line
    found = json.loads(line)
    assert list(found) == ["seq", "synced", "crc", "record"]
    assert (found["seq"], found["synced"]) == (sequence, synced)
    body = line[line.index(b'"record":') + len(b'"record":') : -2]
    assert json.loads(body) == found["record"]
    assert found["crc"] == f"{value(b'%d %d %b' % (sequence, synced, body)):08x}"


def test_the_line_of_the_documentation_is_the_one_that_is_written() -> None:
    assert encode_line(5, 3, CollectionMade("/photos", 1767225602000)) == DOCUMENTED


def test_any_flipped_bit_is_found() -> None:
    manifest = Manifest("9f2c41d07be85a63ff0149c2d87e5b10", 13, 1767225600000, 6, 0, 262144, tuple("abcdef"), "a/b")
    line = encode_line(1203, 1200, FileCommitted("/photos/naïve.jpg", manifest))
    decode_line(line)
    unnoticed = []
    for position in range(len(line) - 1):
        for bit in range(8):
            flipped = bytearray(line)
            flipped[position] ^= 1 << bit
            try:
                decode_line(bytes(flipped))
            except ValueError:
                continue
            unnoticed.append((position, bit))
    assert unnoticed == []


@pytest.mark.parametrize("length", range(len(DOCUMENTED) - 1))
def test_a_line_cut_short_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="not a line of a journal"):
        decode_line(DOCUMENTED[:length])


def test_a_whole_line_with_another_number_is_refused() -> None:
    with pytest.raises(ValueError, match=r"record 6: its checksum is [0-9a-f]{8}, the line says 20023303"):
        decode_line(DOCUMENTED.replace(b'"seq":5', b'"seq":6'))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"type":"collection-unmade","path":"/a","time_ms":1}', "collection-unmade"),
        (b'{"type":"collection-made","path":"/a","time_ms":1,"colour":"red"}', "colour"),
        (b'{"type":"collection-made","path":"/a"}', "time_ms"),
        (b'{"type":"collection-made","path":"/a","time_ms":"1"}', "Expected `int`, got `str`"),
        (b'{"type":"collection-made","path":"/\xff","time_ms":1}', "record 1: Invalid UTF-8"),
        (b'{"type":"parts-reaped","upload":"a"},{}', "trailing characters"),
        (b'{"type":"entry-copied","source":"/a","target":"/b","depth":"1","time_ms":1}', "Invalid enum value '1'"),
    ],
)
def test_a_line_with_a_right_checksum_and_a_wrong_record_is_refused(body: bytes, reason: str) -> None:
    line = b'{"seq":1,"synced":0,"crc":"%08x","record":%b}\n' % (value(b"1 0 " + body), body)
    with pytest.raises(ValueError, match=re.escape(reason)):
        decode_line(line)


def test_a_lone_surrogate_cannot_be_written_down() -> None:
    with pytest.raises(ValueError, match="surrogates not allowed"):
        encode_line(1, 0, CollectionMade("/\ud800", 1))
