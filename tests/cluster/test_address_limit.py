"""One address cannot keep all others out: it has so many connections, whatever it does with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.endpoints import SSL4ClientEndpoint, TCP4ClientEndpoint, connectProtocol
from twisted.internet.ssl import CertificateOptions

from storaged.system.words import Words
from tests.certificates import write_certificate
from tests.cluster.cluster import Cluster
from tests.cluster.raw import RawClient
from tests.cluster.waiting import eventually

NO_PROXIES = Words(["192.0.2.0/24"])
FEW = 4
SLOW = 1_000


async def limited(make_cluster: Callable[..., Cluster], per_address: int, **settings: object) -> Cluster:
    """A started cluster where this machine is a client like any other."""
    cluster = make_cluster(**{"trusted_proxies": NO_PROXIES, **settings})
    file = cluster.folder.parent / "limits.yaml"
    cluster.settings["limits"] = str(file)
    limit(cluster, per_address)
    await cluster.start()
    return cluster


def limit(cluster: Cluster, per_address: int) -> None:
    Path(cluster.settings["limits"]).write_text(f"connections: {{per_address: {per_address}}}\n")


async def slow(cluster: Cluster, source: str = "127.0.0.1") -> RawClient:
    """A client that sends a body so slowly that its connection is never idle."""
    from twisted.internet import reactor

    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", cluster.port, bindAddress=(source, 0))
    client = await connectProtocol(endpoint, RawClient())
    client.begin("PUT", "/slow", "Content-Length: 1000", "Expect: 100-continue")
    return client


@pytest_twisted.ensureDeferred
async def test_beyond_the_limit_of_an_address_the_answer_says_so(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await limited(make_cluster, FEW)
    clients = [await slow(cluster) for _ in range(FEW)]
    assert [(await client.answer()).code for client in clients] == [100] * FEW
    refused = await slow(cluster)
    answer = await refused.answer()
    assert (answer.code, answer.headers["retry-after"], answer.headers["connection"]) == (429, "1", "close")
    assert answer.body == b"an address has at most 4 connections at once\n"
    assert await refused.until_ended() == b""
    other = await slow(cluster, "127.0.0.2")
    assert (await other.answer()).code == 100
    clients[0].send(bytes(1000))
    assert (await clients[0].answer()).code == 201
    clients[0].leave()
    await eventually(lambda: len(cluster.front.endpoints.site.connections()) == FEW)  # type: ignore[union-attr]
    assert (await (await slow(cluster)).answer()).code == 100
    assert (await cluster.status())["limits"]["refused"] == {"connections per address": 1}
    metrics = (await cluster.ask("GET", f"{cluster.admin_url}/metrics")).text
    assert "splitd_refused_connections_total 1.0" in metrics


@pytest_twisted.ensureDeferred
async def test_the_limit_changes_while_all_runs(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await limited(make_cluster, 1)
    first = await slow(cluster)
    assert (await first.answer()).code == 100
    assert (await (await slow(cluster)).answer()).code == 429
    limit(cluster, 2)
    assert (await cluster.reload()).code == 200
    await eventually(lambda: len(cluster.front.endpoints.site.connections()) == 1)  # type: ignore[union-attr]
    assert (await (await slow(cluster)).answer()).code == 100
    first.send(bytes(1000))
    assert (await first.answer()).code == 201


@pytest_twisted.ensureDeferred
async def test_without_a_file_one_address_has_half_of_all(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(trusted_proxies=NO_PROXIES)
    await cluster.start()
    assert cluster.front is not None
    site = cluster.front.endpoints.site
    assert site.addresses.limit == site.admission.limit // 2  # type: ignore[operator]
    cluster.front.endpoints.limit_connections(5)
    assert [(await (await slow(cluster)).answer()).code for _ in range(3)] == [100, 100, 429]


@pytest_twisted.ensureDeferred
async def test_a_trusted_proxy_has_as_many_as_there_are(make_cluster: Callable[..., Cluster]) -> None:
    cluster = await limited(make_cluster, 1, trusted_proxies=Words(["127.0.0.1"]))
    assert [(await (await slow(cluster)).answer()).code for _ in range(5)] == [100] * 5
    others = [await slow(cluster, "127.0.0.2") for _ in range(2)]
    assert [(await each.answer()).code for each in others] == [100, 429]


@pytest_twisted.ensureDeferred
async def test_a_thousand_slow_connections_of_one_client_keep_nobody_out(make_cluster: Callable[..., Cluster]) -> None:
    """Each of them has a request in progress, so that none makes room as an idle one does."""
    cluster = await limited(make_cluster, 50)
    clients = [await slow(cluster) for _ in range(SLOW)]
    answered = [client for client in clients if not client.ended]
    assert [(await client.answer()).code for client in answered[:50]] == [100] * 50
    for number in range(20):
        normal = await slow(cluster, f"127.0.0.{number + 2}")
        assert (await normal.answer()).code == 100
        normal.send(bytes(1000))
        assert (await normal.answer()).code in {201, 204}
        normal.leave()
    await eventually(lambda: len(cluster.front.endpoints.site.connections()) <= 50 + 16)  # type: ignore[union-attr]


@pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")
@pytest_twisted.ensureDeferred
async def test_with_tls_a_connection_too_many_is_closed_at_once(
    make_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    from twisted.internet import reactor

    pem = tmp_path / "front.pem"
    write_certificate(pem)
    cluster = await limited(make_cluster, 1, listen=f"ssl:0:interface=127.0.0.1:privateKey={pem}:certKey={pem}")

    async def begin() -> RawClient:
        endpoint = SSL4ClientEndpoint(reactor, "127.0.0.1", cluster.port, CertificateOptions())
        client = await connectProtocol(endpoint, RawClient())
        client.begin("PUT", "/slow", "Content-Length: 3", "Expect: 100-continue")
        return client

    first = await begin()
    assert (await first.answer()).code == 100
    for _ in range(40):
        assert await (await begin()).until_ended() == b""
    first.send(b"abc")
    assert (await first.answer()).code == 201
    first.leave()
    await eventually(lambda: not cluster.front.endpoints.site.connections())  # type: ignore[union-attr]
    last = await begin()
    assert (await last.answer()).code == 100
    last.reset()
