"""Traces of requests by OpenTelemetry's API.  Nothing imports this module unless the settings ask for traces.

What is traced gets a wrapper, so a front without traces runs the same code as if there were none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from opentelemetry import context, propagate, trace
from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import directlyProvides, providedBy

from splitd import __version__
from splitd.model.records import Record
from storaged.http import IObservedRequest, IRequest, StreamingResource, reason_of

_Kind = TypeVar("_Kind")


class Tracing:
    """Makes the wrappers of what is traced.

    A request of a client makes a span, within that of the caller if the client sends `traceparent`.  The rest is traced
    inside of requests only: what the front does by itself would be noise.

    :param provider: makes the tracer; None for the one that the environment configures.
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._tracer = trace.get_tracer("splitd", __version__, provider)

    def resource(self, inner: StreamingResource) -> StreamingResource:
        """Return a resource whose requests are spans."""
        return _TracedResource(inner, self._tracer)

    def uploads(self, inner: _Kind) -> _Kind:
        """Return uploads that are spans, from their begin to the commit or the abort."""
        return self._wrapped(inner, begin=lambda *args, **named: self._upload(inner, *args, **named))

    def downloads(self, inner: _Kind) -> _Kind:
        """Return downloads that are spans, until they are closed."""
        return self._wrapped(inner, open=lambda *args, **named: self._download(inner, *args, **named))

    def journal(self, inner: _Kind) -> _Kind:
        """Return a journal whose durable records are spans, until they are acknowledged."""
        append_all = inner.append_all  # type: ignore[attr-defined]

        def traced(records: Sequence[Record], *, durable: bool) -> Deferred[None]:
            if not durable or not records:
                return append_all(records, durable=durable)  # type: ignore[no-any-return]
            said = {"splitd.record": str(records[0].__struct_config__.tag), "splitd.records": len(records)}
            return self._span("journal append", SpanKind.INTERNAL, said, lambda: append_all(records, durable=durable))

        return self._wrapped(inner, append_all=traced)

    def node(self, inner: _Kind, node: str) -> _Kind:
        """Return the store of a node whose small parts travel in spans.

        :param node: the id of the node.
        """

        def traced(name: str) -> Callable[[Any], Deferred[Any]]:
            call = getattr(inner, name)
            return lambda parts: self._span(
                f"node {name}", SpanKind.CLIENT, {"splitd.node": node, "splitd.parts": len(parts)}, lambda: call(parts)
            )

        return self._wrapped(inner, **{name: traced(name) for name in ("put_all", "get_all", "remove_all")})

    def client(self, inner: _Kind) -> _Kind:
        """Return a client of a node whose requests are spans, and tell the node of them (`traceparent`)."""
        request = inner.request  # type: ignore[attr-defined]

        def traced(method: str, path: str, headers: Mapping[Any, Any], body: Any = None) -> Deferred[Any]:
            def send() -> Deferred[Any]:
                more: dict[str, str] = {}
                propagate.inject(more)
                return request(method, path, {**headers, **more}, body).addCallback(  # type: ignore[no-any-return]
                    _noted, trace.get_current_span()
                )

            said = {"http.request.method": method, "url.path": path.partition("?")[0]}
            return self._span(f"node {method}", SpanKind.CLIENT, said, send)

        return self._wrapped(inner, request=traced)

    def _wrapped(self, inner: _Kind, **changed: Callable[..., Any]) -> _Kind:
        return _Wrapper(inner, changed)  # type: ignore[return-value]

    def _span(
        self, name: str, kind: SpanKind, said: Mapping[str, Any], call: Callable[[], Deferred[Any]]
    ) -> Deferred[Any]:
        """Make a call in a span, which ends when its Deferred fires; only make it outside of any request."""
        if not trace.get_current_span().get_span_context().is_valid:
            return call()
        span = self._tracer.start_span(name, kind=kind, attributes=said)
        with _current(span):
            return call().addBoth(_ended, span)

    async def _upload(self, inner: Any, *args: Any, **named: Any) -> Any:
        span = self._tracer.start_span("upload")
        return _wrapped_upload(await _begun(span, inner.begin, *args, **named), span)

    async def _download(self, inner: Any, *args: Any, **named: Any) -> Any:
        span = self._tracer.start_span("download")
        return _wrapped_download(await _begun(span, inner.open, *args, **named), span)


async def _begun(span: Span, begin: Callable[..., Awaitable[Any]], *args: Any, **named: Any) -> Any:
    try:
        with _current(span):
            return await begin(*args, **named)
    except BaseException as problem:
        span.set_status(StatusCode.ERROR, reason_of(problem))
        span.end()
        raise


class _Wrapper:
    """Another object, but for some of its methods; it provides the same interfaces."""

    def __init__(self, inner: Any, changed: Mapping[str, Callable[..., Any]]) -> None:
        self._inner = inner
        self._changed = changed
        directlyProvides(self, providedBy(inner))

    def __getattr__(self, name: str) -> Any:
        return self._changed.get(name) or getattr(self._inner, name)


class _TracedResource(StreamingResource):
    def __init__(self, inner: StreamingResource, tracer: trace.Tracer) -> None:
        super().__init__()
        self._inner = inner
        self._tracer = tracer

    async def respond(self, request: IRequest) -> None:
        """Answer a request in a span."""
        method = request.method.decode("ascii", "replace")
        sent = {name: value for name in ("traceparent", "tracestate") if (value := request.getHeader(name))}
        said = {"http.request.method": method, "url.path": request.uri.decode("ascii", "replace").partition("?")[0]}
        span = self._tracer.start_span(method, context=propagate.extract(sent), kind=SpanKind.SERVER, attributes=said)
        # A coroutine has a context of its own, which those that it starts get a copy of.
        context.attach(trace.set_span_in_context(span))
        try:
            await self._inner.respond(request)
        except BaseException as problem:
            span.set_status(StatusCode.ERROR, reason_of(problem))
            raise
        finally:
            status = cast("IObservedRequest", request).status
            span.set_attribute("http.response.status_code", status)
            if status >= 500:
                span.set_status(StatusCode.ERROR)
            span.end()


def _current(span: Span) -> Any:
    return trace.use_span(span, end_on_exit=False, record_exception=False, set_status_on_exception=False)


def _ended(result: Any, span: Span) -> Any:
    if isinstance(result, Failure):
        span.set_status(StatusCode.ERROR, reason_of(result.value))
    span.end()
    return result


def _noted(answer: Any, span: Span) -> Any:
    span.set_attribute("http.response.status_code", answer.code)
    return answer


def _wrapped_upload(upload: Any, span: Span) -> Any:
    def finish(*said: Any) -> Deferred[Any]:
        with _current(span):
            return upload.finish(*said).addBoth(_ended, span)  # type: ignore[no-any-return]

    def abort(reason: str) -> Deferred[Any]:
        span.set_status(StatusCode.ERROR, reason)
        return upload.abort(reason).addBoth(_ended, span)  # type: ignore[no-any-return]

    return _Wrapper(upload, {"finish": finish, "abort": abort})


def _wrapped_download(opened: Any, span: Span) -> Any:
    download = opened.download

    def close() -> None:
        download.close()
        span.end()

    return type(opened)(opened.manifest, _Wrapper(download, {"close": close}), opened.another)
