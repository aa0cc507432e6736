"""The headers that say under which condition a request is meant."""

from __future__ import annotations

from splitd.errors import BadName
from splitd.frontends.http.answers import Refused
from splitd.frontends.http.targets import Target, is_here, parse_target
from splitd.frontends.http.times import parse_time
from splitd.model.conditions import Condition, parse_entity_tags
from splitd.model.if_header import IfHeader, parse_if
from storaged.http import StreamingRequest


def parse_condition(request: StreamingRequest, target: Target) -> Condition:
    """Read `If-Match`, `If-None-Match`, `If-Unmodified-Since`, `If-Modified-Since` and `If`.

    :raise Refused: one of them is not well formed; a time that is not is ignored (RFC 9110 section 13.1.3).
    """
    return Condition(
        _entity_tags(request, "If-Match"),
        _entity_tags(request, "If-None-Match"),
        parse_time(request.getHeader("If-Unmodified-Since")),
        parse_time(request.getHeader("If-Modified-Since")),
        _believed(request, target),
    )


def _entity_tags(request: StreamingRequest, name: str) -> tuple[str, ...] | None:
    values = request.header_values(name)
    if not values:
        return None
    try:
        return parse_entity_tags(", ".join(values))
    except ValueError as problem:
        raise Refused(400, f"{name}: {problem}") from problem


def _believed(request: StreamingRequest, target: Target) -> IfHeader | None:
    values = request.header_values("If")
    if not values:
        return None

    def resolve(uri: str) -> str | None:
        raw = uri.encode("utf-8", "surrogateescape")
        try:
            return parse_target(raw).path if is_here(request, raw) else None
        except BadName:
            return None

    try:
        return parse_if(" ".join(values), target.path, resolve)
    except ValueError as problem:
        raise Refused(400, f"If: {problem}") from problem
