from __future__ import annotations

import os
from io import BytesIO

import pytest
import pytest_twisted
from twisted.internet import defer
from twisted.internet.interfaces import IConsumer
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer

from storaged.parts.format import payload_size
from tests.cluster.cluster import Cluster

STRIPE = 6 * 1024
SIZES = [0, 1, 5, 6, 7, 1024, STRIPE - 1, STRIPE, STRIPE + 1, 5 * STRIPE + 1234, 400_000]


@implementer(IBodyProducer)
class ChunkedBody:
    """A body whose length is not announced."""

    length = UNKNOWN_LENGTH

    def __init__(self, data: bytes, piece: int = 10_000) -> None:
        self._data = data
        self._piece = piece

    def startProducing(self, consumer: IConsumer) -> defer.Deferred[None]:
        for start in range(0, len(self._data), self._piece):
            consumer.write(self._data[start : start + self._piece])
        return defer.succeed(None)

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...

    def stopProducing(self) -> None: ...


@pytest.mark.parametrize("known", [True, False], ids=["length known", "length unknown"])
@pytest.mark.parametrize("size", SIZES)
@pytest_twisted.ensureDeferred
async def test_a_file_comes_back_as_it_went_in(cluster: Cluster, size: int, known: bool) -> None:
    data = os.urandom(size)
    put = await cluster.ask("PUT", "/file", BytesIO(data) if known else ChunkedBody(data))
    assert put.code == 201, put.text
    got = await cluster.ask("GET", "/file")
    assert (got.code, got.body) == (200, data)
    assert got.length == size
    assert got.header("ETag") == put.header("ETag")


@pytest.mark.parametrize("size", SIZES)
@pytest_twisted.ensureDeferred
async def test_six_parts_of_the_same_size_lie_on_six_nodes(cluster: Cluster, size: int) -> None:
    assert (await cluster.ask("PUT", "/file", BytesIO(os.urandom(size)))).code == 201
    held = [list(parts.values()) for parts in cluster.parts().values()]
    if size == 0:
        assert held == [[]] * 6
        return
    assert [len(parts) for parts in held] == [1] * 6
    sizes = [payload_size(parts[0].stat().st_size, cluster.unit) for parts in held]
    assert sum(sizes) == size
    assert max(sizes) - min(sizes) <= 1


@pytest_twisted.ensureDeferred
async def test_downloads_one_after_the_other_use_the_same_connections(cluster: Cluster) -> None:
    await cluster.put("/file", os.urandom(5 * STRIPE + 1234))
    await cluster.get("/file")
    before = [set(node.connections()) for node in cluster.nodes]
    for _ in range(5):
        await cluster.get("/file")
        await cluster.get("/file", Range=f"bytes=0-{STRIPE}")
    assert [set(node.connections()) for node in cluster.nodes] == before


@pytest.mark.parametrize(
    ("kind", "sandboxed"),
    [
        ("text/html", True),
        ("TEXT/HTML; charset=utf-8", True),
        ("image/svg+xml", True),
        ("application/xhtml+xml", True),
        ("text/xml", True),
        ("text/xsl", True),
        ("text/rdf", True),
        ("multipart/x-mixed-replace; boundary=x", True),
        ("text/plain", True),
        ("image/png", True),
        ("application/pdfx", True),
        ("text/html, application/pdf", True),
        ("application/pdf;, text/html", True),
        ("application/pdf; x=y,text/html; charset=utf-8", True),
        ('application/pdf; x="a,text/html', True),
        ("APPLICATION/PDF; x=y", False),
        ("application/pdf", False),
    ],
)
@pytest_twisted.ensureDeferred
async def test_scripts_that_were_stored_are_not_run_in_our_name(cluster: Cluster, kind: str, sandboxed: bool) -> None:
    await cluster.put("/page", b"<script>alert(1)</script>", Content_Type=kind)
    for method, headers in [("GET", {}), ("HEAD", {}), ("GET", {"Range": "bytes=0-3"})]:
        answer = await cluster.ask(method, "/page", **headers)
        assert answer.header("Content-Type") == kind
        assert answer.header("X-Content-Type-Options") == "nosniff"
        assert answer.header("Content-Security-Policy") == ("sandbox" if sandboxed else None)
