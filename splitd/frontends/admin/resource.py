"""The front door for operators: is it alive, is it ready, how is it doing; and what to do now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from splitd.errors import SplitdError, SweepUnderWay
from storaged.streaming import StreamingRequest, StreamingResource

_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"


class _Refused(Exception):
    """The request cannot be meant.

    :param status: the answer's.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class AdminResource(StreamingResource):
    """Answers every request on the operators' port.

    :param problems: why the front is not ready, one sentence each; none when it is.
    :param status: everything there is to tell, as values that JSON has.
    :param metrics: the same for Prometheus.
    :param sweep: sweeps, or only looks; the share is that of the settings where None.  Its findings are values that
        JSON has.
    """

    def __init__(
        self,
        problems: Callable[[], list[str]],
        status: Callable[[], dict[str, Any]],
        metrics: CollectorRegistry,
        sweep: Callable[[bool, float | None], Awaitable[dict[str, Any]]],
    ) -> None:
        super().__init__()
        self._problems = problems
        self._status = status
        self._metrics = metrics
        self._sweep = sweep

    async def respond(self, request: StreamingRequest) -> None:
        """Answer a request."""
        try:
            await self._dispatch(request)
        except _Refused as problem:
            _answer(request, problem.status, _TEXT, f"{problem}\n".encode())
        except SweepUnderWay as problem:
            _answer(request, 409, _TEXT, f"{problem}\n".encode())
        except SplitdError as problem:
            _answer(request, 503, _TEXT, f"{problem}\n".encode())
        except Exception as problem:
            self._log.failure("{method} {uri}", method=request.method, uri=request.uri)
            _answer(request, 500, _TEXT, f"{type(problem).__name__}: {problem}\n".encode())

    async def _dispatch(self, request: StreamingRequest) -> None:
        looks = {b"/health": self._health, b"/ready": self._ready, b"/status": self._tell, b"/metrics": self._measure}
        look = looks.get(request.path)
        if look is not None:
            _require(request, {b"GET", b"HEAD"}, "this can only be read")
            look(request)
        elif request.path == b"/sweep":
            _require(request, {b"POST"}, "POST sweeps, and with dry_run=1 only looks")
            await self._run_sweep(request)
        else:
            raise _Refused(404, "here are /health, /ready, /status, /metrics and /sweep")

    def _health(self, request: StreamingRequest) -> None:
        _answer(request, 200, "text/plain", b"ok\n")

    def _ready(self, request: StreamingRequest) -> None:
        problems = self._problems()
        if problems:
            _answer(request, 503, _TEXT, "".join(f"{each}\n" for each in problems).encode())
        else:
            _answer(request, 200, "text/plain", b"ready\n")

    def _tell(self, request: StreamingRequest) -> None:
        _answer(request, 200, _JSON, msgspec.json.encode(self._status()) + b"\n")

    def _measure(self, request: StreamingRequest) -> None:
        _answer(request, 200, CONTENT_TYPE_LATEST, generate_latest(self._metrics))

    async def _run_sweep(self, request: StreamingRequest) -> None:
        asked = parse_qs(urlsplit(request.uri.decode("ascii", "replace")).query)
        dry_run = asked.get("dry_run", ["0"])[-1]
        if dry_run not in {"0", "1"}:
            raise _Refused(400, f"dry_run={dry_run!r}: should be 0 or 1")
        share: float | None = None
        if "share" in asked:
            try:
                share = float(asked["share"][-1])
            except ValueError:
                share = -1
            if not 0 <= share <= 1:
                raise _Refused(400, f"share={asked['share'][-1]!r}: should be 0 to 1")
        findings = await self._sweep(dry_run == "1", share)
        _answer(request, 200, _JSON, msgspec.json.encode(findings) + b"\n")


def _require(request: StreamingRequest, methods: set[bytes], sentence: str) -> None:
    if request.method not in methods:
        request.setHeader("Allow", b", ".join(sorted(methods)))
        raise _Refused(405, sentence)


def _answer(request: StreamingRequest, status: int, content_type: str, body: bytes) -> None:
    request.setResponseCode(status)
    request.setHeader("Content-Type", content_type)
    request.setHeader("Content-Length", str(len(body)))
    if request.method != b"HEAD":
        request.write(body)
    request.finish()
