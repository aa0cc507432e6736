"""What a request is aimed at: its path, its query, its conditions."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote_to_bytes

import attrs

from splitd.errors import BadName
from splitd.frontends.webdav.answers import Refused
from splitd.model.conditions import Condition, parse_entity_tags
from splitd.model.tree import check_path
from storaged.streaming import StreamingRequest

_ABSOLUTE_FORM = re.compile(rb"\A[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_ENCODED_SLASH = re.compile(rb"%2f", re.IGNORECASE)


@attrs.frozen
class Target:
    """What a URL means.

    :param path: the name in the catalog.
    :param slash: whether the URL ended in a slash, as a collection's does.
    :param query: the query's parameters.
    """

    path: str
    slash: bool
    query: dict[str, list[str]]


def parse_target(uri: bytes) -> Target:
    """Read a request target, in origin or absolute form (RFC 9112 section 3.2).

    :raise BadName: no file or collection can have this name.
    """
    raw, _, query = _ABSOLUTE_FORM.sub(b"", uri).partition(b"?")
    if _ENCODED_SLASH.search(raw):
        raise BadName("a name cannot hold a slash (%2F)")
    try:
        path = unquote_to_bytes(raw or b"/").decode("utf-8")
    except UnicodeDecodeError:
        raise BadName("a name must be UTF-8, percent-encoded") from None
    slash = path.endswith("/")
    if slash and path != "/":
        path = path[:-1]
        if path.endswith("/"):
            raise BadName(f"{path[:200]!r}/: an empty segment")
    check_path(path)
    return Target(path, slash, parse_qs(query.decode("ascii", "replace"), keep_blank_values=True))


def parse_condition(request: StreamingRequest) -> Condition:
    """Read `If-Match` and `If-None-Match`.

    :raise Refused: one of them is not well formed.
    """
    return Condition(_entity_tags(request, "If-Match"), _entity_tags(request, "If-None-Match"))


def _entity_tags(request: StreamingRequest, name: str) -> tuple[str, ...] | None:
    values = request.header_values(name)
    if not values:
        return None
    try:
        return parse_entity_tags(", ".join(values))
    except ValueError as problem:
        raise Refused(400, f"{name}: {problem}") from problem
