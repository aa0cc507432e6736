"""Under which scheme and name a client sees a server, as trusted proxies report it.  Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

import attrs

from storaged.http.names import Authority, parse_authority

_PROTO = re.compile(r'(?:\A|;)\s*proto\s*=\s*(?:"([A-Za-z]*)"|([A-Za-z]+))\s*(?=;|\Z)', re.IGNORECASE)
_HOST = re.compile(r'(?:\A|;)\s*host\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s"]+))\s*(?=;|\Z)', re.IGNORECASE)
_PLAIN = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
"""Hosts that need no quoting wherever a URL is written."""

_SCHEMES = frozenset({"http", "https"})
_MOST = 8 * 1024
"""The most characters of a header that are looked at."""


@attrs.frozen
class Origin:
    """A scheme, and the authority of a server.

    :param scheme: `http` or `https`.
    :param authority: a host, with its port unless that is the usual one; empty if the client did not name the server.
    """

    scheme: str
    authority: str

    @property
    def is_secure(self) -> bool:
        """Whether the client speaks TLS."""
        return self.scheme == "https"

    @property
    def host(self) -> str:
        """The host without its port; of IPv6 in brackets."""
        return _shown(attrs.evolve(parse_authority(self.authority), port=0)) if self.authority else ""


def origin_of(
    host: str,
    *,
    is_secure: bool,
    trusts: bool,
    protocols: Sequence[str] = (),
    hosts: Sequence[str] = (),
    forwarded: Sequence[str] = (),
) -> Origin:
    """Return the origin by which the client called.

    The first proxy, which the client speaks to, reports first: of several values the first one counts.  `Forwarded`
    counts for what the other headers do not say.  What cannot be read is as if it were not there.

    :param host: how the request names the server, by its target or by `Host`.
    :param is_secure: whether this connection has TLS.
    :param trusts: whether the other side is a trusted proxy; what another one reports is ignored.
    :param protocols: the values of `X-Forwarded-Proto`.
    :param hosts: the values of `X-Forwarded-Host`.
    :param forwarded: the values of `Forwarded` (RFC 7239).
    """
    scheme, authority = "https" if is_secure else "http", _authority(host)
    if trusts:
        element = _first(forwarded)
        told = _first(protocols).lower()
        scheme = told if told in _SCHEMES else _found(_PROTO, element).lower() or scheme
        authority = _authority(_first(hosts)) or _authority(_unquoted(_found(_HOST, element))) or authority
    return Origin(scheme if scheme in _SCHEMES else "https" if is_secure else "http", authority)


def _first(values: Sequence[str]) -> str:
    """Return the first element of a list header; commas in quotes do not divide."""
    if not values:
        return ""
    text = values[0][:_MOST]
    quoted = escaped = False
    for position, char in enumerate(text):
        if char == "," and not quoted:
            return text[:position].strip()
        quoted ^= char == '"' and not escaped
        escaped = char == "\\" and not escaped
    return text.strip()


def _found(pattern: re.Pattern[str], element: str) -> str:
    match = pattern.search(element)
    return "" if match is None else match[1] or match[2] or ""


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _authority(text: str) -> str:
    """Return a host and a port as they stand in a URL; empty if the text is nothing like that."""
    try:
        read = parse_authority(text)
    except ValueError:
        return ""
    shown = _shown(read)
    return shown if _PLAIN.fullmatch(shown) else ""


def _shown(authority: Authority) -> str:
    host = f"[{authority.host}]" if ":" in authority.host else authority.host
    return f"{host}:{authority.port}" if authority.port else host
