"""A probe never sends the cluster key to the address that it asks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol

from storaged.parts import proofs, wire
from tests.cluster.cluster import Cluster
from tests.cluster.node import KEY
from tests.cluster.raw import RawAnswer, RawClient, connect


@attrs.define
class Listener:
    """A server that records what it receives, and gives each request the same answer."""

    url: str = ""
    heard: bytes = b""
    body: bytes = b"hello\n"
    status: str = "200 OK"


@pytest_twisted.async_yield_fixture
async def listener() -> AsyncIterator[Listener]:
    from twisted.internet import reactor

    made = Listener()

    class Answering(Protocol):
        transport: Any

        def dataReceived(self, data: bytes) -> None:
            made.heard += data
            if made.heard.endswith(b"\r\n\r\n"):
                head = f"HTTP/1.1 {made.status}\r\nContent-Length: {len(made.body)}\r\n\r\n"
                self.transport.write(head.encode() + made.body)

    endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    port = await endpoint.listen(Factory.forProtocol(Answering))
    made.url = f"http://127.0.0.1:{port.getHost().port}"
    yield made
    await maybeDeferred(port.stopListening)


async def probe(cluster: Cluster, url: str) -> tuple[int, str]:
    answer = await cluster.ask("POST", f"{cluster.admin_url}/probe?id=n7&url={url}")
    return answer.code, answer.text


@pytest.mark.parametrize(
    ("status", "body", "code", "told"),
    [
        ("200 OK", b"hello\n", 503, "not the part protocol"),
        (
            "200 OK",
            json.dumps({"nonce": "ab" * 32, "node": "n7", "proofs": ["cd" * 32]}).encode(),
            409,
            "did not prove that it knows",
        ),
        ("200 OK", json.dumps({"nonce": KEY, "node": "n7", "proofs": []}).encode(), 503, "not the part protocol"),
        ("302 Found", b"", 503, "answered 302"),
        ("404 Not Found", b"", 503, "answered 404"),
        ("401 Unauthorized", b"", 503, "answered 401"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_who_does_not_know_the_key_does_not_learn_it(
    cluster: Cluster, listener: Listener, status: str, body: bytes, code: int, told: str
) -> None:
    listener.status, listener.body = status, body
    answered = await probe(cluster, listener.url)
    assert (answered[0], told in answered[1]) == (code, True), answered
    assert listener.heard.startswith(b"GET /v1/proof HTTP/1.1\r\n")
    assert KEY.encode() not in listener.heard
    assert b"authorization" not in listener.heard.lower()


@pytest_twisted.ensureDeferred
async def test_a_node_that_knows_the_key_is_found_and_does_not_join(cluster: Cluster) -> None:
    node = await cluster.new_node()
    code, text = await probe(cluster, f"http://127.0.0.1:{node.port}")
    assert (code, json.loads(text)["id"]) == (200, "n7")
    assert json.loads((node.folder / "identity.json").read_text())["cluster"] == ""


@pytest_twisted.ensureDeferred
async def test_a_proof_is_good_once_and_on_its_own_connection(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    front_nonce = "ab" * 32

    async def say(client: RawClient, method: str, path: str, *headers: str) -> RawAnswer:
        client.begin(method, path, *headers)
        return await client.answer()

    async def challenge(client: RawClient) -> proofs.Challenge:
        answer = await say(client, "GET", wire.PROOF_PATH, f"Splitd-Nonce: {front_nonce}")
        assert KEY.encode() not in answer.body
        given = wire.decode_proof(answer.body)
        made = proofs.Challenge(front_nonce, given.nonce)
        assert proofs.check_node(proofs.ClusterKeys([KEY]), made, given.node, given.proofs) == KEY
        return made

    def proof(made: proofs.Challenge, cluster_id: str = "") -> tuple[str, str]:
        return f"Authorization: {proofs.format_proof(KEY, made, 'n1', cluster_id)}", f"Splitd-Cluster: {cluster_id}"

    first, second = await connect(node.port), await connect(node.port)
    recorded = proof(await challenge(first))
    assert (await say(first, "GET", "/v1/node")).code == 401
    assert (await say(first, "GET", "/v1/node", *recorded)).code == 401
    assert (await say(first, "POST", wire.SESSION_PATH, *recorded)).code == 200
    assert (await say(first, "GET", "/v1/node")).code == 200
    # Neither the recorded proof nor a new one for a nonce of another connection is of any use.
    assert (await say(second, "POST", wire.SESSION_PATH, *recorded)).code == 401
    await challenge(second)
    assert (await say(second, "POST", wire.SESSION_PATH, *recorded)).code == 401
    for wrong in [("Authorization: Splitd-Proof",), ("Authorization: Bearer x",), ()]:
        made = await challenge(second)
        assert (await say(second, "POST", wire.SESSION_PATH, *wrong)).code == 401
        assert (await say(second, "POST", wire.SESSION_PATH, *proof(made))).code == 401  # it was for one try
    assert (await say(second, "GET", "/v1/node")).code == 401
    for client in (first, second):
        client.leave()
        await client.until_ended()
    assert (await cluster.ask("GET", f"http://127.0.0.1:{node.port}{wire.PROOF_PATH}")).code == 400


@pytest_twisted.ensureDeferred
async def test_a_wrong_url_in_the_registry_is_not_sent_the_key(cluster: Cluster, listener: Listener) -> None:
    cluster.urls["n1"] = listener.url
    cluster.write_registry()
    assert (await cluster.reload()).code == 200
    await cluster.look_at_nodes()
    await cluster.put("/file", b"x" * 10_000)
    assert listener.heard.startswith(b"GET /v1/proof HTTP/1.1\r\n")
    assert KEY.encode() not in listener.heard
    assert b"authorization" not in listener.heard.lower()
