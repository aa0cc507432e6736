"""Counts requests, for Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from splitd.frontends.observing.distribution import Distribution
from storaged.http import IObservedRequest
from storaged.system.periodic import Periodic

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_BYTES = tuple(4.0**power for power in range(5, 19))  # 1 KiB to 64 GiB
_LAGS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_LAG_EVERY_S = 0.25
_METHODS = frozenset(
    {
        b"GET",
        b"HEAD",
        b"PUT",
        b"DELETE",
        b"OPTIONS",
        b"MKCOL",
        b"COPY",
        b"MOVE",
        b"PROPFIND",
        b"PROPPATCH",
        b"LOCK",
        b"UNLOCK",
        b"POST",
        b"PATCH",
    }
)
_CUT = "cut"
"""The status of answers that were not whole; a client that left, most often."""


class RequestMetrics:
    """Counts the requests of a site.  Methods that are none count as "other", so that clients add no time series."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._requests: Counter[tuple[bytes, int]] = Counter()  # by method and status; 0 for answers that were cut
        self._under_way = 0
        self._seconds: dict[bytes, Distribution] = {}
        self._sizes = {b"PUT": Distribution(_BYTES), b"GET": Distribution(_BYTES)}
        self._received = self._sent = 0

    def began(self, request: IObservedRequest) -> None:  # noqa: ARG002 - the seam's
        """Count a request as under way."""
        self._under_way += 1

    def ended(self, request: IObservedRequest, *, whole: bool) -> None:
        """Count a request."""
        self._under_way -= 1
        method = request.method
        if method not in _METHODS:
            method = b"other"
        status = request.status
        self._requests[method, status if whole else 0] += 1
        seconds = self._seconds.get(method)
        if seconds is None:
            seconds = self._seconds[method] = Distribution(_SECONDS)
        seconds.add(self._clock.seconds() - request.began_s)
        received, sent = request.body.size, request.sent
        self._received += received
        self._sent += sent
        if whole and status < 300 and method in self._sizes:
            self._sizes[method].add(received if method == b"PUT" else sent)

    def refused(self, status: int, peer: str) -> None:  # noqa: ARG002 - the seam's
        """Count a connection that was refused before its first whole head."""
        self._requests[b"none", status] += 1

    def totals(self) -> tuple[int, int]:
        """Return how many requests were answered since the start, and how many of them by a fault of the server."""
        failed = sum(count for (_, status), count in self._requests.items() if status // 100 == 5)
        return sum(self._requests.values()), failed

    def measure(self) -> Iterator[Metric]:
        """Yield the counts."""
        requests = CounterMetricFamily(
            "splitd_requests", "Requests that were answered, by method and status.", labels=["method", "status"]
        )
        counts = {
            (method.decode(), str(status) if status else _CUT): count
            for (method, status), count in self._requests.items()
        }
        for labels, count in sorted(counts.items()):
            requests.add_metric(labels, float(count))
        yield requests
        yield GaugeMetricFamily(
            "splitd_requests_under_way", "Requests that are being answered.", value=float(self._under_way)
        )
        yield CounterMetricFamily(
            "splitd_request_received_bytes", "Bytes of the bodies of requests.", value=float(self._received)
        )
        yield CounterMetricFamily(
            "splitd_answer_sent_bytes", "Bytes of the bodies of answers.", value=float(self._sent)
        )
        yield _histogram(
            "splitd_request_seconds",
            "From the head of a request to the end of its answer.",
            "method",
            _by_name(self._seconds),
        )
        yield _histogram(
            "splitd_transfer_bytes",
            "Sizes of what was stored (PUT) and answered (GET).",
            "method",
            _by_name(self._sizes),
        )


class Lag:
    """Measures how late the event loop is: a call that is due waits for so long until it runs."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._lags = Distribution(_LAGS)
        self._due = 0.0
        self._periodic = Periodic(self._look, _LAG_EVERY_S, clock, "measuring the lag")

    def start(self) -> None:
        """Begin to measure."""
        self._due = self._clock.seconds() + _LAG_EVERY_S
        self._periodic.start()

    def stop(self) -> Any:
        """Stop; see `Periodic.stop`."""
        return self._periodic.stop()

    def _look(self) -> None:
        now = self._clock.seconds()
        late = max(0.0, now - self._due)
        self._lags.add(late)
        # The next round comes at the next multiple of the interval.
        self._due = now + _LAG_EVERY_S - late % _LAG_EVERY_S

    def measure(self) -> Iterator[Metric]:
        """Yield what was measured."""
        yield _histogram(
            "splitd_reactor_lag_seconds", "How late the event loop runs what is due.", None, {"": self._lags}
        )


def _by_name(distributions: dict[bytes, Distribution]) -> dict[str, Distribution]:
    return {method.decode(): each for method, each in distributions.items()}


def _histogram(
    name: str, text: str, label: str | None, distributions: dict[str, Distribution]
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, text, labels=[label] if label else [])
    for value, each in sorted(distributions.items()):
        family.add_metric([value] if label else [], each.buckets(), each.total)
    return family
