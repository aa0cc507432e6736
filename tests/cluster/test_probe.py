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

from storaged.parts import wire
from storaged.parts.proofs import format_proof
from tests.cluster.cluster import Cluster
from tests.cluster.node import KEY


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
        ("200 OK", json.dumps({"nonce": "ab" * 32, "proof": "cd" * 32}).encode(), 409, "did not prove that it knows"),
        ("200 OK", json.dumps({"nonce": KEY, "proof": ""}).encode(), 503, "not the part protocol"),
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
async def test_a_proof_is_good_for_a_first_look_alone(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    url = f"http://127.0.0.1:{node.port}"
    nonce = "ab" * 32
    answer = await cluster.ask("GET", url + wire.PROOF_PATH, Splitd_Nonce=nonce)
    given = json.loads(answer.body)
    assert (answer.code, sorted(given)) == (200, ["nonce", "proof"])
    assert KEY.encode() not in answer.body
    part = f"{'3f' * 16}.0"
    for method, path, code in [
        ("GET", "/v1/node", 200),
        ("GET", "/v1/parts?after=&limit=1", 200),
        ("GET", f"/v1/parts/{part}", 401),
        ("HEAD", f"/v1/parts/{part}", 401),
        ("PUT", f"/v1/parts/{part}", 401),
        ("DELETE", f"/v1/parts/{part}", 401),
        ("POST", f"/v1/trash/{part}", 401),
        ("GET", "/v1/link", 401),
    ]:
        header = format_proof(KEY, nonce, given["nonce"], f"{method} {path}")
        assert (await cluster.ask(method, url + path, Authorization=header)).code == code
    assert (await cluster.ask("GET", url + wire.PROOF_PATH)).code == 400
