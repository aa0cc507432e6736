"""Waits for the nodes that were given parts of small files: for all, but not long for a few slow ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from storaged.parts.errors import StoragedError
from storaged.parts.values import PartInfo

Outcomes: TypeAlias = list[PartInfo | StoragedError]


def all_answers(
    puts: Mapping[str, Deferred[Outcomes]],
    least: int,
    slow_s: float,
    clock: IReactorTime,
    too_slow: Callable[[str], Outcomes],
) -> Deferred[dict[str, Outcomes]]:
    """Wait for the answers of all nodes; once there are enough, only for a while.

    :param puts: the requests by the ids of the nodes; they do not fail.
    :param least: how many answers are enough.
    :param slow_s: how many seconds to wait for the others then.
    :param too_slow: returns the outcomes of a node that has not answered by then.
    :return: a Deferred that fires with the outcomes by the ids of the nodes.
    """
    outcomes: dict[str, Outcomes] = {}
    over: Deferred[dict[str, Outcomes]] = Deferred()
    late: IDelayedCall | None = None

    def answered(outcome: Outcomes, node: str) -> None:
        nonlocal late
        if over.called:
            return
        outcomes[node] = outcome
        if len(outcomes) == len(puts):
            if late is not None:
                late.cancel()
            over.callback(outcomes)
        elif len(outcomes) >= least and late is None:
            late = clock.callLater(slow_s, go_on)

    def go_on() -> None:
        for node in [node for node in puts if node not in outcomes]:
            outcomes[node] = too_slow(node)
        over.callback(outcomes)

    for node, put in puts.items():
        put.addCallback(answered, node)
    return over
