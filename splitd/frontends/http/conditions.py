"""Reads the headers that make a request conditional."""

from __future__ import annotations

import re

from splitd.errors import BadName, NotFound
from splitd.frontends.http.answers import Refused
from splitd.frontends.http.targets import Target, is_here, parse_target
from splitd.frontends.http.times import parse_time
from splitd.model.conditions import ALWAYS, Condition, parse_entity_tags, parse_none_match
from splitd.model.if_header import IfHeader, parse_if
from storaged.http import IHeaders, IRequest

CONDITIONS = frozenset({b"if-match", b"if-none-match", b"if-unmodified-since", b"if-modified-since", b"if"})
"""The headers that `parse_condition` reads, in lower case."""


_LONE = re.compile("[\ud800-\udfff]")


def parse_condition(request: IRequest, target: Target) -> Condition:
    """Read `If-Match`, `If-None-Match`, `If-Unmodified-Since`, `If-Modified-Since` and `If`, and the slash at the end
    of the URL, which asks for a collection.

    A time that is not well formed is ignored (RFC 9110 section 13.1.3).  In `If-None-Match`, an entry that is not well
    formed matches nothing.

    :raise Refused: `If-Match` or `If` is not well formed.
    """
    if not request.has_any_header(CONDITIONS):  # as nearly always
        return Condition(collections=(target.path,)) if target.slash else ALWAYS
    none_match = condition_values(request, "If-None-Match")
    return Condition(
        _match(request),
        parse_none_match(", ".join(none_match)) if none_match else None,
        parse_time(request.getHeader("If-Unmodified-Since")),
        parse_time(request.getHeader("If-Modified-Since")),
        _if_header(request, target),
        (target.path,) if target.slash else (),
    )


def condition_values(headers: IHeaders, name: str) -> list[str]:
    """Return the values of a header that names entity tags; none if it did not come.

    In place of bytes that are not UTF-8, which no message to another process can hold, there is U+FFFD.  It is in no
    tag of ours, so that such a tag matches nothing.
    """
    return [value if value.isascii() else _LONE.sub("\ufffd", value) for value in headers.header_values(name)]


def _match(request: IRequest) -> tuple[str, ...] | None:
    values = condition_values(request, "If-Match")
    if not values:
        return None
    try:
        return parse_entity_tags(", ".join(values))
    except ValueError as problem:
        raise Refused(400, f"If-Match: {problem}") from problem


def _if_header(request: IRequest, target: Target) -> IfHeader | None:
    values = request.header_values("If")  # a path in it that is not UTF-8 is refused
    if not values:
        return None

    def resolve(uri: str) -> str | None:
        raw = uri.encode("utf-8", "surrogateescape")
        try:
            return parse_target(raw, target.base).path if is_here(request, raw) else None
        except (BadName, NotFound):
            return None

    try:
        return parse_if(" ".join(values), target.path, resolve)
    except ValueError as problem:
        raise Refused(400, f"If: {problem}") from problem
