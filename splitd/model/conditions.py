"""Conditions on the version a request means (RFC 9110 section 13).  Pure."""

from __future__ import annotations

import re

import attrs

# A list may have empty elements (RFC 9110 section 5.6.1.2).
_ELEMENT = re.compile(r'[ \t]*((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")?[ \t]*(?:,|\Z)')


@attrs.frozen
class Condition:
    """What must hold of the present version.

    :param match: `If-Match`: one of these tags, or None for no condition.  ("*",) asks for any version.
    :param none_match: `If-None-Match`: none of these tags, or None.  ("*",) asks that there be no version.
    """

    match: tuple[str, ...] | None = None
    none_match: tuple[str, ...] | None = None

    def failed(self, etag: str | None) -> str:
        """Which header's condition the present version fails.

        :param etag: its entity tag; "" for a collection; None where there is nothing.
        :return: "If-Match", "If-None-Match", or "" where all holds.
        """
        if self.match is not None and not _matches(self.match, etag, strong=True):
            return "If-Match"
        if self.none_match is not None and _matches(self.none_match, etag, strong=False):
            return "If-None-Match"
        return ""


ALWAYS = Condition()


def _matches(tags: tuple[str, ...], etag: str | None, *, strong: bool) -> bool:
    if tags == ("*",):
        return etag is not None
    if not etag:
        return False
    return any((tag if strong else tag.removeprefix("W/")) == etag for tag in tags)


def parse_entity_tags(value: str) -> tuple[str, ...]:
    """Read the value of `If-Match` or `If-None-Match`.

    :raise ValueError: it is not well formed.
    """
    if value.strip() == "*":
        return ("*",)
    tags = []
    position = 0
    while position < len(value):
        match = _ELEMENT.match(value, position)
        if match is None:
            raise ValueError(f"not a list of entity tags: {value!r}")
        if match[1] is not None:
            tags.append(match[1])
        position = match.end()
    if not tags:
        raise ValueError("an empty list of entity tags")
    return tuple(tags)
