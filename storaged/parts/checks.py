"""Checks of arguments, with the same errors in every part store."""

from __future__ import annotations

from storaged.parts.errors import BadRequest, BadSpan
from storaged.parts.format import SMALL_PART, PartId, parse_part_id
from storaged.parts.wire import LIST_LIMIT
from storaged.system.ranges import Span


def check_part_id(text: str) -> PartId:
    """Read a part id.

    :raise BadRequest: the text is not a part id.
    """
    try:
        return parse_part_id(text)
    except ValueError as problem:
        raise BadRequest(str(problem)) from problem


def check_span(part_id: str, span: Span | None, stored_size: int) -> Span:
    """Return the span to read of a part of `stored_size` bytes; the whole part if `span` is None.

    :raise BadSpan: the span is empty or does not lie inside the part.
    """
    if span is None:
        return Span(0, stored_size)
    if not 0 <= span.start < span.stop <= stored_size:
        raise BadSpan(f"part {part_id}: bytes {span.start} to {span.stop} of {stored_size}")
    return span


def check_small(part_id: str, stored_size: int) -> None:
    """Refuse a part that is not small.

    :raise BadRequest: the part takes more than `SMALL_PART` bytes.
    """
    if stored_size > SMALL_PART:
        raise BadRequest(f"part {part_id}: {stored_size} bytes, a small part has at most {SMALL_PART}")


def check_limit(limit: int) -> None:
    """Refuse a page of parts that is too long or empty.

    :raise BadRequest: `limit` is not in 1 to 10,000.
    """
    if not 1 <= limit <= LIST_LIMIT:
        raise BadRequest(f"a list of {limit} parts: must be 1 to {LIST_LIMIT}")
