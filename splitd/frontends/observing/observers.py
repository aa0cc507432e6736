"""What the front observes of its requests, put together."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from prometheus_client.core import CounterMetricFamily, Metric
from twisted.internet.defer import Deferred

from splitd.frontends.observing.lines import CHANGES, COMBINED, audit_line, combined_line, json_line
from splitd.frontends.observing.metrics import Lag, RequestMetrics
from storaged.http import IObservedRequest
from storaged.system.clocks import WallClock
from storaged.system.log_file import LogFile
from storaged.system.os_errors import os_reason
from storaged.system.settings import SettingsError

_InThread = Callable[[Callable[[], Any]], Deferred[Any]]


class Observing:
    """The metrics and logs of all requests of the front.

    :param access_log: the file that gets a line for each request of clients; empty for none.
    :param access_format: COMBINED or JSON.
    :param audit_log: the file that gets a line for each change, of clients and of operators; empty for none.
    :param in_thread: runs a call in a thread.
    :ivar clients: observes the front door.
    :ivar operators: observes the operators' port.
    """

    def __init__(
        self, access_log: str, access_format: str, audit_log: str, in_thread: _InThread, reactor: Any, wall: WallClock
    ) -> None:
        self._metrics = RequestMetrics(reactor)
        self._lag = Lag(reactor)
        self._logs = {
            name: LogFile(path, in_thread, reactor)
            for name, path in (("access", access_log), ("audit", audit_log))
            if path
        }
        access, audit = self._logs.get("access"), self._logs.get("audit")
        names = _Names()
        self.clients = _Observer(names, self._metrics, access, access_format, audit, reactor, wall)
        self.operators = _Observer(names, None, None, access_format, audit, reactor, wall)

    def start(self) -> None:
        """Begin to observe.

        :raise SettingsError: a log cannot be written.
        """
        for name, log in self._logs.items():
            try:
                log.start()
            except OSError as problem:
                raise SettingsError(f"{name}_log: {log.path}: {os_reason(problem)}") from problem
        self._lag.start()

    async def stop(self) -> None:
        """Write what waits, and stop."""
        await self._lag.stop()
        for log in self._logs.values():
            await log.stop()

    def totals(self) -> tuple[int, int]:
        """Return how many requests of clients were answered, and how many of them by a fault of the server."""
        return self._metrics.totals()

    def measure(self) -> Iterator[Metric]:
        """Yield what was counted, for Prometheus."""
        yield from self._metrics.measure()
        yield from self._lag.measure()
        dropped = CounterMetricFamily(
            "splitd_log_dropped_lines", "Lines of a log that could not be written.", labels=["log"]
        )
        for name, log in self._logs.items():
            dropped.add_metric([name], float(log.dropped))
        yield dropped


class _Names:
    """Names requests: each name is used once, also by other fronts."""

    def __init__(self) -> None:
        self._prefix = os.urandom(5).hex()
        self._numbers = count(1)

    def next(self) -> str:
        return f"{self._prefix}-{next(self._numbers):x}"


class _Observer:
    """Counts each request of a site, names it, and writes it to the logs that are wanted."""

    def __init__(
        self,
        names: _Names,
        metrics: RequestMetrics | None,
        access_log: LogFile | None,
        access_format: str,
        audit_log: LogFile | None,
        clock: Any,
        wall: WallClock,
    ) -> None:
        self._names = names
        self._metrics = metrics
        self._access_log = access_log
        self._line = combined_line if access_format == COMBINED else json_line
        self._audit_log = audit_log
        self._clock = clock
        self._wall = wall

    def began(self, request: IObservedRequest) -> None:
        """Name a request, in the logs and in its answer."""
        if self._metrics is not None:
            self._metrics.began(request)
        name = request.id = self._names.next()
        request.setHeader("X-Request-Id", name)

    def ended(self, request: IObservedRequest, *, whole: bool) -> None:
        """Take note of the end of a request."""
        if self._metrics is not None:
            self._metrics.ended(request, whole=whole)
        if self._access_log is not None:
            seconds = self._clock.seconds() - request.began_s
            self._access_log.write(self._line(request, seconds, self._wall.now_ms(), whole=whole))
        if self._audit_log is not None and request.method in CHANGES and request.status < 300:
            self._audit_log.write(audit_line(request, self._wall.now_ms()))

    def refused(self, status: int, peer: str) -> None:
        """Take note of a connection that was refused before its first whole head."""
        if self._metrics is not None:
            self._metrics.refused(status, peer)
