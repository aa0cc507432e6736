"""HTTP's ranges compared with an oracle that counts bytes one by one."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from storaged.system.ranges import (
    Span,
    Unsatisfiable,
    format_content_range,
    format_range,
    format_unsatisfied_range,
    parse_content_range,
    parse_range,
)

sizes = st.integers(0, 12)
numbers = st.integers(0, 15)


def bytes_asked_for(first: int | None, last: int | None, size: int) -> list[int]:
    """RFC 9110 section 14.1.2, byte by byte."""
    everything = list(range(size))
    if first is None:
        return everything[-last:] if last else []
    return [position for position in everything if position >= first and (last is None or position <= last)]


@given(st.none() | numbers, st.none() | numbers, sizes)
def test_a_range_is_the_bytes_it_says(first: int | None, last: int | None, size: int) -> None:
    value = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    if (first is None and last is None) or (first is not None and last is not None and last < first):
        assert parse_range(value, size) is None
        return
    asked_for = bytes_asked_for(first, last, size)
    if asked_for:
        span = parse_range(value, size)
        assert span is not None
        assert list(range(span.start, span.stop)) == asked_for
    else:
        with pytest.raises(Unsatisfiable):
            parse_range(value, size)


@pytest.mark.parametrize(
    "value",
    [
        *("", "bytes", "bytes=", "bytes=-", "bytes=1", "bytes=a-b", "bytes=0-1,3-4", "bytes=--1", "bytes=1--2"),
        *("lines=0-1", "bytes=5-4", "bytes=0x1-2", "bytes=+1-2", "bytes=1_0-11", "bytes=1 -2"),
        "bytes=\N{ARABIC-INDIC DIGIT ZERO}-\N{ARABIC-INDIC DIGIT ONE}",
        "bytes=0-" + "9" * 5000,
    ],
)
def test_what_is_not_one_well_formed_range_is_ignored(value: str) -> None:
    assert parse_range(value, 100) is None


@pytest.mark.parametrize("value", ["bytes=0-1", "BYTES=0-1", "Bytes = 0-1 "])
def test_the_unit_is_not_case_sensitive(value: str) -> None:
    assert parse_range(value, 100) == Span(0, 2)


@given(st.text())
@example("bytes=0-" + "9" * 20)
def test_any_text_is_a_range_or_ignored_or_unsatisfiable(value: str) -> None:
    try:
        span = parse_range(value, 10)
    except Unsatisfiable:
        return
    assert span is None or 0 <= span.start < span.stop <= 10


@given(st.integers(0, 2**62), st.integers(1, 2**61), st.integers(0, 2**61))
def test_a_range_is_read_as_it_was_written(start: int, length: int, rest: int) -> None:
    span = Span(start, start + length)
    size = span.stop + rest
    assert len(span) == length
    assert parse_range(format_range(span), size) == span
    assert parse_content_range(format_content_range(span, size)) == (span, size)


def test_headers_are_those_of_the_standard() -> None:
    # The examples of RFC 9110, sections 14.1.2 and 14.4.
    assert format_range(Span(0, 500)) == "bytes=0-499"
    assert parse_range("bytes=-500", 10_000) == parse_range("bytes=9500-", 10_000) == Span(9500, 10_000)
    assert format_content_range(Span(42, 1234), 1234) == "bytes 42-1233/1234"
    assert format_unsatisfied_range(1234) == "bytes */1234"


@pytest.mark.parametrize("span", [Span(0, 0), Span(5, 5), Span(5, 4)])
def test_an_empty_range_cannot_be_said(span: Span) -> None:
    with pytest.raises(ValueError, match="empty"):
        format_range(span)
    with pytest.raises(ValueError, match="empty"):
        format_content_range(span, 10)


@pytest.mark.parametrize(
    "value",
    [
        *("", "bytes", "bytes */10", "bytes 0-1/*", "bytes 0-1", "bytes 2-1/10", "bytes 0-10/10", "bytes=0-1/2"),
        *("0-1/2", "bytes 0-1/2 3", "bytes 0-\N{ARABIC-INDIC DIGIT ONE}/2", "bytes 0-1/" + "9" * 5000),
    ],
)
def test_a_content_range_that_is_malformed_or_contradicts_itself_is_refused(value: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the message is not always ours: int() refuses huge numbers itself
        parse_content_range(value)
