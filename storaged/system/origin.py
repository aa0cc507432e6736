"""The origin of a node: the scheme, host and port of its URL.  Pure."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import urlsplit

import attrs

_LABEL = re.compile(r"\A[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\Z")
_SCOPE = re.compile(r"\A[A-Za-z0-9._-]{1,15}\Z")
_NAME_LIMIT = 253


@attrs.frozen
class Origin:
    """The address at which a node listens.

    :param scheme: http or https.
    :param host: a name, an IPv4 address, or an IPv6 address without brackets, after which a scope may follow
        ("fe80::1%eth0").
    :param port: 1 to 65535.
    """

    scheme: str
    host: str
    port: int

    @property
    def is_ipv6(self) -> bool:
        """Whether the host is an IPv6 address."""
        return ":" in self.host

    @property
    def authority(self) -> str:
        """The value of the Host header, without a scope, which has a meaning on this machine only (RFC 6874)."""
        host = self.host.partition("%")[0]
        return f"[{host}]:{self.port}" if self.is_ipv6 else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The origin as a URL, without a slash at its end."""
        host = f"[{self.host}]" if self.is_ipv6 else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse_origin(text: str) -> Origin:
    """Read the URL of a node.

    A name may have underscores, as services of docker compose do.  A scope may follow "%" or, as RFC 6874 has it,
    "%25".

    :raise ValueError: no node can be reached at this URL; the message says why.
    """
    if not (text.isascii() and text.isprintable()):
        raise ValueError("should be ASCII, like http://HOST:PORT")
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError as problem:  # invalid brackets, or an invalid port
        raise ValueError(f"should be like http://HOST:PORT ({problem})") from problem
    more = url.path.strip("/") or url.query or url.fragment or url.username is not None
    if url.scheme not in {"http", "https"} or not host or not port or more or " " in text:
        raise ValueError("should be like http://HOST:PORT")
    if "[" in url.netloc:
        return Origin(url.scheme, _ipv6(host, url.scheme), port)
    _check_name(host, url.scheme)
    return Origin(url.scheme, host, port)


def _ipv6(host: str, scheme: str) -> str:
    address, mark, scope = host.partition("%")
    try:
        IPv6Address(address)
    except AddressValueError as problem:
        raise ValueError(f"{address} is not an IPv6 address") from problem
    scope = scope.removeprefix("25") if len(scope) > 2 else scope
    if mark and not _SCOPE.match(scope):
        raise ValueError(f"{scope!r} is not the name or number of a network interface")
    if mark and scheme == "https":
        raise ValueError("no certificate is valid for an address with a scope; use http, or a name")
    return address + mark + scope


def _check_name(host: str, scheme: str) -> None:
    labels = host.removesuffix(".").split(".")
    if len(host) > _NAME_LIMIT or not all(map(_LABEL.match, labels)):
        raise ValueError(f"{host} is not a host name: its labels should be 1 to 63 letters, digits, - and _")
    if labels[-1].isdigit():  # getaddrinfo would read 10.1 as 10.0.0.1
        try:
            IPv4Address(host)
        except AddressValueError as problem:
            raise ValueError(f"{host} is not an IPv4 address") from problem
    if "_" in host and scheme == "https":
        raise ValueError(f"no certificate is valid for {host}, which has an underscore; use http, or another name")
