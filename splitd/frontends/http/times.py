"""Times as HTTP writes them (RFC 9110 section 5.6.7)."""

from __future__ import annotations

from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache


def parse_time(value: str | None) -> int | None:
    """Read a time of HTTP (RFC 9110 section 5.6.7): seconds since 1970, or None where it is none."""
    if value is None or not value.isascii():
        return None
    try:
        parsed = parsedate_to_datetime(value)
        # A form without a zone is in UTC, not in ours.
        return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


def format_time(time_ms: int) -> str:
    """A time as HTTP writes it (RFC 9110 section 5.6.7)."""
    return _format_seconds(time_ms // 1000)


@lru_cache(4096)
def _format_seconds(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)
