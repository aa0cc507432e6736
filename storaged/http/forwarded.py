"""The address of a client behind proxies, as the proxies report it.  Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address

from storaged.http.names import parse_address, parse_authority

_FOR = re.compile(r'(?:\A|[;,])\s*for\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;,\s"]+))', re.IGNORECASE)
_MOST = 64
"""The most proxies that a request is followed through."""


def client_behind(
    peer: str | None, forwarded_for: Sequence[str], forwarded: Sequence[str], trusts: Callable[[str | None], bool]
) -> str:
    """Return the address of the client: that of the first machine, seen from here, that is no trusted proxy.

    :param peer: the address of the other side of the connection; None if it has none, as with a Unix socket.
    :param forwarded_for: the values of `X-Forwarded-For`.
    :param forwarded: the values of `Forwarded` (RFC 7239), which count if there is no `X-Forwarded-For`.
    :param trusts: returns whether an address is that of a trusted proxy.
    :return: the last address that a trusted machine reports; empty if there is none.
    """
    client = peer or ""
    if not trusts(peer):
        return client
    for text in reversed(_reported(forwarded_for, forwarded)[-_MOST:]):
        address = _read(text)
        if address is None:  # "unknown", or a name that hides it
            return client
        client = str(address)
        if not trusts(client):
            return client
    return client


def _reported(forwarded_for: Sequence[str], forwarded: Sequence[str]) -> list[str]:
    if forwarded_for:
        return ",".join(forwarded_for).split(",")
    return [match[1] or match[2] or "" for match in _FOR.finditer(",".join(forwarded))]


def _read(text: str) -> IPv4Address | IPv6Address | None:
    plain = parse_address(text.strip())
    if plain is not None:
        return plain
    try:
        return parse_address(parse_authority(text).host)
    except ValueError:
        return None
