"""Limits what clients take of the front: requests and uploads at once, bytes per second, and the front's own work.

All is judged when the head of a request is complete and it is known who sent it.  What is refused costs little, and its
body is not read.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from functools import partial
from typing import Any

import attrs
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import deferLater

from splitd.errors import Busy, TooManyRequests
from splitd.model.limits import NO_LIMITS, AtOnce, Limits, WorkEntry
from storaged.http import BodyBroken, Buckets, IRequest, Pace, network_of

_UPLOADS = frozenset({b"PUT", b"POST", b"PATCH"})
_LEFT = "the client left before its turn"


class RequestLimits:
    """Lets requests in, by the present limits.

    :param clock: measures time, and schedules calls.
    :ivar refused: how many requests were refused, by the limit.
    """

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self.refused: Counter[str] = Counter()
        self._gate = _Gate(clock, self.refused)
        self._requests = _Counts("requests", self.refused)
        self._uploads = _Counts("uploads", self.refused)
        self._users: Buckets | None = None
        self._addresses: Buckets | None = None

    def take(self, limits: Limits = NO_LIMITS) -> None:
        """Use other limits from now on.  Requests in progress go on as they were let in."""
        self._requests.limits, self._uploads.limits = limits.requests, limits.uploads
        self._gate.limits = limits.work
        self._users = self._renewed(self._users, limits.rates.per_user)
        self._addresses = self._renewed(self._addresses, limits.rates.per_address)

    def _renewed(self, buckets: Buckets | None, rate: int | None) -> Buckets | None:
        if rate is None:
            return None
        return buckets if buckets is not None and buckets.rate == rate else Buckets(rate, self._clock.seconds)

    def enter(self, request: IRequest) -> Deferred[None] | None:
        """Let a request in.  Its `user` is known.

        :return: None if it may go on at once; otherwise a Deferred that fires with None when it may.
        :raise TooManyRequests: its client has as many in progress as it may have.
        :raise Busy: the front has.
        :raise BodyBroken: (of the Deferred) the client left before.
        """
        address = network_of(request.client) if request.client else ""
        client = f"user {request.user}" if request.user else address
        self._requests.enter(request, client)
        if request.method in _UPLOADS:
            self._uploads.enter(request, client)
        pace = self._pace(request, address)
        if pace is not None:
            request.limit_pace(pace)
            if pace.sending_wait_s() or pace.receiving_wait_s():
                return Deferred.fromCoroutine(self._rest(request, pace))
        return self._gate.enter(request)

    def _pace(self, request: IRequest, address: str) -> Pace | None:
        shared = []
        if self._users is not None and request.user:
            shared.append((self._users, request.user))
        if self._addresses is not None and address:
            shared.append((self._addresses, address))
        if not shared:
            return None
        received, sent = ([of.of(f"{name} {way}") for of, name in shared] for way in ("in", "out"))
        return Pace(received, sent, min(of.rate for of, _ in shared), self._clock)

    async def _rest(self, request: IRequest, pace: Pace) -> None:
        """Wait until the client's bytes of before are paid for: many small requests owe as much as a large one."""
        resting: Deferred[None] | None = None

        def left() -> None:
            if resting is not None:
                resting.cancel()

        request.at_end(left)
        while wait_s := max(pace.sending_wait_s(), pace.receiving_wait_s()):
            resting = deferLater(pace.clock, wait_s)
            try:
                await resting
            except CancelledError:
                raise BodyBroken(_LEFT) from None
            resting = None
        waiting = self._gate.enter(request)
        if waiting is not None:
            await waiting

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return self._gate.waiting

    def measure(self) -> Iterator[Metric]:
        """Yield what was refused, and what is in progress, for Prometheus."""
        refused = CounterMetricFamily("splitd_refused_requests", "Requests that a limit refused.", labels=["limit"])
        for reason in sorted(self.refused):
            refused.add_metric([reason], float(self.refused[reason]))
        yield refused
        yield GaugeMetricFamily(
            "splitd_waiting_requests", "Requests that wait for their turn.", value=float(self.waiting)
        )


