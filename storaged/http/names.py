"""The names of a server: tells whether a URI from a client names the server that the client has called.

Pure.  Behind a proxy the server sees a different name than its client.  The proxy may report the client's name
(`X-Forwarded-Host`, `Forwarded`), or the server is configured with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from ipaddress import IPv4Network as _IPv4Network
from itertools import islice

import attrs

_AUTHORITY = re.compile(r"\A(\[[0-9A-Fa-f:.]+(?:%[^\]]*)?\]|[^:/?#@\[\]\s,]*)(?::([0-9]{0,5}))?\Z")
_DEFAULT_PORTS = {"", "80", "443"}
_FORWARDED_HOST = re.compile(r'(?:\A|[;,])\s*host\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;,\s"]+))', re.IGNORECASE)
_LOOPBACK = "localhost"
_MOST_FORWARDED = 64

Network = _IPv4Network | IPv6Network


@attrs.frozen
class Authority:
    """A host and a port, as they stand in a URI or in `Host`.

    :param host: in lower case; an address in its shortest form, without brackets.
    :param port: 0 for the default port of HTTP or of HTTPS, which are not told apart: a proxy may have ended TLS.
    """

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether the host is a loopback name or address, which on every machine means the machine itself."""
        if self.host == _LOOPBACK or self.host.endswith("." + _LOOPBACK):
            return True
        address = parse_address(self.host)
        return address is not None and address.is_loopback


def parse_authority(text: str) -> Authority:
    """Read a host with or without a port; text before an @ is ignored.

    :raise ValueError: the text is not a host with or without a port.
    """
    match = _AUTHORITY.match(text.rpartition("@")[2].strip())
    if match is None:
        raise ValueError(f"{text!r}: should be a name or an address, with or without a port")
    host = match[1].lower().removesuffix(".")
    address = parse_address(host.strip("[]"))
    port = match[2] or ""
    return Authority(host if address is None else str(address), 0 if port in _DEFAULT_PORTS else int(port))


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Read an IP address without its scope; an IPv4-mapped IPv6 address is returned as IPv4.  None for a name."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


@lru_cache(4096)
def network_of(address: str) -> str:
    """Return what stands for a client's address: itself, or of IPv6 its /64, of which one client may use every address.

    :param address: an address, with or without a scope; other text is returned as it is.
    """
    parsed = parse_address(address)
    if parsed is None:
        return address
    return str(IPv6Address(int(parsed) >> 64 << 64) if isinstance(parsed, IPv6Address) else parsed)


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Read addresses and networks: `10.0.0.7`, `10.0.0.0/8`, `fd00::/8`.

    :raise ValueError: one of the texts is neither an address nor a network.
    """
    return tuple(ip_network(text) for text in texts)


@attrs.frozen
class Call:
    """The names by which a request calls the server, and the connection on which it arrived.

    :param host: the authority of an absolute-form target, otherwise the value of `Host`; empty if there is neither.
    :param forwarded_hosts: the values of `X-Forwarded-Host`.
    :param forwarded: the values of `Forwarded` (RFC 7239).
    :param local: the address and port at which the connection was accepted; None if it has none.
    :param peer: the address of the other side; None if it has none, as with a Unix socket.
    """

    host: str
    forwarded_hosts: Sequence[str] = ()
    forwarded: Sequence[str] = ()
    local: tuple[str, int] | None = None
    peer: str | None = None


@attrs.frozen
class OwnNames:
    """The names that a server has on every connection, and the proxies that it trusts.

    :param names: the names in its settings.
    :param proxies: the networks of the proxies whose headers are trusted.  A peer without an address is on this
        machine, and is trusted.
    """

    names: frozenset[Authority] = frozenset()
    proxies: tuple[Network, ...] = ()

    def called(self, call: Call) -> CalledNames:
        """Return the names by which a client has called the server, as its request reports them.  Invalid names are
        left out, and so are those of proxies after the first 64.
        """
        is_trusted = self.trusts(call.peer)
        texts = [call.host] if call.host else []
        if is_trusted:
            texts += islice(_forwarded(call), _MOST_FORWARDED)
        names = dict.fromkeys(each for each in map(_read, texts) if each is not None)
        return CalledNames(call.host, tuple(names), self.names, _local(call), is_trusted)

    def has(self, call: Call, authority: str) -> bool:
        """Return whether an authority names the server that was called."""
        return self.called(call).has(authority)

    def is_called(self, call: Call, authority: str) -> bool:
        """Return whether an authority is exactly a name by which the client has called the server."""
        return self.called(call).is_called(authority)

    def allows_operators(self, call: Call) -> bool:
        """Return whether an operator may call the server like this; see `CalledNames.allows_operators`."""
        return self.called(call).allows_operators()

    def trusts(self, peer: str | None) -> bool:
        """Return whether the headers of a peer count; None is a peer without an address."""
        if peer is None:
            return True
        address = parse_address(peer)
        return address is not None and any(address in network for network in self.proxies)


@attrs.frozen
class CalledNames:
    """The names by which a client has called the server, and those that the server has on every connection.

    :param host: as `Call.host`.
    :param called: the names by which the client has called the server.
    :param given: the names in the server's settings.
    :param local: the address and port of the connection; None if it has none.
    :param is_trusted: whether the peer is a proxy whose headers are trusted.
    """

    _host: str
    called: tuple[Authority, ...]
    _given: frozenset[Authority]
    _local: Authority | None
    _is_trusted: bool

    def has(self, authority: str) -> bool:
        """Return whether an authority names the server."""
        named = _read(authority)
        if named is None:
            return False
        if not self.called or named in self._given or named in self.called or named == self._local:
            return True
        # A proxy may pass on the name without the port: then the client has called a port that the server cannot know.
        lost_port = self._local is not None and self._local.port != 0 and self._is_trusted
        return lost_port and Authority(named.host, 0) in self.called

    def is_called(self, authority: str) -> bool:
        """Return whether an authority is exactly a name by which the client has called the server."""
        return _read(authority) in self.called

    def allows_operators(self) -> bool:
        """Return whether a client has called the server only by names that no other site can have: a loopback name, the
        address of the connection, or a name in the settings, at any port.

        The page of a foreign site can give its own name the address of this server.  A browser that is led here by that
        still sends the name of the page.
        """
        if self._host and _read(self._host) is None:
            return False
        hosts = {each.host for each in self._given} | ({self._local.host} if self._local else set())
        return all(each.is_loopback or each.host in hosts for each in self.called)


def _forwarded(call: Call) -> Iterator[str]:
    """Yield the names that proxies have passed on."""
    for value in call.forwarded_hosts:
        yield from value.split(",", _MOST_FORWARDED)[:_MOST_FORWARDED]
    for value in call.forwarded:
        for match in _FORWARDED_HOST.finditer(value):
            yield re.sub(r"\\(.)", r"\1", match[1] or "") or match[2] or ""


def _read(text: str) -> Authority | None:
    try:
        return parse_authority(text)
    except ValueError:
        return None


def _local(call: Call) -> Authority | None:
    if call.local is None:
        return None
    host, port = call.local
    return _read(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
