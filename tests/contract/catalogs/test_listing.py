"""Pages of keys: the same from each kind of catalog, and of each key what is found there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import msgspec
import pytest_twisted
from twisted.internet.defer import gatherResults

from splitd.interfaces.keys import KeyCopy, Listing
from splitd.model.conditions import ALWAYS
from splitd.model.keys import Key, Wanted
from splitd.model.media import NO_BYTES, Labels, Media
from splitd.model.tree import Collection
from tests.catalogs import AS_KEY, A, B, manifest
from tests.contract.catalogs.front import Front
from tests.unit.test_keys import naive

FEW = ["-", "-/", *(f"a/{number:02}/{letter}" for number in range(12) for letter in "xy")]
UNEVEN = [f"b/{number:02}/{each:02}" for number in range(9) for each in range(5 * number % 23 + 1)]
DEEP = ["c/" * 40, "c/" * 20 + "a", "c/d/", "c/d/e/f", "c/d-", "d", "d/" + "\U0010ffff", "d\U0010ffff", "é/é", "é0"]
KEYS = sorted([*FEW, *UNEVEN, *DEEP])
DELIMITERS = ("", "/", "0", "/0", "\U0010ffff")
PREFIXES = ("", "a/", "b/0", "c/", "c/d", "d", "e")
HIDDEN = frozenset({"/x/a/03", "/x/b/01", "/x/b/08/01", "/x/c/d", "/x/d"})


async def filled(front: Front, keys: Sequence[str]) -> None:
    await front.catalog.make_collection("/x")
    await gatherResults([front.put_key(f"/x/{key}", f"{number:032x}") for number, key in enumerate(keys)])


@pytest_twisted.ensureDeferred
async def test_pages_are_those_of_a_sorted_dict(front: Front) -> None:
    await filled(front, KEYS)
    for delimiter, prefix, limit, hidden in product(DELIMITERS, PREFIXES, (1, 30, 1000), (frozenset(), HIDDEN)):
        after: str | None = ""
        while after is not None:
            page = await front.keys.list_keys("/x", prefix, after, delimiter, limit, hidden)
            expected = naive(KEYS, Wanted("/x", prefix, after, delimiter, limit, hidden))
            assert ([each.key for each in page.keys], list(page.prefixes), page.next) == expected
            after = page.next if limit > 1 else None


async def told(front: Front, key: str) -> Key:
    """What a list is to show of a key."""
    found = await front.keys.find_key(f"/x/{key}")
    assert found is not None
    if isinstance(found, Collection):
        return Key(key, "", 0, found.created_ms, NO_BYTES)
    return Key(key, found.upload, found.size, found.created_ms, found.said)


@pytest_twisted.ensureDeferred
async def test_a_list_shows_of_each_key_what_is_found_there(front: Front) -> None:
    """Of files and of their copies with other labels, and of collections that are files themselves, or only made."""
    await filled(front, ["a", "a/", "b/c/d", "e"])
    await front.catalog.make_collection("/x/f")
    await front.begin(A, "/x/g", ())
    await front.commit("/x/g", manifest(A, size=0, nodes=()), AS_KEY)
    await front.begin(B, "/x/h")
    media = Media("text/plain", etag="0" * 32, checksum="CRC32:AAAAAA==", metadata=(("m", "é"),))
    await front.commit("/x/h", msgspec.structs.replace(manifest(B), said=media), AS_KEY)
    front.clock.advance(5.0)
    for source, target in (("a/", "b/"), ("f/", "i"), ("g", "j"), ("h", "k/l"), ("h", "h")):
        labels = Labels(Media("image/png"), tags=(("t", target),))
        await front.keys.copy_key(KeyCopy(f"/x/{source}", f"/x/{target}", labels))
    for again in (front, await front.reopen()):
        listing: Listing = await again.keys.list_keys("/x", "", "", "", 99)
        keys = ["a", "a/", "b/", "b/c/d", "e", "f/", "g", "h", "i", "j", "k/l"]
        assert list(listing.keys) == [await told(again, key) for key in keys]
    await again.keys.delete_key("/x/f/", ALWAYS)
    assert [each.key for each in (await again.keys.list_keys("/x", "f", "", "", 9)).keys] == []
