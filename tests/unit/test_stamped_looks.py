"""What is kept of look-ups is bounded."""

from __future__ import annotations

import msgspec

from splitd.catalog.stamped import StampedLooks
from splitd.model.segments import SIZE
from splitd.model.tree import Collection
from tests.catalogs import A, manifest

SEGMENTED = msgspec.structs.replace(manifest(A), packed_segments=bytes(10 * SIZE))


def test_the_oldest_look_ups_are_dropped() -> None:
    looks: StampedLooks[str, int] = StampedLooks(2)
    for stamp, path in enumerate(["/a", "/b", "/a", "/c"]):
        looks.keep(path, stamp, None)
    assert [looks.find(path) for path in ("/a", "/b", "/c")] == [(2, None), None, (3, None)]


def test_files_of_many_segments_take_no_more_memory_than_is_allowed() -> None:
    looks: StampedLooks[str, int] = StampedLooks(most_bytes=25 * SIZE)
    looks.keep("/other", 0, manifest(A))
    for number in range(100):
        looks.keep(f"/{number}", 0, SEGMENTED if number % 2 else Collection(0, 0, own=SEGMENTED))
        looks.keep(f"/{number}", 1, SEGMENTED)
    assert len(looks) == 2
    assert looks.find("/99") == (1, SEGMENTED)


def test_a_look_up_that_is_too_large_is_not_kept() -> None:
    looks: StampedLooks[str, int] = StampedLooks(most_bytes=SIZE)
    looks.keep("/a", 0, SEGMENTED)
    assert looks.find("/a") is None
    looks.keep("/a", 0, manifest(A))
    assert looks.find("/a") == (0, manifest(A))
