"""The time limit for one node to act, and the waits for it that are pending."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from storaged.parts.errors import NodeUnavailable
from storaged.system.stalls import GRACE_S, stood_still

_Answer = TypeVar("_Answer")


class Patience:
    """The time limit of one node, and all pending waits for that node.

    :param clock: schedules calls.
    :param seconds: how long the node may do nothing when it is its turn.
    """

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        self.seconds = seconds
        self.clock = clock
        self.pending: set[Wait] = set()

    def end_waits(self, since: float, problem: NodeUnavailable) -> None:
        """End the waits that began at `since` or before.  To be called when the node is known not to answer.

        Transfers that the node still serves continue, because each piece that it sends or takes begins a new wait.

        :param since: a time of the clock, in seconds.
        :param problem: the error with which the waits end.
        """
        for wait in [wait for wait in self.pending if wait.began <= since]:
            wait.expire(problem)

    def limit(self, asking: Coroutine[Deferred[Any], Any, _Answer], late: str) -> Deferred[_Answer]:
        """Run a coroutine that waits for the node once.

        :param late: the message of the error when the time limit has passed.
        :return: a Deferred that fires with the result of the coroutine.  Cancelling it cancels the coroutine.
        :raise NodeUnavailable: the time limit has passed, or `end_waits` ended the wait.  The coroutine was cancelled.
        """
        problems: list[NodeUnavailable] = []

        def expired(problem: NodeUnavailable | None) -> None:
            problems.append(problem or NodeUnavailable(late))
            answer.cancel()

        def ended(result: Any) -> Any:
            wait.end()
            if problems:
                raise problems[0]
            return result

        answer = Deferred.fromCoroutine(asking)
        wait = Wait(self, expired)
        if not answer.called:
            wait.begin()
        return answer.addBoth(ended)


class Wait:
    """One wait for the node: it is the node's turn from `begin` to `end`.

    :param expired: called with None when it was the node's turn for the time limit without a break; called with the
        reason when `Patience.end_waits` ends the wait.
    """

    def __init__(self, patience: Patience, expired: Callable[[NodeUnavailable | None], None]) -> None:
        self._patience = patience
        self._expired = expired
        self._call: IDelayedCall | None = None

    @property
    def seconds(self) -> float:
        """The time limit in seconds."""
        return self._patience.seconds

    @property
    def began(self) -> float:
        """The time of the clock at the last `begin`, in seconds."""
        assert self._call is not None
        return self._call.getTime() - self._patience.seconds

    def begin(self) -> None:
        """Begin the node's turn; if it has begun already, begin it again."""
        self.end()
        self._call = self._patience.clock.callLater(self._patience.seconds, self._due)
        self._patience.pending.add(self)

    def _due(self) -> None:
        assert self._call is not None
        clock = self._patience.clock
        if stood_still(clock, self._call.getTime()):
            self._call = clock.callLater(GRACE_S, self.expire, None)
        else:
            self.expire(None)

    def end(self) -> None:
        """End the node's turn: it has done its part.  May be called again."""
        call, self._call = self._call, None
        if call is not None:
            self._patience.pending.discard(self)
            if call.active():
                call.cancel()

    def expire(self, problem: NodeUnavailable | None) -> None:
        """End the wait, and call `expired`."""
        self.end()
        self._expired(problem)
