"""The escape by which WebDAV shows names that it cannot say."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitd.errors import BadName
from splitd.frontends.http.names import MARK, read_name, read_path, show_name, show_path
from splitd.model.path_faults import fault_of

SHOWN = [
    ("a", "a"),
    ("a b.c", "a b.c"),
    ("...", "..."),
    (".a", ".a"),
    ("\u2400", "\u2400"),
    ("a/", "a␦"),
    ("/", "␦"),
    (".", "␦."),
    ("..", "␦.."),
    ("./", "␦.␦"),
    ("../", "␦..␦"),
    ("\0", "␦␀"),
    ("a\x1fb\x7f", "a␦␟b␦␡"),
    ("a\n/", "a␦␊␦"),
    ("␦", "␦␦"),
    ("␦.", "␦␦."),
    ("␦/", "␦␦␦"),
    ("␦␀", "␦␦␀"),
    ("␦␦", "␦␦␦␦"),
]
names = st.text(st.sampled_from(f"a.\0\n\x1f\x7f{MARK}\u2400\u240a\u2421é"), min_size=1, max_size=6)
entry_names = st.builds("{}{}".format, names, st.sampled_from(["", "/"])) | st.just("/")
paths = st.builds(
    lambda folders, last: "/" + "".join(f"{each}/" for each in folders) + last,
    st.lists(names | st.just("")),
    entry_names,
)


@pytest.mark.parametrize(("name", "shown"), SHOWN)
def test_a_name_is_shown_so(name: str, shown: str) -> None:
    assert show_name(name) == shown
    assert read_name(shown) == name


@given(entry_names)
def test_each_name_is_shown_as_one_that_webdav_can_say(name: str) -> None:
    shown = show_name(name)
    assert read_name(shown) == name
    assert fault_of(f"/{shown}") == ""


@given(names)
def test_what_is_read_is_what_is_shown(shown: str) -> None:
    try:
        name = read_name(shown)
    except BadName:
        return
    if fault_of(f"/{shown}") == "":
        assert show_name(name) == shown


@given(paths)
def test_each_path_is_shown_as_one_that_webdav_can_say(path: str) -> None:
    shown = show_path(path)
    assert read_path(shown) == path
    assert fault_of(shown) == ""


@pytest.mark.parametrize("shown", ["␦a", "a␦b", "␦ ", "␦..." + "a", "␦.␦a", "a␦␦␦b", "␦\u2420"])
def test_an_escape_that_is_none_is_refused(shown: str) -> None:
    with pytest.raises(BadName, match=re.escape("is not an escape")):
        read_name(shown)
