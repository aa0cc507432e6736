"""What operators can have done.  Each takes its collaborators as callables, and gives a coroutine for each method."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from splitd.frontends.admin.answers import Query, answer_json
from splitd.frontends.admin.reports import ReloadReport, SweepReport
from splitd.frontends.http.answers import Refused
from splitd.nodes.probe import Found
from splitd.upkeep.rebalance import Plan, Progress
from storaged.http import IRequest

Action = dict[str, Callable[[IRequest], Awaitable[None]]]
"""What can be asked of a path, by the method."""

_MOST = 1e15


def sweep(run: Callable[[bool, float | None], Awaitable[SweepReport]]) -> Action:
    """`POST /sweep[?dry_run=1][&share=S]`.

    :param run: sweeps, or only looks; the share is that of the settings where None.
    """

    async def post(request: IRequest) -> None:
        query = Query(request)
        answer_json(request, 200, await run(query.flag("dry_run"), query.number("share", 0, 1)))

    return {"POST": post}


def reload(run: Callable[[], Awaitable[ReloadReport]]) -> Action:
    """`POST /reload`.

    :param run: reads the registry anew; tells what has changed.
    """

    async def post(request: IRequest) -> None:
        answer_json(request, 200, await run())

    return {"POST": post}


def probe(run: Callable[[str, str], Awaitable[Found]]) -> Action:
    """`POST /probe?id=ID&url=URL`: a POST, for the front connects to an address that the request chooses.

    :param run: asks a server that is no node yet who it is; raises `ValueError` where there can be no such node.
    """

    async def post(request: IRequest) -> None:
        query = Query(request)
        try:
            found = await run(query.text("id"), query.text("url"))
        except ValueError as problem:
            raise Refused(400, str(problem)) from problem
        answer_json(request, 200, found)

    return {"POST": post}


class Rebalancer(Protocol):
    """The calls of `splitd.upkeep.rebalance.Rebalance`."""

    @property
    def under_way(self) -> bool:
        """Whether one is."""

    @property
    def progress(self) -> Progress | None:
        """How it is going."""

    async def plan(self, target: float) -> Plan:
        """What one would do."""

    def start(self, target: float, limit: float | None) -> None:
        """Begin one."""

    async def stop(self) -> None:
        """Stop the one under way."""


def rebalance(rebalancer: Rebalancer, usual_target: float) -> Action:
    """`POST /rebalance[?dry_run=1][&target=T][&limit=BYTES_PER_S]` and `DELETE /rebalance`."""

    async def post(request: IRequest) -> None:
        query = Query(request)
        target = query.number("target", 0.0001, 1)
        target = usual_target if target is None else target
        limit = query.number("limit", 1, _MOST)
        if query.flag("dry_run"):
            answer_json(request, 200, await rebalancer.plan(target))
        else:
            rebalancer.start(target, limit)
            answer_json(request, 202, rebalancer.progress)

    async def delete(request: IRequest) -> None:
        if not rebalancer.under_way:
            raise Refused(404, "no rebalance is under way")
        await rebalancer.stop()
        answer_json(request, 200, rebalancer.progress)

    return {"POST": post, "DELETE": delete}
