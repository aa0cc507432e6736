"""The front reaches its nodes over TLS, by certificates of the cluster's own authority."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_twisted
from cryptography.hazmat.primitives.serialization import Encoding

from splitd.cli.certificates.making import Pair, make_authority, make_server, write_secret
from tests.cluster.cluster import Cluster
from tests.cluster.node import Node

NOW = datetime.now(UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Pair:
    """The authority of the cluster, whose certificate is in the file `ca.pem`."""
    pair = make_authority("test", NOW, 30)
    (tmp_path / "ca.pem").write_bytes(pair.certificate.public_bytes(Encoding.PEM))
    return pair


def certify(cluster: Cluster, node: Node, pair: Pair) -> None:
    """Give a node a certificate, and have it listen with TLS from its next start on."""
    folder = cluster.folder / "tls" / node.node_id
    folder.mkdir(parents=True, exist_ok=True)
    write_secret(folder / "node.pem", pair.pem())
    node.listen = f"tls:{folder}:{node.port}:interface=127.0.0.1"
    cluster.urls[node.node_id] = f"https://127.0.0.1:{node.port}"


@pytest.fixture
def start(make_cluster: Callable[..., Cluster], authority: Pair, tmp_path: Path) -> Callable[..., Awaitable[Cluster]]:
    """A function that starts a cluster whose nodes have TLS.

    Its argument changes the cluster before that.
    """

    async def start(change: Callable[[Cluster], object] = lambda _: None, **settings: object) -> Cluster:
        cluster = make_cluster(node_ca=str(tmp_path / "ca.pem"), **settings)
        for node in cluster.nodes:
            certify(cluster, node, make_server(authority, ["127.0.0.1"], NOW, 30))
        change(cluster)
        await cluster.start()
        return cluster

    return start


@pytest_twisted.ensureDeferred
async def test_large_and_small_files_and_the_journals_copies_travel_over_tls(
    start: Callable[..., Awaitable[Cluster]],
) -> None:
    cluster = await start(small_part=16 * 1024, unit=4096, journal_copies=3)
    files = {f"/{size}": os.urandom(size) for size in (0, 1, 5000, 3_000_000)}
    for path, data in files.items():
        assert (await cluster.put(path, data)).code == 201
    for path, data in files.items():
        assert (await cluster.get(path)).body == data
    assert (await cluster.get("/3000000", Range="bytes=1234567-1234999")).body == files["/3000000"][1234567:1235000]
    await cluster.status_becomes(lambda status: status["journal"]["copies"]["present"] == 3)
    for path in files:
        assert (await cluster.ask("DELETE", path)).code == 204
    await cluster.status_becomes(lambda status: status["reaper"]["doomed"] == 0)
    assert not any([await node.listed() for node in cluster.nodes])


@pytest_twisted.ensureDeferred
async def test_a_node_with_a_certificate_that_is_not_good_is_not_used(
    start: Callable[..., Awaitable[Cluster]], authority: Pair
) -> None:
    stranger = make_authority("test", NOW, 30)

    def change(cluster: Cluster) -> None:
        certify(cluster, cluster.nodes[0], make_server(stranger, ["127.0.0.1"], NOW, 30))
        certify(cluster, cluster.nodes[1], make_server(authority, ["127.0.0.1"], datetime(2020, 1, 1, tzinfo=UTC), 1))
        certify(cluster, cluster.nodes[2], make_server(authority, ["127.0.0.9", "other.example"], NOW, 30))
        cluster.nodes[3].listen = ""  # it speaks no TLS

    cluster = await start(change)
    problems = {node["id"]: (node["state"], node["problem"]) for node in (await cluster.status())["nodes"]}
    for node, reason in {
        "n1": "TLS: ",
        "n2": "TLS: ",
        "n3": "another name",
        "n4": "TLS: ",
    }.items():
        assert (problems[node][0], reason in problems[node][1]) == ("down", True), problems
    assert [problems[node][0] for node in ("n5", "n6")] == ["up", "up"]
    assert (await cluster.put("/file", b"x")).code == 507


@pytest_twisted.ensureDeferred
async def test_a_new_authority_is_taken_while_the_front_runs(
    start: Callable[..., Awaitable[Cluster]], authority: Pair, tmp_path: Path
) -> None:
    cluster = await start()
    await cluster.put("/file", b"abc")
    new = make_authority("new", NOW, 30)
    both = [authority.certificate.public_bytes(Encoding.PEM), new.certificate.public_bytes(Encoding.PEM)]
    (tmp_path / "ca.pem").write_bytes(b"".join(both))
    assert (await cluster.reload()).code == 200
    for node in cluster.nodes:
        await node.stop()
        certify(cluster, node, make_server(new, ["127.0.0.1"], NOW, 30))
        await node.start()
    await cluster.look_at_nodes()
    assert (await cluster.get("/file")).body == b"abc"
    (tmp_path / "ca.pem").write_text("damaged")
    answer = await cluster.reload()
    assert (answer.code, "ca.pem: has neither" in answer.text) == (422, True)
    assert (await cluster.put("/file", b"def")).code == 204
