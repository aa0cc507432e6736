"""The preconditions of requests (RFC 9110 section 13, RFC 4918 section 10.4).  Pure."""

from __future__ import annotations

import re

import attrs

from splitd.model.if_header import IfHeader

# A list may have empty elements (RFC 9110 section 5.6.1.2).  Bytes above ASCII are allowed in a tag, without a meaning.
# Possessive: else a long run of spaces that no comma follows would be tried in all ways to divide it.
_ELEMENT = re.compile(r'[ \t]*+((?:W/)?"[\x21\x23-\x7e\x80-\U0010ffff]*+")?[ \t]*+(?:,|\Z)')
_UNREADABLE = re.compile(r"[^,]*(?:,|\Z)")


@attrs.frozen
class Held:
    """The locks that permitted a long change when it began.

    They count as not expired until the change is made, unless another lock was taken in the meantime.

    :param since: `Locks.taken` when the change began.
    :param tokens: (path, token) of each lock that covered a path of the condition at that time, and whose token the
        condition submits.
    """

    since: int
    tokens: frozenset[tuple[str, str]]


@attrs.frozen
class Condition:
    """The preconditions of one request.

    :param match: `If-Match`: the present version must have one of these tags; None for no condition.  ("*",) requires
        that any version exists.
    :param none_match: `If-None-Match`: the present version must have none of these tags; None for no condition.
        ("*",) requires that no version exists; () matches nothing.
    :param unmodified_since_s: `If-Unmodified-Since`, seconds since 1970, or None.
    :param modified_since_s: `If-Modified-Since`, seconds since 1970, or None.  It applies to reads only.
    :param if_header: `If`, or None.  It submits the tokens of locks, too.
    :param collections: paths that the request's URLs name with a slash at the end: no file may be at them, nor be put
        there.
    :param held: the locks that permitted the change when it began, or None.
    :param user: the user whose locks' tokens count; None if everybody's do.
    :param is_key: whether the path of a file to be put is a key (see `splitd.interfaces.keys`): then missing
        collections are made, as implied ones; a collection of the same name is no hindrance; and a path with a slash at
        its end is that of a collection, which is from then on the file itself.
    """

    match: tuple[str, ...] | None = None
    none_match: tuple[str, ...] | None = None
    unmodified_since_s: int | None = None
    modified_since_s: int | None = None
    if_header: IfHeader | None = None
    collections: tuple[str, ...] = ()
    held: Held | None = None
    user: str | None = None
    is_key: bool = False

    def failed(self, etag: str | None, modified_ms: int | None = None) -> str:
        """Find the first header whose condition fails, in the order of RFC 9110 section 13.2.2.

        `If` is not checked here, because it may be about other resources.

        :param etag: the entity tag of the present version; "" for a collection; None if nothing is there.
        :param modified_ms: when it was modified, milliseconds since 1970; None if nothing is there.
        :return: "If-Match", "If-Unmodified-Since", "If-None-Match", or "" if all conditions hold.
        """
        if self.match is not None and not _matches(self.match, etag, strong=True):
            return "If-Match"
        # A tag is more exact than a time: if both are given, the time is ignored.
        if self.match is None and self._is_modified_since(self.unmodified_since_s, modified_ms):
            return "If-Unmodified-Since"
        if self.none_match is not None and _matches(self.none_match, etag, strong=False):
            return "If-None-Match"
        return ""

    @staticmethod
    def _is_modified_since(since_s: int | None, modified_ms: int | None) -> bool:
        return since_s is not None and modified_ms is not None and modified_ms // 1000 > since_s

    def is_modified(self, modified_ms: int) -> bool:
        """Whether the present version was modified after `If-Modified-Since`.

        True as well if that header does not apply: it was not sent, or `If-None-Match` was sent, too.

        :param modified_ms: when the present version was modified, milliseconds since 1970.
        """
        by_time = self.none_match is None and self.modified_since_s is not None
        return not by_time or self._is_modified_since(self.modified_since_s, modified_ms)

    def tokens(self) -> frozenset[str]:
        """Return the tokens of locks that the request submits."""
        return frozenset() if self.if_header is None else self.if_header.tokens()

    def paths(self) -> set[str]:
        """Return the paths that the `If` header is about, which may be others than the request's own."""
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
    """Read the value of `If-None-Match`, skipping elements that cannot be read.

    Some programs send tags without quotes, or send the header with every request.  No version has such a tag, so the
    condition holds; an error would keep these programs from writing at all.

    :return: the tags that can be read, possibly none; ("*",) if one of the elements is `*`.
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
