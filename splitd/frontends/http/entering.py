"""Lets each request in by the limits once, also if a second way to answer it takes over from a first one."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail

from splitd.errors import SplitdError
from splitd.frontends.http.limits import RequestLimits
from storaged.http import IRequest


class Entering:
    """Lets requests in, by the way that answers at once or by the one that waits.

    :param limits: let requests in; None for no limits.
    """

    def __init__(self, limits: RequestLimits | None) -> None:
        self._limits = limits
        # What those have come to that the first way has let in, until the second one asks, or the request ends.
        self._entered: dict[IRequest, Deferred[None] | None] = {}

    def at_once(self, request: IRequest) -> bool:
        """Let a request in that is to be answered at once.

        :return: whether it may go on at once.  If not, or if it is left to the way that waits after all, that one calls
            `enter`, and waits, or refuses the request.
        """
        if self._limits is None:
            return True
        try:
            waiting = self._limits.enter(request)
        except SplitdError as problem:
            waiting = fail(problem)
        self._entered[request] = waiting
        request.at_end(lambda: self._entered.pop(request, None))
        return waiting is None

    def enter(self, request: IRequest) -> Deferred[None] | None:
        """Let a request in, unless `at_once` has done so; see `RequestLimits.enter`.

        :raise SplitdError: a limit refuses it; the Deferred may fail with that, too.
        """
        if request in self._entered:
            return self._entered.pop(request)
        return None if self._limits is None else self._limits.enter(request)
