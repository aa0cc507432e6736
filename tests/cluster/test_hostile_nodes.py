"""Who can reach a node without the cluster key, or can write into its folder, gets nothing out of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest_twisted

from storaged.parts import wire
from tests.cluster.cluster import Cluster
from tests.cluster.node import KEY, Node
from tests.cluster.raw import RawAnswer, connect

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW")
OPEN = {("GET", wire.PROOF_PATH)}
"""What is answered before a front has proven itself, besides /health: the node's side of the proof."""


def endpoints() -> list[str]:
    """All paths of the part protocol: a new one is in it by itself."""
    return [path for name, path in vars(wire).items() if name.endswith("_PATH")]


async def ask(node: Node, method: str, path: str, *headers: str) -> RawAnswer:
    client = await connect(node.port)
    client.begin(method, path, *headers)
    answer = await client.answer()
    client.reset()
    return answer


def files_of(node: Node) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes()
        for path in node.folder.rglob("*")
        if path.is_file() and "journals" not in path.parts
    }


@pytest_twisted.ensureDeferred
async def test_every_endpoint_of_a_node_needs_the_key(cluster: Cluster) -> None:
    assert (await cluster.put("/file", b"x" * 10_000)).code == 201
    node = cluster.nodes[0]
    (mine,) = node.parts()
    paths = endpoints()
    assert len(paths) > 10
    before = files_of(node)
    for path in [*paths, *(f"{path}/{mine}" for path in paths), "/", "/v1", "/v2/parts", "/metrics", "/status"]:
        for method in METHODS:
            for headers in ([], ["Authorization: Bearer "], ["Upgrade: splitd-link/1", "Connection: Upgrade"]):
                answer = await ask(node, method, path, *headers)
                expected = {400} if (method, path) in OPEN else {401}  # a proof needs a nonce
                assert answer.code in expected, (method, path, headers, answer)
                assert answer.body == b""
    assert files_of(node) == before
    assert (await ask(node, "GET", "/health")).code == 200
    assert (await cluster.get("/file")).body == b"x" * 10_000


@pytest_twisted.ensureDeferred
async def test_no_part_id_is_a_path(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    secret = node.folder.parent / "secret"
    write(secret, b"secret")
    before = files_of(node)
    cluster_id = (await cluster.status())["cluster"]
    known = [f"Authorization: Bearer {KEY}", f"{wire.NODE_HEADER}: n1", f"{wire.CLUSTER_HEADER}: {cluster_id}"]
    assert (await ask(node, "GET", wire.NODE_PATH, *known)).code == 200
    good = f"{'a' * 32}.0"
    for part in (
        "../secret", "..%2fsecret", "%2e%2e%2fsecret", f"..%2f{good}", f"{good}%00", f"{good}%2f..%2f..%2fsecret",
        "%2fetc%2fpasswd", "/etc/passwd", ".", "..", "", "a" * 5000, f"{good}.tmp", f"{'A' * 32}.0", f"{good}%0a",
        f"{'a' * 32}.-1", f"{'a' * 32}.99999999999999999999", "%ff%fe", "%d9%a1" * 32 + ".0",
    ):  # fmt: skip
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            path = f"{wire.PARTS_PATH}/{part}"
            answer = await ask(node, method, path, *known)
            assert answer.code in {400, 404, 414}, (method, part, answer)
        assert (await ask(node, "POST", f"{wire.TRASH_PATH}/{part}", *known)).code in {400, 404, 414}
    assert files_of(node) == before
    assert node.half_written() == []
    assert secret.read_bytes() == b"secret"


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


@pytest_twisted.ensureDeferred
async def test_a_link_in_the_folder_of_parts_leads_nowhere(cluster: Cluster) -> None:
    """Somebody who may write there, such as a backup that was restored, must not make a node serve or change others."""
    assert (await cluster.put("/file", b"x" * 10_000)).code == 201
    node = cluster.nodes[0]
    [(name, path)] = node.parts().items()
    outside = node.folder.parent / "outside"
    write(outside, path.read_bytes())
    path.unlink()
    path.symlink_to(outside)
    answer = await cluster.get("/file")
    assert answer.code in {200, 500, 503}  # the bytes are right, or there are none
    assert (await cluster.ask("DELETE", "/file")).code == 204
    await cluster.status_becomes(lambda status: not status["reaper"]["doomed"])
    assert not path.is_symlink()
    assert outside.exists()
    assert re.fullmatch(r"[0-9a-f]{32}\.\d", name)
