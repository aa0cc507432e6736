from __future__ import annotations

import msgspec
import pytest

from splitd.model.manifest import Manifest
from splitd.model.striping import Layout
from storaged.parts.format import PartId

UPLOAD = "9f2c41d07be85a63ff0149c2d87e5b10"
MANIFEST = Manifest(UPLOAD, 20, 1767225600000, 6, 2, 4, tuple("abcdefgh"), "text/plain")


def test_it_knows_its_layout() -> None:
    assert MANIFEST.layout == Layout(6, 2, 4)


def test_its_entity_tag_is_strong_and_its_own() -> None:
    assert MANIFEST.etag == f'"{UPLOAD}"'


def test_its_parts_have_the_sizes_that_the_layout_gives_them() -> None:
    assert [MANIFEST.part_size(index) for index in range(8)] == [4, 4, 3, 3, 3, 3, 4, 4]


def test_its_holdings_name_every_part_with_its_node() -> None:
    assert MANIFEST.part(3) == PartId(UPLOAD, 3)
    assert MANIFEST.holdings() == [(node, f"{UPLOAD}.{index}") for index, node in enumerate("abcdefgh")]


def test_a_part_that_is_stored_nowhere_is_missing_and_held_by_nobody() -> None:
    hurt = msgspec.structs.replace(MANIFEST, nodes=("a", "", *"cdefg", ""))
    assert (hurt.missing, hurt.spare) == ([1, 7], 0)
    assert [node for node, _ in hurt.holdings()] == list("acdefg")
    assert (MANIFEST.missing, MANIFEST.spare) == ([], 2)
    assert msgspec.structs.replace(MANIFEST, nodes=("",) * 8).spare == -6


def test_an_empty_file_holds_nothing() -> None:
    assert Manifest(UPLOAD, 0, 1, 6, 0, 4, ()).holdings() == []


def test_it_is_the_same_after_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(MANIFEST), type=Manifest) == MANIFEST


def test_a_key_that_it_does_not_know_is_refused() -> None:
    text = msgspec.json.encode(MANIFEST).replace(b'"size"', b'"site"')
    with pytest.raises(msgspec.ValidationError, match="site"):
        msgspec.json.decode(text, type=Manifest)


def test_it_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        MANIFEST.size = 3  # type: ignore[misc]
