"""Traces of requests, as OpenTelemetry's own exporter in memory gets them."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest_twisted
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from twisted.internet.defer import Deferred, succeed

from splitd.tracing import Tracing
from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.test_journal_copies import cluster_of
from tests.cluster.waiting import eventually

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


class Traced:
    """The spans of a cluster whose front is traced."""

    def __init__(self, cluster: Cluster) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        cluster.tracing = Tracing(provider)

    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    async def request(self, method: str, number: int = 0) -> ReadableSpan:
        """Wait for the span of a request of a method, by its number among these; it ends after the answer."""
        found: list[ReadableSpan] = []

        def ended() -> bool:
            found[:] = [span for span in self.spans() if span.name == method and span.kind is SpanKind.SERVER]
            return len(found) > number

        await eventually(ended, f"the span of {method}")
        return found[number]

    def below(self, parent: ReadableSpan) -> list[ReadableSpan]:
        """Return all spans inside of a span."""
        inside = {parent.context.span_id}
        spans = self.spans()
        for _ in spans:
            inside |= {span.context.span_id for span in spans if span.parent and span.parent.span_id in inside}
        return [span for span in spans if span.context.span_id in inside and span is not parent]


def names(spans: list[ReadableSpan]) -> Counter[str]:
    return Counter(span.name for span in spans)


@pytest_twisted.ensureDeferred
async def test_a_request_has_spans_for_all_that_it_waits_for(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster()
    traced = Traced(cluster)
    await cluster.start()
    sent = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    assert (await cluster.put("/a", b"x" * 20_000, **sent)).code == 201
    put = await traced.request("PUT")
    assert put.parent is not None
    assert (f"{put.context.trace_id:032x}", f"{put.parent.span_id:016x}") == (TRACE, PARENT)
    assert dict(put.attributes or {}) == {
        "http.request.method": "PUT",
        "url.path": "/a",
        "http.response.status_code": 201,
    }
    await eventually(lambda: len(traced.below(put)) == 8, "the spans of PUT")
    assert names(traced.below(put)) == {"upload": 1, "node PUT": 6, "journal append": 1}
    assert (await cluster.get("/a")).body == b"x" * 20_000
    get = await traced.request("GET")
    assert get.parent is None
    assert names(traced.below(get)) == {"download": 1, "node GET": 6}
    nodes = [span for span in traced.below(get) if span.name != "download"]
    assert {span.kind for span in nodes} == {SpanKind.CLIENT}
    assert {(span.attributes or {})["http.response.status_code"] for span in nodes} == {206}


class Client:
    """A client of a node that keeps the headers of its requests."""

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []

    def request(self, _: str, __: str, headers: dict[str, str], ___: object = None) -> Deferred[Any]:
        self.headers.append(headers)
        return succeed(SimpleNamespace(code=204))


def test_nodes_are_told_of_the_trace_and_only_of_one() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    inner = Client()
    client = Tracing(provider).client(inner)
    with provider.get_tracer("test").start_as_current_span("request"):
        client.request("GET", "/v1/parts/x.0?a=1", {"x": "y"})
    client.request("GET", "/health", {"x": "y"})  # outside of a request
    [sent, _] = exporter.get_finished_spans()
    assert sent.attributes == {
        "http.request.method": "GET", "url.path": "/v1/parts/x.0", "http.response.status_code": 204
    }  # fmt: skip
    parent = f"00-{sent.context.trace_id:032x}-{sent.context.span_id:016x}-{sent.context.trace_flags:02x}"
    assert inner.headers == [{"x": "y", "traceparent": parent}, {"x": "y"}]


@pytest_twisted.ensureDeferred
async def test_small_files_and_failures_are_traced(tmp_path: Any) -> None:
    async with cluster_of(tmp_path, journal_copies=0, small_part=Size(4096)) as cluster:
        traced = Traced(cluster)
        await cluster.restart_front()
        assert (await cluster.put("/a", b"small")).code == 201
        put = await traced.request("PUT")
        assert names(traced.below(put)) == {"upload": 1}  # it is stored with others, on nobody's behalf
        await cluster.restart_front()  # so that nothing is cached
        assert (await cluster.ask("HEAD", "/a")).code == 200
        assert (await cluster.get("/a", Range="bytes=1-3")).body == b"mal"
        small = await traced.request("GET")
        assert names(traced.below(small)).keys() == {"download", "node get_all"}
        assert (await cluster.get("/missing")).code == 404
        missing = await traced.request("GET", 1)
        assert (missing.attributes or {})["http.response.status_code"] == 404
        assert missing.status.is_unset
        cluster.journal_filesystem.fails_sync = True
        assert (await cluster.ask("MKCOL", "/c")).code == 503
        made = await traced.request("MKCOL")
        assert not made.status.is_ok
        assert not made.status.is_unset
        [append] = traced.below(made)
        assert (append.name, (append.attributes or {})["splitd.record"]) == ("journal append", "collection-made")
        assert "cannot be written" in (append.status.description or "")


def test_a_front_without_traces_imports_nothing_of_them() -> None:
    code = "import sys, splitd.service; print([name for name in sys.modules if 'opentelemetry' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
