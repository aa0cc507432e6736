"""Reads and writes times in HTTP's format (RFC 9110 section 5.6.7)."""

from __future__ import annotations

from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache

_LONGEST = 100
"""Characters; the forms that HTTP has are shorter than 40."""


def parse_time(value: str | None) -> int | None:
    """Return a time of HTTP as seconds since 1970; None if the header is missing or is not a time."""
    if value is None or len(value) > _LONGEST or not value.isascii():
        return None
    try:
        parsed = parsedate_to_datetime(value)
        # A form without a zone is in UTC, not in this machine's zone.
        return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


def format_time(time_ms: int) -> str:
    """Return a time in HTTP's format.

    :param time_ms: milliseconds since 1970.
    """
    return _format_seconds(time_ms // 1000)


@lru_cache(4096)
def _format_seconds(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)
