"""Clusters on IPv6, and nodes whose names or addresses are unusual, on real sockets."""

from __future__ import annotations

import os
from collections.abc import Callable
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.interfaces import IHostnameResolver
from zope.interface import implementer

from tests.cluster.cluster import Cluster


def link_local_addresses() -> list[str]:
    """Return the addresses of this machine that need a scope."""
    found = []
    for line in Path("/proc/net/if_inet6").read_text().splitlines():
        digits, *_, name = line.split()
        address = IPv6Address(bytes.fromhex(digits))
        if address.is_link_local:
            found.append(f"{address}%{name}")
    return found


@implementer(IHostnameResolver)
class Names:
    """Resolves names with underscores, and passes all others on."""

    def __init__(self, others: IHostnameResolver) -> None:
        self._others = others
        self.asked: set[str] = set()

    def resolveHostName(self, receiver: Any, name: str, *more: Any, **named: Any) -> Any:
        self.asked.add(name)
        host = "127.0.0.1" if "_" in name else name
        return self._others.resolveHostName(receiver, host, *more, **named)


async def works(cluster: Cluster) -> None:
    """Check that large and small files are stored, read, moved and spread over the nodes."""
    data = os.urandom(100_000)
    assert (await cluster.ask("PUT", "/large", data)).code == 201
    assert (await cluster.ask("PUT", "/small", data[:100])).code == 201
    assert (await cluster.ask("GET", "/large")).body == data
    assert (await cluster.ask("GET", "/small")).body == data[:100]
    assert (await cluster.ask("MOVE", "/large", Destination=cluster.url("/moved"))).code == 201
    assert (await cluster.ask("GET", "/moved")).body == data
    assert (await cluster.ask("DELETE", "/moved")).code == 204
    assert (await cluster.ask("GET", f"{cluster.admin_url}/ready")).code == 200


@pytest.mark.parametrize("small_part", [0, 65536])
@pytest_twisted.ensureDeferred
async def test_a_whole_cluster_on_ipv6(make_cluster: Callable[..., Cluster], small_part: int) -> None:
    cluster = make_cluster(host="::1", small_part=small_part)
    await cluster.start()
    await works(cluster)


@pytest.mark.skipif(not link_local_addresses(), reason="this machine has no link-local address")
@pytest.mark.parametrize("small_part", [0, 65536])
@pytest_twisted.ensureDeferred
async def test_nodes_at_addresses_with_a_scope(make_cluster: Callable[..., Cluster], small_part: int) -> None:
    cluster = make_cluster(small_part=small_part)
    for node in cluster.nodes:
        node.host = link_local_addresses()[0]
    await cluster.start()
    await works(cluster)


@pytest.mark.parametrize("small_part", [0, 65536])
@pytest_twisted.ensureDeferred
async def test_nodes_whose_names_have_underscores(make_cluster: Callable[..., Cluster], small_part: int) -> None:
    from twisted.internet import reactor

    cluster = make_cluster(small_part=small_part)
    resolver = Names(reactor.nameResolver)  # type: ignore[attr-defined]
    before = reactor.installNameResolver(resolver)  # type: ignore[attr-defined]
    try:
        for node in cluster.nodes:
            cluster.urls[node.node_id] = f"http://store_{node.node_id}:{node.port}"
        await cluster.start()
        await works(cluster)
        assert resolver.asked >= {f"store_{node.node_id}" for node in cluster.nodes}
    finally:
        reactor.installNameResolver(before)  # type: ignore[attr-defined]
