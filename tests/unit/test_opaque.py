"""Header values that are kept exactly as they came."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitd.frontends.http.opaque import decode_opaque, encode_opaque, readable

values = st.one_of(st.binary(), st.text(st.characters(min_codepoint=0xEF00)).map(str.encode))


@given(values)
def test_every_value_is_answered_with_the_bytes_that_came(value: bytes) -> None:
    kept = decode_opaque(value.decode("utf-8", "surrogateescape"))
    assert encode_opaque(kept.encode().decode()) == value


@pytest.mark.parametrize("text", ["text/plain", "é€𝄞"])
def test_utf8_is_kept_as_its_characters(text: str) -> None:
    assert decode_opaque(text) == readable(text) == text
    assert encode_opaque(text) == text.encode()


def test_other_bytes_are_shown_as_latin_1() -> None:
    kept = decode_opaque(b"caf\xe9".decode("utf-8", "surrogateescape"))
    assert readable(kept) == "café"


@given(values)
def test_what_is_shown_can_stand_in_xml(value: bytes) -> None:
    shown = readable(decode_opaque(value.decode("utf-8", "surrogateescape")))
    assert not any(each in "\ufffe\uffff" or "\ud800" <= each <= "\udfff" for each in shown)
