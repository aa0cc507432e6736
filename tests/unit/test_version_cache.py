from __future__ import annotations

import tracemalloc

import pytest

from splitd.downloads.cache import VersionCache, entry_size


def test_what_was_kept_is_found() -> None:
    cache = VersionCache(10_000)
    cache.keep("a", b"abc")
    assert (cache.get("a"), cache.get("b")) == (b"abc", None)
    assert (cache.size, cache.hits, cache.misses) == (entry_size(b"abc"), 1, 1)


def test_it_never_holds_more_than_its_limit_and_evicts_the_least_recently_used() -> None:
    cache = VersionCache(8 * entry_size(bytes(125)))
    for name in "abcdefgh":
        cache.keep(name, bytes(125))
    cache.get("a")
    cache.keep("i", bytes(100))
    assert cache.size == 7 * entry_size(bytes(125)) + entry_size(bytes(100))
    assert [name for name in "abcdefghi" if cache.get(name) is not None] == list("acdefghi")


def test_a_large_file_and_one_that_is_there_are_not_kept() -> None:
    cache = VersionCache(8 * entry_size(bytes(125)))
    cache.keep("large", bytes(126))
    cache.keep("a", b"abc")
    cache.keep("a", b"abc")
    assert (cache.get("large"), cache.size) == (None, entry_size(b"abc"))


def test_without_memory_nothing_is_kept() -> None:
    cache = VersionCache(0)
    cache.keep("a", b"a")
    assert (cache.get("a"), cache.size) == (None, 0)


@pytest.mark.parametrize("size", [6, 1000])
def test_its_limit_counts_all_the_memory_that_it_takes(size: int) -> None:
    # Enough files for the tables to grow several times, then as many again, which evict the first ones.
    limit = 10_000 * entry_size(bytes(size))
    most = 0
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        cache = VersionCache(limit)
        for number in range(22_000):
            cache.keep(f"{number:032x}", number.to_bytes(8, "big")[-size:].rjust(size))
            now, _ = tracemalloc.get_traced_memory()
            most = max(most, now - before - cache.size)
            if number == 8_000:
                assert now - before > cache.size / 2  # it does not count far too much either
    finally:
        tracemalloc.stop()
    assert cache.size > limit * 0.99
    # While a table grows, the old one is there for a moment too; nothing else is beside what is counted.
    assert most < limit // 50
