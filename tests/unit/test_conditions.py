from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitd.model.conditions import ALWAYS, Condition, parse_entity_tags, parse_none_match

ETAG = '"9f2c"'
OTHER = '"0c4e"'


@pytest.mark.parametrize("etag", [ETAG, "", None])
def test_no_condition_always_holds(etag: str | None) -> None:
    assert ALWAYS.failed(etag) == ""


@pytest.mark.parametrize(
    ("tags", "etag", "holds"),
    [
        ((ETAG,), ETAG, True),
        ((OTHER, ETAG), ETAG, True),
        ((OTHER,), ETAG, False),
        (("W/" + ETAG,), ETAG, False),  # If-Match compares strongly (RFC 9110 section 13.1.1)
        ((ETAG,), None, False),
        ((ETAG,), "", False),
        (("*",), ETAG, True),
        (("*",), "", True),
        (("*",), None, False),
    ],
)
def test_if_match(tags: tuple[str, ...], etag: str | None, holds: bool) -> None:
    assert Condition(match=tags).failed(etag) == ("" if holds else "If-Match")


@pytest.mark.parametrize(
    ("tags", "etag", "holds"),
    [
        ((ETAG,), ETAG, False),
        ((OTHER, ETAG), ETAG, False),
        ((OTHER,), ETAG, True),
        (("W/" + ETAG,), ETAG, False),  # If-None-Match compares weakly (RFC 9110 section 13.1.2)
        ((ETAG,), None, True),
        ((ETAG,), "", True),
        (("*",), ETAG, False),
        (("*",), "", False),
        (("*",), None, True),
    ],
)
def test_if_none_match(tags: tuple[str, ...], etag: str | None, holds: bool) -> None:
    assert Condition(none_match=tags).failed(etag) == ("" if holds else "If-None-Match")


def test_if_match_is_judged_first() -> None:
    assert Condition(match=(OTHER,), none_match=(ETAG,)).failed(ETAG) == "If-Match"


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        ("*", ("*",)),
        (" * ", ("*",)),
        ('"a"', ('"a"',)),
        ('"a", W/"b" ,"c"', ('"a"', 'W/"b"', '"c"')),
        ('"a,b"', ('"a,b"',)),
        ('""', ('""',)),
        ('"*"', ('"*"',)),
        (', "a",, "b",', ('"a"', '"b"')),
    ],
)
def test_entity_tags_are_read(value: str, tags: tuple[str, ...]) -> None:
    assert parse_entity_tags(value) == tags


@pytest.mark.parametrize("value", ["", " ", ",", "a", '"a', '"a" "b"', 'w/"a"', '*, "a"', '"a\x00"', '"a"b'])
def test_what_is_not_a_list_of_entity_tags_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="entity tags"):
        parse_entity_tags(value)


tags = st.builds(
    '{}"{}"'.format,
    st.sampled_from(["", "W/"]),
    st.text(
        st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters='"\x7f', exclude_categories=["Cc"])
    ),
)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("word", ()),
        ("", ()),
        (",", ()),
        ('"a" "b"', ()),
        ('word, "a"', ('"a"',)),
        ('"a", "b', ('"a"',)),
        ('"a", word,, W/"b"', ('"a"', 'W/"b"')),
        (" * ", ("*",)),
        ("*, *", ("*",)),
        ('"a", *', ("*",)),
        ("**", ()),
        ("\udcff", ()),
        ('"\udcff"', ('"\udcff"',)),
    ],
)
def test_what_cannot_be_read_in_if_none_match_matches_nothing(value: str, found: tuple[str, ...]) -> None:
    assert parse_none_match(value) == found
    if found != ("*",):
        assert Condition(none_match=found).failed(ETAG) == ""


@given(st.text())
def test_every_if_none_match_can_be_read(value: str) -> None:
    assert all(tag == "*" or tag.endswith('"') for tag in parse_none_match(value))


@given(st.lists(tags, min_size=1), st.sampled_from([",", ", ", " ,\t", ",,"]))
def test_both_headers_read_well_formed_tags_alike(found: list[str], comma: str) -> None:
    assert parse_none_match(comma.join(found)) == parse_entity_tags(comma.join(found))


@given(st.lists(tags, min_size=1), st.sampled_from([",", ", ", " ,\t", ",,"]))
def test_tags_joined_are_read_back(found: list[str], comma: str) -> None:
    assert parse_entity_tags(comma.join(found)) == tuple(found)
