"""Which texts are paths of the tree, and where they lie."""

from __future__ import annotations

import tracemalloc
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitd.errors import (
    BadName,
)
from splitd.model.path_faults import catalog_fault_of, fault_of
from splitd.model.tree import basename, check_path, parent


@pytest.mark.parametrize(
    "path",
    ["/", "/a", "/a/b", "/a b/ü/\U0001f600", "/...", "/.a", "/a..", "/" + "a" * 255, "/" + "ü" * 127, "/%2e", "/a\\b"],
)
def test_a_path_is_taken(path: str) -> None:
    check_path(path)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "does not begin with a slash"),
        ("a", "does not begin with a slash"),
        ("a/b", "does not begin with a slash"),
        ("//", "an empty segment"),
        ("/a/", "a slash at the end"),
        ("/a//b", "an empty segment"),
        ("/.", 'a segment that is "."'),
        ("/a/../b", 'a segment that is ".."'),
        ("/a\0", r"the control character U\+0000 at character 2"),
        ("/a\nb", r"the control character U\+000A at character 2"),
        ("/\x1f", r"the control character U\+001F"),
        ("/\x7f", r"the control character U\+007F"),
        ("/a\ud800", "a lone surrogate at character 2"),
        ("/" + "a" * 256, "a segment of 256 bytes, 255 are allowed"),
        ("/" + "ü" * 128, "a segment of 256 bytes, 255 are allowed"),
    ],
)
def test_what_is_not_a_path_is_refused_with_the_reason(path: str, reason: str) -> None:
    with pytest.raises(BadName, match=reason):
        check_path(path)


@given(st.text("/.a ~é\x00\x1f\x7f", max_size=8))
def test_a_path_is_taken_if_it_follows_the_rules(path: str) -> None:
    segments = path.split("/")
    rules = segments[0] == "" and not any(each in {"", ".", ".."} for each in segments[1:])
    taken = path == "/" or ("/" in path and rules and not set(path) & set("\x00\x1f\x7f"))
    with nullcontext() if taken else pytest.raises(BadName):
        check_path(path)


def test_a_path_may_have_4096_bytes_and_not_one_more() -> None:
    path = ("/" + "a" * 127) * 32
    check_path(path)
    with pytest.raises(BadName, match="4097 bytes, 4096 are allowed"):
        check_path(path + "a")


@pytest.mark.parametrize(
    ("path", "folder", "name"), [("/", "/", ""), ("/a", "/", "a"), ("/a/b", "/a", "b"), ("/a/b/c", "/a/b", "c")]
)
def test_a_path_lies_in_its_parent_under_its_name(path: str, folder: str, name: str) -> None:
    assert (parent(path), basename(path)) == (folder, name)


def test_paths_that_nobody_can_have_are_not_kept_in_memory() -> None:
    """Who asks for paths chooses how long they are."""
    tracemalloc.start()
    try:
        for number in range(200):
            path = f"/{number}" + "a" * 50_000
            assert fault_of(path)
            assert catalog_fault_of(path)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000