class _Counts:
    """Counts what is in progress, of each client and in all."""

    def __init__(self, what: str, refused: Counter[str]) -> None:
        self._what = what
        self._refused = refused
        self._all = 0
        self._of: dict[str, int] = {}
        self.limits = AtOnce()

    def enter(self, request: IRequest, client: str) -> None:
        limits, what = self.limits, self._what
        if limits.in_all is None and limits.per_client is None:
            return
        count = self._of.get(client, 0)
        if limits.per_client is not None and client and count >= limits.per_client:
            self._refused[f"{what} per client"] += 1
            raise TooManyRequests(f"a client has at most {limits.per_client} {what} at once")
        if limits.in_all is not None and self._all >= limits.in_all:
            self._refused[f"{what} in all"] += 1
            raise Busy(f"there are at most {limits.in_all} {what} at once")
        self._all += 1
        self._of[client] = count + 1
        request.at_end(partial(self._leave, client))

    def _leave(self, client: str) -> None:
        self._all -= 1
        self._of[client] -= 1
        if not self._of[client]:
            del self._of[client]


@attrs.define(eq=False)
class _Place:
    """The work on one request; see `Work`."""

    gate: _Gate
    turn: Deferred[None] | None = None
    timeout: IDelayedCall | None = None
    counts: bool = False

    def pause(self) -> None:
        if self.counts:
            self.counts = False
            self.gate.leave()

    def resume(self) -> None:
        # It is let in already: it takes a place though there may be none, and the next ones wait.
        if not self.counts:
            self.counts = True
            self.gate.used += 1

    def end(self) -> None:
        turn, self.turn = self.turn, None
        if turn is not None:
            self.gate.give_up(self)
            turn.errback(BodyBroken(_LEFT))
        self.pause()


class _Gate:
    """Limits the requests that are worked on, with a short queue.

    A request that is answered at once counts until the end of the reactor's turn: else all that have come meanwhile
    would be answered in one turn, however many they are, and each would wait for all the others.

    :ivar used: how many are worked on.
    """

    def __init__(self, clock: Any, refused: Counter[str]) -> None:
        self._clock = clock
        self._refused = refused
        self.limits: WorkEntry | None = None
        self.used = 0
        self._left = 0
        self._queue: deque[_Place] = deque()
        self._turn: IDelayedCall | None = None

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._queue)

    def enter(self, request: IRequest) -> Deferred[None] | None:
        """Let a request in; see `RequestLimits.enter`."""
        limits = self.limits
        if limits is None:
            return None
        place = _Place(self)
        if self.used < limits.at_once and not self._queue:
            self.used += 1
            place.counts = True
            request.count_work(place)
            return None
        if len(self._queue) >= limits.waiting:
            self._refused["work"] += 1
            raise Busy(f"the server works on at most {limits.at_once} requests at once")
        turn: Deferred[None] = Deferred()
        place.turn = turn
        place.timeout = self._clock.callLater(limits.wait_s, self._too_late, place)
        self._queue.append(place)
        request.count_work(place)
        return turn

    def give_up(self, place: _Place) -> None:
        """Let a request wait no longer."""
        if place in self._queue:
            self._queue.remove(place)
        timeout, place.timeout = place.timeout, None
        if timeout is not None and timeout.active():
            timeout.cancel()

    def _too_late(self, place: _Place) -> None:
        turn, place.turn = place.turn, None
        self.give_up(place)
        self._refused["work"] += 1
        if turn is not None:
            turn.errback(Busy("the server was busy for as long as a request waits for its turn"))

    def leave(self) -> None:
        """Count one request less, from the next turn of the reactor on."""
        self._left += 1
        if self._turn is None:
            self._turn = self._clock.callLater(0, self._go_on)

    def _go_on(self) -> None:
        self._turn = None
        self.used -= self._left
        self._left = 0
        while self._queue and (self.limits is None or self.used < self.limits.at_once):
            place = self._queue[0]
            self.give_up(place)
            turn, place.turn = place.turn, None
            self.used += 1
            place.counts = True
            if turn is not None:
                turn.callback(None)
