"""Tells from which URLs keys can be had safely: who can change them on their way can be any user.  Pure."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit


def check_url(url: str) -> None:
    """Refuse a URL that a document of an issuer cannot be had from safely.

    :raise ValueError: it is neither like https://HOST/PATH, nor http with a loopback address.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as problem:  # impossible brackets, or port
        raise ValueError(f"{url} is not a URL ({problem})") from problem
    odd = not (url.isascii() and url.isprintable()) or " " in url or parts.fragment or parts.username is not None
    if odd or not host or parts.scheme not in {"http", "https"}:
        raise ValueError(f"{url} is not a URL like https://HOST/PATH")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ValueError(f"{url} is not https; http is good for loopback addresses only")


def check_issuer(url: str) -> None:
    """Refuse a URL that no issuer has (OpenID Connect Discovery 1.0, section 3).

    :raise ValueError: it has a query, or `check_url` refuses it.
    """
    check_url(url)
    if "?" in url:
        raise ValueError(f"{url} has a query, and the URL of an issuer has none")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
