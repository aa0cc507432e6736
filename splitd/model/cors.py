"""Which web pages of other origins may use the store (the Fetch standard, "HTTP-CORS protocol").  Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

import attrs

ANY = "*"

METHODS = (
    "OPTIONS", "GET", "HEAD", "PUT", "DELETE", "MKCOL", "COPY", "MOVE", "PROPFIND", "PROPPATCH", "LOCK", "UNLOCK",
    "POST", "PATCH",
)  # fmt: skip
"""The methods that pages may use, unless fewer are set."""

HEADERS = (
    "Authorization", "Content-Digest", "Content-Range", "Content-Type", "Depth", "Destination", "If", "If-Match",
    "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Lock-Token", "Overwrite", "Range",
    "Repr-Digest", "Timeout", "Tus-Resumable", "Upload-Checksum", "Upload-Complete", "Upload-Concat",
    "Upload-Defer-Length", "Upload-Draft-Interop-Version", "Upload-Length", "Upload-Metadata", "Upload-Offset",
    "Want-Repr-Digest", "X-HTTP-Method-Override", "X-Requested-With",
)  # fmt: skip
"""The headers that pages may send."""

EXPOSED = (
    "Accept-Ranges", "Allow", "Content-Digest", "Content-Location", "Content-Range", "Content-Length", "DAV", "Date",
    "ETag", "Last-Modified", "Location", "Lock-Token", "Repr-Digest", "Retry-After", "Tus-Extension", "Tus-Max-Size",
    "Tus-Resumable", "Tus-Version", "Upload-Complete", "Upload-Concat", "Upload-Defer-Length", "Upload-Expires",
    "Upload-Length", "Upload-Limit", "Upload-Metadata", "Upload-Offset", "WWW-Authenticate", "X-Request-Id",
)  # fmt: skip
"""The headers of answers that pages may read."""

_ORIGIN = re.compile(r"\A[a-z][a-z0-9+.-]*://(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?\Z")
_TOKEN = re.compile(r"\A[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")


@attrs.frozen
class Cors:
    """Which pages may use the store, and how.

    :param origins: the origins of the pages, as `https://app.example`; "*" for all.
    :param methods: the methods that they may use.
    :param headers: the headers that they may send.
    :param exposed: the headers of answers that they may read.
    :param credentials: whether the browser may send cookies and logins that it keeps itself.
    :param max_age_s: how long a browser may keep the answer to a preflight.
    """

    origins: frozenset[str]
    methods: str
    headers: str
    exposed: str
    credentials: bool
    max_age_s: int

    def headers_for(self, origin: str, *, preflight: bool) -> dict[str, str]:
        """Return the headers by which a browser lets a page go on; none if the page may not use the store.

        :param origin: the origin of the page.
        :param preflight: whether the browser asks first what the page may do.
        """
        if ANY not in self.origins and origin.lower() not in self.origins:
            return {}
        headers = {"Access-Control-Allow-Origin": ANY if ANY in self.origins else origin}
        if self.credentials:
            headers["Access-Control-Allow-Credentials"] = "true"
        if not preflight:
            return headers | ({"Access-Control-Expose-Headers": self.exposed} if self.exposed else {})
        headers["Access-Control-Allow-Methods"] = self.methods
        headers["Access-Control-Max-Age"] = str(self.max_age_s)
        return headers | ({"Access-Control-Allow-Headers": self.headers} if self.headers else {})


def make_cors(
    origins: Iterable[str],
    methods: Iterable[str],
    headers: Iterable[str],
    exposed: Iterable[str],
    *,
    credentials: bool,
    max_age_s: int,
) -> Cors | None:
    """Make the rules from settings; see `Cors`.

    :return: None if no page of another origin may use the store.
    :raise ValueError: a setting cannot be used; the message names it.
    """
    known = frozenset(origin.lower() for origin in origins)
    _check_origins(known)
    if credentials and not known:
        raise ValueError("cors_credentials: there are no cors_origins")
    if credentials and ANY in known:
        raise ValueError("cors_credentials: browsers send none to a store that allows all origins (*); name them")
    for method in methods:
        if method not in METHODS:
            raise ValueError(f"cors_methods: {method} is not a method of the store; those are {', '.join(METHODS)}")
    _check_names("cors_headers", headers)
    _check_names("cors_exposed", exposed)
    if not known:
        return None
    return Cors(known, ", ".join(methods), ", ".join(headers), ", ".join(exposed), credentials, max_age_s)


def _check_origins(origins: frozenset[str]) -> None:
    for origin in origins - {ANY}:
        if not _ORIGIN.match(origin):
            raise ValueError(f"cors_origins: {origin} is not an origin, such as https://app.example, without a path")
    if ANY in origins and len(origins) > 1:
        raise ValueError("cors_origins: * stands for all origins; no other can be beside it")


def _check_names(key: str, names: Iterable[str]) -> None:
    for name in names:
        if not _TOKEN.match(name) or name == ANY:
            raise ValueError(f"{key}: {name} is not the name of a header")
