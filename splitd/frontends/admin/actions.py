"""The actions that operators can request.  Each function here takes its collaborators as callables, and returns a
coroutine function for each method.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from twisted.internet.defer import Deferred

from splitd.frontends.admin.action_reports import ReloadReport
from splitd.frontends.admin.answers import Query, answer_json
from splitd.frontends.admin.reports import SweepReport
from splitd.frontends.http.answers import Refused
from splitd.nodes.probe import Found
from splitd.upkeep.heal.report import HealReport
from splitd.upkeep.rebalance import REBALANCE, Plan, Progress
from splitd.upkeep.scrubs import ScrubsReport
from splitd.upkeep.sweep import SWEEP
from storaged.http import IRequest

Action = dict[str, Callable[[IRequest], Awaitable[None]]]
"""What a path does for each method: a coroutine function, by the name of the method."""

_MOST = 1e15


Settle = Callable[[str], Awaitable[str]]
"""Forgets a task that ended with its front, given its name, and returns what there is to say of it; empty if there is
none.  It raises `DoneElsewhere` if another front does it.
"""


def sweep(
    run: Callable[[bool, float | None], Awaitable[SweepReport]], end: Callable[[], Deferred[bool]], settle: Settle
) -> Action:
    """Provide `POST /sweep[?dry_run=1][&share=S]` and `DELETE /sweep`.

    :param run: sweeps.  Its arguments are whether only to report, and the share of a node's parts that may be orphans;
        None means the share in the settings.
    :param end: ends the sweep that is under way, and returns whether there was one.
    """

    async def post(request: IRequest) -> None:
        query = Query(request)
        answer_json(request, 200, await run(query.flag("dry_run"), query.number("share", 0, 1)))

    async def delete(request: IRequest) -> None:
        if not await end():
            raise Refused(404, await settle(SWEEP) or "no sweep is under way")
        answer_json(request, 200, {"ended": True})

    return {"POST": post, "DELETE": delete}


def reload(run: Callable[[], Awaitable[ReloadReport]]) -> Action:
    """Provide `POST /reload`.

    :param run: reads the registry again, and returns what has changed.
    """

    async def post(request: IRequest) -> None:
        answer_json(request, 200, await run())

    return {"POST": post}


def probe(run: Callable[[str, str], Awaitable[Found]]) -> Action:
    """Provide `POST /probe?id=ID&url=URL`.  It is a POST because the front connects to an address that the request
    chooses.

    :param run: asks a server that is not a node yet for its identity, given the id and the URL; raises `ValueError` if
        no node can have this id or URL.
    """

    async def post(request: IRequest) -> None:
        query = Query(request)
        try:
            found = await run(query.text("id"), query.text("url"))
        except ValueError as problem:
            raise Refused(400, str(problem)) from problem
        answer_json(request, 200, found)

    return {"POST": post}


class Healing(Protocol):
    """The calls of `splitd.upkeep.heal.healer.Healer` that the action needs."""

    async def set_limit(self, limit: float | None) -> None:
        """Set the most bytes per second; 0 for no limit, None for the one in the settings."""

    def pause(self) -> Awaitable[None]:
        """End all work, and let no front begin any until `resume`."""

    async def resume(self) -> None:
        """Go on after `pause`."""

    async def report(self) -> HealReport:
        """Return the state of the heal."""


def heal(healer: Healing) -> Action:
    """Provide `DELETE /heal`, which pauses the heal, `POST /heal`, which resumes it, and
    `POST /heal?limit=BYTES_PER_S`, which only limits it; 0 stands for no limit, `usual` for the setting.
    """

    async def post(request: IRequest) -> None:
        query = Query(request)
        if query.is_one("limit", "usual"):
            await healer.set_limit(None)
        elif (limit := query.number("limit", 0, _MOST)) is not None:
            await healer.set_limit(limit)
        else:
            await healer.resume()
        answer_json(request, 200, await healer.report())

    async def delete(request: IRequest) -> None:
        await healer.pause()
        answer_json(request, 200, await healer.report())

    return {"POST": post, "DELETE": delete}


def scrub(pause: Callable[[], Awaitable[ScrubsReport]], resume: Callable[[], Awaitable[ScrubsReport]]) -> Action:
    """Provide `DELETE /scrub`, which pauses the scrubs of all nodes, and `POST /scrub`, which resumes them.

    :param pause: pauses them, and returns what became of each.
    :param resume: resumes them, and returns the same.
    """

    async def post(request: IRequest) -> None:
        answer_json(request, 200, await resume())

    async def delete(request: IRequest) -> None:
        answer_json(request, 200, await pause())

    return {"POST": post, "DELETE": delete}


class Rebalancer(Protocol):
    """The calls of `splitd.upkeep.rebalance.Rebalance` that the action needs."""

    @property
    def under_way(self) -> bool:
        """Whether a rebalance is in progress."""

    @property
    def progress(self) -> Progress | None:
        """The progress of the rebalance in progress, or of the last one; None before the first."""

    async def plan(self, target: float) -> Plan:
        """Compute what a rebalance would do.

        :param target: the spread to reach, as a share of a node.
        """

    async def start(self, target: float, limit: float | None) -> None:
        """Start a rebalance.

        :param target: the spread to reach, as a share of a node.
        :param limit: bytes per second at most; None for no limit.
        """

    async def stop(self) -> None:
        """Stop the rebalance in progress."""


def rebalance(rebalancer: Rebalancer, usual_target: float, settle: Settle) -> Action:
    """Provide `POST /rebalance[?dry_run=1][&target=T][&limit=BYTES_PER_S]` and `DELETE /rebalance`.

    :param usual_target: the target if the request names none.
    """

    async def post(request: IRequest) -> None:
        query = Query(request)
        target = query.number("target", 0.0001, 1)
        target = usual_target if target is None else target
        limit = query.number("limit", 1, _MOST)
        if query.flag("dry_run"):
            answer_json(request, 200, await rebalancer.plan(target))
        else:
            await rebalancer.start(target, limit)
            answer_json(request, 202, rebalancer.progress)

    async def delete(request: IRequest) -> None:
        if not rebalancer.under_way:
            raise Refused(404, await settle(REBALANCE) or "no rebalance is under way")
        await rebalancer.stop()
        answer_json(request, 200, rebalancer.progress)

    return {"POST": post, "DELETE": delete}
