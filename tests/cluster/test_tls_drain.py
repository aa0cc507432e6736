"""A stop does not wait for connections over TLS whose handshakes are not done, or that never send a request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_twisted
from OpenSSL import SSL
from twisted.internet.defer import Deferred

from tests.certificates import write_pair
from tests.cluster.cluster import Cluster
from tests.cluster.raw import RawClient, connect
from tests.cluster.waiting import eventually

LINGER_S = 0.2
LONG_S = 3_600.0


@pytest.fixture
def make_front(make_cluster: Callable[..., Cluster], tmp_path: Path) -> Callable[..., Awaitable[Cluster]]:
    """A function that starts a cluster whose front waits for an hour before it cuts connections."""
    write_pair(tmp_path / "a.pem", "one.example")

    async def make() -> Cluster:
        listen = f"tls:{tmp_path}:0:interface=127.0.0.1"
        limits = {"stop_timeout_s": LONG_S, "head_timeout_s": LONG_S, "idle_timeout_s": LONG_S}
        cluster = make_cluster(listen=listen, **limits)
        await cluster.start()
        return cluster

    return make


@attrs.define
class Handshake:
    """The client's side of a handshake, which the test takes as far as it wants."""

    client: RawClient
    tls: Any = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.tls = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        self.tls.set_connect_state()
        self._step()

    def _step(self) -> None:
        with suppress(SSL.WantReadError):
            self.tls.do_handshake()

    def hello(self) -> bytes:
        """Return the first message."""
        return bytes(self.tls.bio_read(65_536))

    async def finish(self) -> None:
        """Answer the server's messages; the server has then all that it needs."""
        await self.client.until(lambda: len(self.client.received) > 0)
        while not self.client.ended:
            self.tls.bio_write(bytes(self.client.received))
            self.client.received.clear()
            try:
                self.tls.do_handshake()
            except SSL.WantReadError:
                seen = self.client.total
                await self.client.until(lambda seen=seen: self.client.total > seen)  # type: ignore[misc]
                continue
            break
        self.client.send(self.tls.bio_read(65_536))


async def connected(front: Cluster) -> RawClient:
    """A client that the front has accepted."""
    site = front.front.endpoints.site  # type: ignore[union-attr]
    before = len(site.connections())
    client = await connect(front.port)
    await eventually(lambda: len(site.connections()) == before + 1)
    return client


@pytest.mark.parametrize("linger_s", [0, LINGER_S])
@pytest_twisted.ensureDeferred
async def test_unfinished_handshakes_end_with_a_stop(
    make_front: Callable[..., Awaitable[Cluster]], linger_s: float
) -> None:
    front = await make_front()
    silent, half, waiting = [await connected(front) for _ in range(3)]
    hello = Handshake(half).hello()
    half.send(hello[: len(hello) // 2])
    waiting.send(Handshake(waiting).hello())
    await waiting.until(lambda: len(waiting.received) > 0)
    drained = front.front.endpoints.site.drain(linger_s)  # type: ignore[union-attr]
    await drained
    for client in (silent, half, waiting):
        await client.until_ended()


@pytest_twisted.ensureDeferred
async def test_a_handshake_that_ends_during_a_stop_gives_no_more_time(
    make_front: Callable[..., Awaitable[Cluster]],
) -> None:
    front = await make_front()
    client = await connected(front)
    handshake = Handshake(client)
    client.send(handshake.hello())
    await client.until(lambda: len(client.received) > 0)
    drained: Deferred[None] = front.front.endpoints.site.drain(LINGER_S)  # type: ignore[union-attr]
    await handshake.finish()
    await drained
    await client.until_ended()


@pytest_twisted.ensureDeferred
async def test_an_empty_line_during_a_stop_gives_no_more_time(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(stop_timeout_s=LONG_S, idle_timeout_s=LONG_S)
    await cluster.start()
    client = await connected(cluster)
    drained = cluster.front.endpoints.site.drain(LINGER_S)  # type: ignore[union-attr]
    client.send(b"\r")
    client.send(b"\n")
    await drained
    await client.until_ended()
