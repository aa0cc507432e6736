"""Tells which endpoints can be reached from other machines only by going through this one.  Pure."""

from __future__ import annotations

import re
from ipaddress import ip_address

_PIECE = re.compile(r"((?:[^\\:]|\\.)*)(?::|\Z)", re.DOTALL)
_TCP = frozenset({"tcp", "tcp6", "ssl", "tls", "haproxy"})


def is_local(endpoint: str) -> bool:
    """Return whether only programs of this machine can connect to an endpoint.

    :param endpoint: a Twisted endpoint string, such as `tcp:8080:interface=127.0.0.1`.
    :return: False also if that cannot be told.
    """
    kind, *pieces = _pieces(endpoint)
    if kind == "haproxy" and pieces:
        kind, pieces = pieces[0], pieces[1:]
    if kind == "unix":
        return True
    if kind not in _TCP:
        return False
    named = dict(piece for piece in (each.partition("=")[::2] for each in pieces) if piece[1])
    positional = [each for each in pieces if "=" not in each]
    host = named.get("interface") or (positional[1] if kind == "tcp" and len(positional) > 1 else "")
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _pieces(endpoint: str) -> list[str]:
    found = [re.sub(r"\\(.)", r"\1", match[1]) for match in _PIECE.finditer(endpoint)]
    return found[:-1] if len(found) > 1 else [""]
