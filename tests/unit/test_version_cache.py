from __future__ import annotations

from splitd.downloads.cache import VersionCache


def test_what_was_kept_is_found() -> None:
    cache = VersionCache(1000)
    cache.keep("a", b"abc")
    assert (cache.get("a"), cache.get("b")) == (b"abc", None)
    assert (cache.size, cache.hits, cache.misses) == (3, 1, 1)


def test_it_never_holds_more_than_its_limit_and_drops_what_was_asked_for_longest_ago() -> None:
    cache = VersionCache(1000)
    for name in "abcdefgh":
        cache.keep(name, bytes(125))
    cache.get("a")
    cache.keep("i", bytes(100))
    assert cache.size == 975
    assert [name for name in "abcdefghi" if cache.get(name) is not None] == list("acdefghi")


def test_a_large_file_and_one_that_is_there_are_not_kept() -> None:
    cache = VersionCache(1000)
    cache.keep("large", bytes(126))
    cache.keep("a", b"abc")
    cache.keep("a", b"abc")
    assert (cache.get("large"), cache.size) == (None, 3)


def test_without_memory_nothing_is_kept() -> None:
    cache = VersionCache(0)
    cache.keep("a", b"a")
    assert (cache.get("a"), cache.size) == (None, 0)
