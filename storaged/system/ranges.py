"""Byte ranges.  In the program a span is half open, `[start, stop)`; only this module knows HTTP's inclusive ends.

Pure.  Source: RFC 9110 section 14.
"""

from __future__ import annotations

import re

import attrs

_BYTES_RANGE = re.compile(r"\A([0-9]*)-([0-9]*)\Z")
_CONTENT_RANGE = re.compile(r"\Abytes ([0-9]+)-([0-9]+)/([0-9]+)\Z")
_SMALL_GAP = 80  # the headers between two parts of a multipart answer take more
_MAX_DIGITS = 19  # enough for 2**63; no file is larger, and long numbers take time to parse


@attrs.frozen
class Span:
    """The bytes from `start` up to, but not including, `stop`."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


class Unsatisfiable(ValueError):
    """The range is well formed, but lies outside the file (HTTP 416)."""


def parse_range(value: str, size: int) -> Span | None:
    """Read a `Range` header that asks for one range.

    :param value: the header's value.
    :param size: the size of the file in bytes.
    :return: the requested span, cut to `size`; or None if the header is to be ignored and the whole sent, because its
        unit is not bytes, it has several ranges, or it is not well formed (RFC 9110 section 14.2).
    :raise Unsatisfiable: the range is well formed, but no byte of it exists.
    """
    spans = parse_ranges(value, size, most=1)
    return None if spans is None else spans[0]


def parse_ranges(value: str, size: int, most: int) -> list[Span] | None:
    """Read a `Range` header.

    :param size: the size of the file in bytes.
    :param most: the most ranges that are accepted.
    :return: the requested spans, cut to `size`, in their order; or None if the header is to be ignored.  If some spans
        touch each other, or nearly so, they are joined, and all spans are in ascending order.
    :raise Unsatisfiable: all ranges are well formed, but no byte of them exists.
    """
    unit, _, ranges = value.partition("=")
    specs = ranges.split(",", most)
    if unit.strip().lower() != "bytes" or len(specs) > most:
        return None
    spans = []
    for spec in specs:
        match = _BYTES_RANGE.match(spec.strip())
        if match is None:
            return None
        try:
            spans.append(_read_range(match[1], match[2], size))
        except Unsatisfiable:
            continue
    if not spans:
        raise Unsatisfiable(f"bytes {value!r} of {size}")
    return None if None in spans else _join([span for span in spans if span is not None])


def _read_range(first: str, last: str, size: int) -> Span | None:
    if len(first) > _MAX_DIGITS or len(last) > _MAX_DIGITS:
        return None
    if not first:
        if not last:
            return None
        suffix = int(last)
        if suffix == 0 or size == 0:
            raise Unsatisfiable
        return Span(max(0, size - suffix), size)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return Span(start, min(size, int(last) + 1) if last else size)


def _join(spans: list[Span]) -> list[Span]:
    joined: list[Span] = []
    for span in sorted(spans, key=lambda each: each.start):
        if joined and span.start <= joined[-1].stop + _SMALL_GAP:
            joined[-1] = Span(joined[-1].start, max(joined[-1].stop, span.stop))
        else:
            joined.append(span)
    return joined if len(joined) < len(spans) else spans


def format_range(span: Span) -> str:
    """Format the `Range` header that requests a span, which must not be empty."""
    _refuse_empty(span)
    return f"bytes={span.start}-{span.stop - 1}"


def format_content_range(span: Span, size: int) -> str:
    """Format the `Content-Range` header of an answer that carries a span, which must not be empty."""
    _refuse_empty(span)
    return f"bytes {span.start}-{span.stop - 1}/{size}"


def format_unsatisfied_range(size: int) -> str:
    """Format the `Content-Range` header of a 416 answer."""
    return f"bytes */{size}"


def parse_content_range(value: str) -> tuple[Span, int]:
    """Read a `Content-Range` header.

    :return: the span, and the size of the whole.
    :raise ValueError: the header is not well formed, or its numbers contradict each other.
    """
    match = _CONTENT_RANGE.match(value.strip())
    if match is None:
        raise ValueError(f"not a Content-Range: {value!r}")
    first, last, size = (int(number) for number in match.groups())
    if not first <= last < size:
        raise ValueError(f"a Content-Range that contradicts itself: {value!r}")
    return Span(first, last + 1), size


def _refuse_empty(span: Span) -> None:
    if span.stop <= span.start:
        raise ValueError(f"HTTP has no way to say an empty range: {span}")
