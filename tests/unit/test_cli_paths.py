from __future__ import annotations

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitd.cli.paths import clean_path, join_path, printable, quote_path
from storaged.system.sizes import format_size


@pytest.mark.parametrize(
    ("path", "quoted"),
    [
        ("/a b", "/a%20b"),
        ("/a#b?c%d", "/a%23b%3Fc%25d"),
        ("/ü/€", "/%C3%BC/%E2%82%AC"),
        ("/\udcff", "/%FF"),
        ("a/", "/a"),
        ("", "/"),
        ("/a+b&c=d;e:f@g", "/a%2Bb%26c%3Dd%3Be%3Af%40g"),
    ],
)
def test_a_path_is_quoted_for_a_url(path: str, quoted: str) -> None:
    assert quote_path(path) == quoted


@given(st.lists(st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1)))
def test_a_quoted_path_is_printable_ascii_and_means_the_same(names: list[str]) -> None:
    path = "/" + "/".join(names)
    quoted = quote_path(path)
    assert quoted.isascii()
    assert quoted.isprintable()
    assert " " not in quoted
    assert unquote_to_bytes(quoted) == path.encode()


@pytest.mark.parametrize(("path", "clean"), [("a", "/a"), ("/a/b/", "/a/b"), ("/", "/"), ("", "/")])
def test_a_path_has_one_slash_in_front_and_none_at_the_end(path: str, clean: str) -> None:
    assert clean_path(path) == clean


def test_a_name_is_joined_to_a_collection() -> None:
    assert join_path("/", "a") == "/a"
    assert join_path("/x/", "a") == "/x/a"


def test_what_would_steer_a_terminal_is_not_printed() -> None:
    assert printable("a\x1b[31m\nü\udcff") == "a?[31m?ü?"


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (10 * 2**30, "10.0 GiB"), (2**50, "1024.0 TiB")]
)
def test_a_size_for_a_person(size: int, text: str) -> None:
    assert format_size(size) == text
