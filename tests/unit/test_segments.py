"""The segments of a file in their packed form, and manifests with them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitd.model.manifest import Manifest
from splitd.model.media import Media
from splitd.model.packing import Packing
from splitd.model.segments import SegmentRef, Segments, pack_segments
from storaged.system.ranges import Span

refs = st.builds(
    SegmentRef,
    st.binary(min_size=16, max_size=16).map(bytes.hex),
    st.sampled_from([0, 1, 2, 7, 2**40]),
    st.integers(1, 10_000),
)
texts = st.sampled_from(["", "text/plain", "é" * 300])


@given(st.lists(refs))
def test_what_is_packed_is_there(some: list[SegmentRef]) -> None:
    segments = Segments(pack_segments(some))
    assert (list(segments), len(segments)) == (some, len(some))
    assert [segments[place] for place in range(len(some))] == some
    assert [key.hex() for key in segments.ids()] == [ref.upload for ref in some]
    with pytest.raises(IndexError):
        segments[len(some)]


@given(st.lists(st.integers(0, 5), max_size=8), st.integers(0, 40), st.integers(0, 40))
def test_a_range_has_the_bytes_of_its_segments(sizes: list[int], start: int, stop: int) -> None:
    some = [SegmentRef(f"{number:032x}", size, number) for number, size in enumerate(sizes, 1)]
    of = [(ref.upload, place) for ref in some for place in range(ref.size)]
    start, stop = min(start, len(of)), min(stop, len(of))
    found = list(Segments(pack_segments(some)).within(Span(start, max(start, stop))))
    assert [(ref.upload, place) for ref, part in found for place in range(part.start, part.stop)] == of[start:stop]
    assert all(len(part) for _, part in found)


@pytest.mark.parametrize("size", [-1, 2**64])
def test_what_does_not_fit_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="no segments"):
        pack_segments([SegmentRef("a" * 32, size, 1)])


@given(st.lists(refs, min_size=1), texts | st.builds(Media, texts, texts))
def test_a_file_with_segments_is_packed_and_written_as_it_is(some: list[SegmentRef], said: str | Media) -> None:
    packing = Packing()
    manifest = Manifest("a" * 32, 9, 5, 6, 2, 4, (), said, pack_segments(some))
    packed = packing.pack(manifest)
    assert packing.unpack(packed) == manifest
    assert (packing.parts_of(packed), packing.has_parts(packed)) == (0, True)
    kept = packing.segments_of(packed)
    assert kept is not None
    assert list(kept) == some
    assert msgspec.json.decode(msgspec.json.encode(manifest), type=Manifest) == manifest


@given(texts, st.sampled_from([(), ("n1", "", "n3"), tuple(f"n{number}" for number in range(300))]))
def test_a_segment_is_packed_and_written_as_it_is(note: str, nodes: tuple[str, ...]) -> None:
    packing = Packing()
    manifest = Manifest("a" * 32, 9, 5, 3, 0, 4, nodes, note, segment_of="b" * 32)
    packed = packing.pack(manifest)
    assert packing.unpack(packed) == manifest
    assert (packing.parts_of(packed), packing.segments_of(packed)) == (len(nodes), None)
    assert msgspec.json.decode(msgspec.json.encode(manifest), type=Manifest) == manifest


def test_files_without_segments_take_no_byte_more() -> None:
    packing = Packing()
    packed = packing.pack(Manifest("a" * 32, 9, 5, 6, 0, 4, tuple("abcdef"), "text/plain"))
    assert len(packed) == 38
    assert packing.segments_of(packed) is None
    assert msgspec.json.encode(Manifest("a" * 32, 9, 5, 6, 0, 4, ())).endswith(b'"unit":4,"nodes":[]}')


def test_notes_of_segments_leave_the_table_of_texts_to_files() -> None:
    packing = Packing()
    for number in range(5000):
        packing.pack(Manifest(f"{number:032x}", 9, 5, 6, 0, 4, (), f"note {number}", segment_of="b" * 32))
    assert len(packing.shapes) == 1


def test_bytes_that_name_no_segments_are_refused() -> None:
    with pytest.raises(ValueError, match="27 bytes name no segments"):
        Packing().pack(Manifest("a" * 32, 9, 5, 6, 0, 4, (), "", bytes(27)))
