"""Packed manifests: nothing is lost, they are small, and what clients make up takes no memory for ever."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitd.model.manifest import Manifest
from splitd.model.media import Media
from splitd.model.packing import Packing, key_of, size_of

uploads = st.binary(min_size=16, max_size=16).map(bytes.hex)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
pairs = st.lists(st.tuples(texts, texts), max_size=2).map(tuple)
media = st.builds(Media, texts, texts, texts, texts, texts, texts, texts, texts, pairs, pairs)
manifests = st.builds(
    Manifest,
    uploads,
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**48 - 1),
    st.integers(1, 6),
    st.integers(0, 4),
    st.sampled_from([4, 262144]),
    st.lists(st.integers(0, 700).map(lambda number: f"n{number}" if number else ""), max_size=10).map(tuple),
    st.one_of(st.sampled_from(["", "image/jpeg"]), texts, media),
)


def manifest(number: int = 1, said: str | Media = "", nodes: tuple[str, ...] = tuple("abcdef")) -> Manifest:
    return Manifest(f"{number:032x}", 10, 1_767_225_600_000, 6, 0, 4, nodes, said)


@given(st.lists(manifests))
def test_a_packed_manifest_is_unpacked_to_an_equal_one(some: list[Manifest]) -> None:
    packing = Packing()
    packing.pack(manifest(nodes=tuple(f"n{number}" for number in range(1, 400))))  # so that later nodes have two bytes
    packed = [packing.pack(each) for each in some]
    assert [packing.unpack(each) for each in packed] == some
    assert [packing.outline(each) for each in packed] == [(m.upload, m.size, m.created_ms, m.said) for m in some]
    assert [size_of(each) for each in packed] == [each.size for each in some]
    assert [packing.parts_of(each) for each in packed] == [len(each.nodes) for each in some]
    assert [packing.pack(each) for each in some] == packed
    other = Packing()
    other.restore(packing.nodes, packing.shapes)
    assert [other.unpack(each) for each in packed] == some
    assert [other.pack(each) for each in some] == packed


@given(st.lists(manifests))
def test_packed_manifests_are_in_the_order_of_their_uploads(some: list[Manifest]) -> None:
    packing = Packing()
    in_order = [packing.unpack(packed).upload for packed in sorted(map(packing.pack, some))]
    assert in_order == sorted(each.upload for each in some)
    assert [packing.pack(each)[:16] for each in some] == [key_of(each.upload) for each in some]


def test_a_packed_manifest_takes_eighty_bytes_whatever_its_nodes() -> None:
    packing = Packing()
    for nodes in (tuple("abcdef"), tuple("hgfedcba"), tuple(f"a-storage-server-{number}" for number in range(8))):
        packed = packing.pack(manifest(said="application/vnd.oasis.opendocument.text", nodes=nodes))
        assert sys.getsizeof(packed) <= 80


def test_a_manifest_of_the_newest_of_many_nodes_is_as_good() -> None:
    packing = Packing()
    found = [manifest(number, nodes=(f"n{number}", "", f"m{number}")) for number in range(400)]
    assert [packing.unpack(packing.pack(each)) for each in found] == found
    assert [packing.unpack(packing.pack(each)) for each in found] == found


def test_texts_that_clients_make_up_do_not_fill_the_tables() -> None:
    packing = Packing()
    for number in range(5000):
        said = f"made/up-{number}"
        assert packing.unpack(packing.pack(manifest(number, said))).content_type == said
    assert len(packing.shapes) < 4200
    long = Packing()
    said = Media("a/b", disposition="x" * 5000)
    assert long.unpack(long.pack(manifest(1, said))).media == said
    assert [shape.said for shape in long.shapes] == [None]


@pytest.mark.parametrize("upload", ["", "a" * 31, "a" * 33, "A" * 32, "g" * 32, "a" * 34, " " + "a" * 31, "é" * 32])
def test_only_the_id_of_an_upload_is_one(upload: str) -> None:
    with pytest.raises(ValueError, match=r"upload|hexadecimal"):
        key_of(upload)


@pytest.mark.parametrize(("size", "created_ms"), [(-1, 0), (2**64, 0), (0, -1), (0, 2**48)])
def test_numbers_that_cannot_be_are_refused(size: int, created_ms: int) -> None:
    with pytest.raises(ValueError, match=r"is no time|are no size"):
        Packing().pack(Manifest("a" * 32, size, created_ms, 6, 0, 4, ()))


def test_more_nodes_and_layouts_than_there_can_be_are_refused() -> None:
    packing = Packing()
    for number in range(1, 2**16, 5):
        packing.pack(manifest(nodes=tuple(f"n{each}" for each in range(number, number + 5))))
    with pytest.raises(ValueError, match="node another is one too many"):
        packing.pack(manifest(nodes=("another",)))
    packing = Packing()
    for unit in range(2**16):
        packing.pack(Manifest("a" * 32, 1, 1, 6, 0, unit, (), "x" * 300))
    with pytest.raises(ValueError, match="too many layouts"):
        packing.pack(Manifest("a" * 32, 1, 1, 6, 0, 2**16, (), "x" * 300))


def test_what_only_one_file_says_is_not_kept_for_all() -> None:
    packing = Packing()
    for number in range(100):
        packing.pack(manifest(number, Media("a/b", etag=f"{number:032x}")))
        packing.pack(manifest(number, Media("a/b", language="de")))
    assert len(packing.shapes) == 2
