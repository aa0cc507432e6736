"""What operators see and do in the console of a worker: the same as at their port, through the socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from splitd.frontends.admin.reports import StatusReport
from splitd.frontends.console.building import Operating
from splitd.frontends.console.history import Sample, sample_of
from splitd.frontends.http.answers import Refused
from splitd.workers import methods
from splitd.workers.acting import REFUSED
from splitd.workers.calls import Calls
from storaged.http import IRequest
from storaged.system.clocks import WallClock


class SharedOperating:
    """The report, the charts and the actions of the catalog's process.

    :ivar closed: why no action is possible now; empty if actions are possible.
    """

    def __init__(self, calls: Calls, wall: WallClock) -> None:
        self._calls = calls
        self._wall = wall
        self._requests = (0, 0)
        self._actions: dict[str, Mapping[str, Callable[[IRequest], Awaitable[None]]]] = {}
        self.closed = ""

    def operating(self) -> Operating:
        """Return it as the console has it."""
        return Operating(self.status, lambda: self._actions, self._why_closed, self)

    def _why_closed(self) -> str:
        if self.closed or self._calls.greeted:
            return self.closed
        return "the process that keeps the catalog does not answer"

    def learn(self) -> Deferred[None]:
        """Learn which actions there are.

        :return: a Deferred that fires with None when they are known, or the catalog's process does not answer.
        """
        return self._calls.call(methods.OFFERED).addCallbacks(self._offered, lambda _: None)

    def _offered(self, named: dict[str, list[str]]) -> None:
        self._actions = {name: {method: self._action(name, method) for method in of} for name, of in named.items()}

    def _action(self, name: str, method: str) -> Callable[[IRequest], Awaitable[None]]:
        async def send(request: IRequest) -> None:
            status, content_type, body = await self._calls.call(methods.ACT, name, method, request.uri.decode())
            if content_type == REFUSED:
                raise Refused(status, body.decode())
            request.setResponseCode(status)
            request.setHeader("Content-Type", content_type)
            request.setHeader("Content-Length", str(len(body)))
            request.write(body)
            request.finish()

        return send

    async def status(self) -> StatusReport:
        """Return the report of the whole front.

        :raise CatalogAway: the catalog's process does not answer.
        """
        report, self._requests = await self._calls.call(methods.REPORT)
        return report

    def now(self, report: Any) -> Sample:
        """Return a sample of this moment; see `IHistory`."""
        return sample_of(self._wall.now_ms(), report, self._requests)

    def samples(self) -> Deferred[Sequence[Sample]]:
        """Return the samples of the whole front; see `IHistory`."""
        return self._calls.call(methods.SAMPLES)
