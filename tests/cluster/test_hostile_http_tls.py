"""Over TLS, bytes still come on a connection that was refused: they are not taken for requests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import SSL4ClientEndpoint, connectProtocol
from twisted.internet.ssl import CertificateOptions

from tests.certificates import write_certificate
from tests.cluster.cluster import Cluster
from tests.cluster.hostile import KEPT, SMUGGLED
from tests.cluster.raw import RawClient

# Twisted still passes pyOpenSSL objects that it makes itself.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")


@pytest.fixture
def front(make_cluster: Callable[..., Cluster], tmp_path: Path) -> Cluster:
    """A cluster that clients reach only over TLS."""
    pem = tmp_path / "front.pem"
    write_certificate(pem)
    cluster = make_cluster(listen=f"ssl:0:interface=127.0.0.1:privateKey={pem}:certKey={pem}")
    pytest_twisted.blockon(Deferred.fromCoroutine(cluster.start()))
    return cluster


async def connect(front: Cluster) -> RawClient:
    from twisted.internet import reactor

    return await connectProtocol(
        SSL4ClientEndpoint(reactor, "127.0.0.1", front.port, CertificateOptions()), RawClient()
    )


async def put_kept(front: Cluster) -> None:
    client = await connect(front)
    client.begin("PUT", "/kept", f"Content-Length: {len(KEPT)}", "Connection: close")
    client.send(KEPT)
    assert (await client.answer()).code in {201, 204}
    await client.until_ended()


PUT = b"PUT /kept HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n"


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(b"PUT /kept\r\n", id="a first line"),
        pytest.param(PUT + b"X : y\r\nY: z\r\n", id="a header"),
        pytest.param(PUT + b"Transfer-Encoding: chunked\r\nY: z\r\n", id="two lengths"),
        pytest.param(PUT.replace(b"Content-Length: 3", b"Transfer-Encoding: chunked") + b"\r\nx\r\n", id="a chunk"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_comes_after_a_refusal_is_not_read(front: Cluster, lines: bytes) -> None:
    await put_kept(front)
    client = await connect(front)
    # More than one record of TLS: the last ones come to a connection that is ending already.
    client.send(lines, b"\r\nabc", SMUGGLED, bytes(20_000))
    assert (await client.answer()).code == 400
    assert await client.until_ended() == b""
    client = await connect(front)
    client.begin("GET", "/kept", "Connection: close")
    assert (await client.answer()).body == KEPT
    await client.until_ended()
