"""The front door for operators: is it alive, is it ready, how is it doing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from twisted.web.resource import Resource
from twisted.web.server import Request


class AdminResource(Resource):
    """Answers every request on the operators' port.

    :param problems: why the front is not ready, one sentence each; none when it is.
    :param status: everything there is to tell, as values that JSON has.
    :param metrics: the same for Prometheus.
    """

    isLeaf = True

    def __init__(
        self, problems: Callable[[], list[str]], status: Callable[[], dict[str, Any]], metrics: CollectorRegistry
    ) -> None:
        super().__init__()
        self._problems = problems
        self._status = status
        self._metrics = metrics

    def render(self, request: Request) -> bytes:
        """Answer a request."""
        answers = {b"/health": self._health, b"/ready": self._ready, b"/status": self._tell, b"/metrics": self._measure}
        chosen = answers.get(request.path)
        if chosen is None:
            return _answer(request, 404, "text/plain", b"here are /health, /ready, /status and /metrics\n")
        if request.method not in {b"GET", b"HEAD"}:
            request.setHeader("Allow", "GET, HEAD")
            return _answer(request, 405, "text/plain", b"this can only be read\n")
        return chosen(request)

    def _health(self, request: Request) -> bytes:
        return _answer(request, 200, "text/plain", b"ok\n")

    def _ready(self, request: Request) -> bytes:
        problems = self._problems()
        if problems:
            return _answer(
                request, 503, "text/plain; charset=utf-8", "".join(f"{each}\n" for each in problems).encode()
            )
        return _answer(request, 200, "text/plain", b"ready\n")

    def _tell(self, request: Request) -> bytes:
        return _answer(request, 200, "application/json", msgspec.json.encode(self._status()) + b"\n")

    def _measure(self, request: Request) -> bytes:
        return _answer(request, 200, CONTENT_TYPE_LATEST, generate_latest(self._metrics))


def _answer(request: Request, status: int, content_type: str, body: bytes) -> bytes:
    request.setResponseCode(status)
    request.setHeader("Content-Type", content_type)
    request.setHeader("Content-Length", str(len(body)))
    return body
