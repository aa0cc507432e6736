"""Conditions on what a request means (RFC 9110 section 13, RFC 4918 section 10.4).  Pure."""

from __future__ import annotations

import re

import attrs

from splitd.model.if_header import IfHeader

# A list may have empty elements (RFC 9110 section 5.6.1.2); bytes above ASCII have no meaning in a tag, and no error.
_ELEMENT = re.compile(r'[ \t]*((?:W/)?"[\x21\x23-\x7e\x80-\U0010ffff]*")?[ \t]*(?:,|\Z)')
_UNREADABLE = re.compile(r"[^,]*(?:,|\Z)")


@attrs.frozen
class Held:
    """The locks under which a change began that takes a while.

    They count as not expired until the change is made, unless another lock was taken in the meantime.

    :param since: `Locks.taken` when the change began.
    :param tokens: (path, token) of each lock that covered a path of the condition then, and whose token it submits.
    """

    since: int
    tokens: frozenset[tuple[str, str]]


@attrs.frozen
class Condition:
    """What must hold of what is there.

    :param match: `If-Match`: one of these tags, or None for no condition.  ("*",) asks for any version.
    :param none_match: `If-None-Match`: none of these tags, or None.  ("*",) asks that there be no version; () matches
        nothing.
    :param unmodified_since_s: `If-Unmodified-Since`, seconds since 1970, or None.
    :param modified_since_s: `If-Modified-Since`, which matters to those who read only.
    :param if_header: `If`, or None.  It submits the tokens of locks, too.
    :param collections: paths that the request's URLs name with a slash at the end: no file may be there, nor be put
        there.
    :param held: the locks under which the change began, or None.
    """

    match: tuple[str, ...] | None = None
    none_match: tuple[str, ...] | None = None
    unmodified_since_s: int | None = None
    modified_since_s: int | None = None
    if_header: IfHeader | None = None
    collections: tuple[str, ...] = ()
    held: Held | None = None

    def failed(self, etag: str | None, modified_ms: int | None = None) -> str:
        """Which header's condition the present version fails, in the order of RFC 9110 section 13.2.2.

        `If` is not among them: it may speak of other resources.

        :param etag: its entity tag; "" for a collection; None where there is nothing.
        :param modified_ms: when it was modified, milliseconds since 1970; None where there is nothing.
        :return: "If-Match", "If-Unmodified-Since", "If-None-Match", or "" where all holds.
        """
        if self.match is not None and not _matches(self.match, etag, strong=True):
            return "If-Match"
        # A tag says more than a time: where both are given, the time does not count.
        if self.match is None and self._is_modified_since(self.unmodified_since_s, modified_ms):
            return "If-Unmodified-Since"
        if self.none_match is not None and _matches(self.none_match, etag, strong=False):
            return "If-None-Match"
        return ""

    @staticmethod
    def _is_modified_since(since_s: int | None, modified_ms: int | None) -> bool:
        return since_s is not None and modified_ms is not None and modified_ms // 1000 > since_s

    def is_modified(self, modified_ms: int) -> bool:
        """Whether one who has what was there at `If-Modified-Since` needs what is there now."""
        by_time = self.none_match is None and self.modified_since_s is not None
        return not by_time or self._is_modified_since(self.modified_since_s, modified_ms)

    def tokens(self) -> frozenset[str]:
        """The tokens of locks that are submitted."""
        return frozenset() if self.if_header is None else self.if_header.tokens()

    def paths(self) -> set[str]:
        """The paths that it is about, besides the request's own."""
        return set() if self.if_header is None else self.if_header.paths()


ALWAYS = Condition()


def _matches(tags: tuple[str, ...], etag: str | None, *, strong: bool) -> bool:
    if tags == ("*",):
        return etag is not None
    if not etag:
        return False
    return any((tag if strong else tag.removeprefix("W/")) == etag for tag in tags)


def parse_entity_tags(value: str) -> tuple[str, ...]:
    """Read the value of `If-Match`.

    :raise ValueError: the value is not well formed.
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


def parse_none_match(value: str) -> tuple[str, ...]:
    """Read the value of `If-None-Match`, of which an element that cannot be read matches nothing.

    Some programs send tags without quotes, or send the header with every request.  Such a tag is none of ours, so the
    condition holds; an error would keep these programs from writing at all.

    :return: the tags that can be read, maybe none; ("*",) where one of the elements is `*`.
    """
    tags: list[str] = []
    position = 0
    while position < len(value):
        match = _ELEMENT.match(value, position)
        if match is None:
            match = _UNREADABLE.match(value, position)
            assert match is not None  # it matches any text
            if match[0].rstrip(",").strip() == "*":
                return ("*",)
        elif match[1] is not None:
            tags.append(match[1])
        position = match.end()
    return tuple(tags)
