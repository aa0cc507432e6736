"""Reads where a request is directed: its path, its query, its destination, and the depth."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

import attrs

from splitd.errors import BadName, NotFound
from splitd.frontends.http.answers import Refused
from splitd.frontends.http.names import MARK, read_path, show_path
from splitd.model.path_faults import MAX_PATH, MAX_SEGMENT, fault_of, is_own
from splitd.model.paths import check_catalog_path, check_shape
from storaged.http import IRequest, Parameters, origin_form, parse_absolute

HEAD_LIMIT = 4 * 3 * MAX_PATH + 16 * 1024
"""Bytes of a request's head: the longest path in its URL, in `Destination` and in two tags of `If`, each of them
percent-encoded, and all else.
"""

_SCHEMES = {b"http", b"https"}
_PLAIN = re.compile(rb"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9_.~!$&'()*+,;=:@-]+)+\Z")
"""A target that is its path, without a query, as nearly all are that no base stands before."""

_NO_QUERY = Parameters(b"")
_ENCODED_SLASH = re.compile(rb"%2f", re.IGNORECASE)


@attrs.frozen
class Target:
    """The meaning of a URL.

    :param path: the path in the catalog.
    :param slash: whether the URL ends in a slash, as a collection's does.
    :param shown: the path as the URL says it, which may have escapes; see `splitd.frontends.http.names`.
    """

    path: str
    slash: bool
    shown: str
    _parameters: Parameters
    base: str = ""

    def has_parameter(self, name: str) -> bool:
        """Whether the query has a parameter, with whatever value."""
        return bool(self._parameters) and bool(self.parameters(name))

    def parameters(self, name: str) -> list[str]:
        """Return all values of a parameter in the query.

        :raise Refused: a value is not UTF-8.
        """
        try:
            return self._parameters.values(name)
        except ValueError as problem:
            raise Refused(400, str(problem)) from problem

    def parameter(self, name: str, default: str) -> str:
        """Return the first value of a parameter in the query; `default` if the query does not have it.

        :raise Refused: the value is not UTF-8.
        """
        return read_parameter(self._parameters, name, default)


def read_parameter(query: Parameters, name: str, default: str = "") -> str:
    """Return the first value of a parameter; `default` if the query does not have it.

    :raise Refused: the value is not UTF-8.
    """
    try:
        return next(iter(query.values(name)), default)
    except ValueError as problem:
        raise Refused(400, str(problem)) from problem


def parse_target(uri: bytes, base: str = "") -> Target:
    """Read a request target, in origin or absolute form (RFC 9112 section 3.2).

    :param base: what all URLs begin with, as "/files"; empty for nothing.
    :raise BadName: no file or collection can have this name.
    :raise NotFound: the URL does not begin with `base`.
    """
    if not base and len(uri) <= MAX_SEGMENT and _PLAIN.match(uri) and not is_own(path := uri.decode("ascii")):
        return Target(path, False, path, _NO_QUERY)
    return _parse_any(uri, base)


def _parse_any(uri: bytes, base: str) -> Target:
    raw, _, query = origin_form(uri).partition(b"?")
    if b"#" in raw:
        raise BadName("a fragment (#) has no place in a request; in a name it is written %23")
    if _ENCODED_SLASH.search(raw):
        raise BadName("a name cannot hold a slash (%2F)")
    try:
        path = unquote_to_bytes(raw or b"/").decode("utf-8")
    except UnicodeDecodeError:
        raise BadName("a name must be UTF-8, percent-encoded or not") from None
    if base:
        if path != base and not path.startswith(base + "/"):
            raise NotFound(f"{path[:200]} does not exist: all files are below {base}/")
        path = path[len(base) :] or "/"
    slash = path.endswith("/")
    if slash and path != "/":
        path = path[:-1]
        if path.endswith("/"):
            raise BadName(f"{path[:200]!r}/: an empty segment")
    if MARK in path or fault_of(path):
        check_shape(path)
        real = read_path(path)
        check_catalog_path(real)
        return Target(real, slash, path, Parameters(query), base)
    return Target(path, slash, path, Parameters(query), base)


def parse_destination(request: IRequest, base: str) -> Target:
    """Read `Destination` (RFC 4918 section 10.3).

    :raise Refused: the header is missing or comes more than once, has a query, or names another server.
    :raise BadName: no file or collection can have this name.
    """
    value = _only(request, "Destination")
    if not value:
        raise Refused(400, "Destination: is missing")
    # A name may end with white space of Unicode.
    uri = value.strip(" \t").encode("utf-8", "surrogateescape")
    if not is_here(request, uri):
        raise Refused(502, f"Destination: {value!r} is on another server than {request.call.host}")
    if b"?" in uri:
        raise Refused(400, f"Destination: {value!r} has a query; in a name ? is written %3F")
    try:
        return parse_target(uri, base)
    except NotFound as problem:
        raise Refused(502, f"Destination: {problem}") from problem


def is_here(request: IRequest, uri: bytes) -> bool:
    """Return whether a URI, in origin or absolute form, names the server that the request was sent to."""
    absolute = parse_absolute(uri)
    if absolute is None:
        return True
    scheme, authority = absolute
    # Both schemes of HTTP are accepted, because a proxy may have ended TLS.
    return scheme.lower() in _SCHEMES and request.is_for(authority.decode("utf-8", "replace"))


def parse_depth(request: IRequest, *allowed: str) -> str:
    """Read `Depth` (RFC 4918 section 10.2).

    :param allowed: the allowed values; the first one is the default.
    :raise Refused: the header has a value that is not allowed.
    """
    value = request.getHeader("Depth")
    if value is None:
        return allowed[0]
    depth = str(value).strip().lower()
    if depth not in allowed:
        raise Refused(400, f"Depth: {value!r}: should be {' or '.join(allowed)}")
    return depth


def parse_overwrite(request: IRequest) -> bool:
    """Read `Overwrite` (RFC 4918 section 10.6).

    :return: True for T, and if the header is missing; False for F.
    :raise Refused: it is neither T nor F, or the request has it more than once.
    """
    value = _only(request, "Overwrite")
    if value is None:
        return True
    if value.strip().upper() not in {"T", "F"}:
        raise Refused(400, f"Overwrite: {value!r}: should be T or F")
    return value.strip().upper() == "T"


def _only(request: IRequest, name: str) -> str | None:
    """Return the only value of a header; None if the request does not have it.

    :raise Refused: the request has the header more than once: one value might do harm that the other does not.
    """
    values = request.header_values(name)
    if len(values) > 1:
        raise Refused(400, f"{name}: should come once, not {len(values)} times")
    return values[0] if values else None


def href(path: str, base: str, *, is_collection: bool) -> str:
    """Return the URL of a path, as it stands in answers.

    :param base: what all URLs begin with.
    """
    return href_of_shown(show_path(path), base, is_collection=is_collection)


def href_of_shown(shown: str, base: str, *, is_collection: bool) -> str:
    """Return the URL of what is shown under a path; see `splitd.frontends.http.names`."""
    return base + quote(shown) + ("/" if is_collection and shown != "/" else "")
