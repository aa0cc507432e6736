"""Seals the secrets of users' own keys anew after a change of the cluster key."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from storaged.system.parallel import settled

RETRY_S = 60.0
"""Seconds after which a round that failed is tried again."""

LOST_S = 600.0
"""Seconds after which keys that could not be opened are looked for again: their users may have taken them back."""

_MOST_NAMED = 5

Reseal = Callable[[], Deferred[Sequence[str]]]
"""Seals all secrets anew; the Deferred fires with the ids of the keys that no present cluster key opens."""


class Resealing:
    """Keeps the secrets of all keys sealed under the first cluster key: an operator removes the others soon.

    A round that fails is tried again, until one succeeds.

    :param reseal: does one round.
    :param clock: schedules the next one.
    :ivar problem: what an operator should know; empty if all secrets are sealed under the first cluster key.
    """

    _log = Logger()

    def __init__(self, reseal: Reseal, clock: IReactorTime) -> None:
        self._reseal = reseal
        self._clock = clock
        self._round: Deferred[None] | None = None
        self._next: IDelayedCall | None = None
        self._is_running = False
        self._is_wanted = False
        self._lost: frozenset[str] = frozenset()
        self.problem = ""

    def start(self) -> None:
        """Begin with a round."""
        self._is_running = True
        self.begin()

    def begin(self) -> None:
        """Begin a round now, or after the one in progress; does nothing before `start` and after `stop`."""
        if not self._is_running:
            return
        if self._round is not None:
            self._is_wanted = True  # the round in progress may have passed keys that have to be sealed again
            return
        if self._next is not None:
            self._next.cancel()
        self._start_round()

    def _start_round(self) -> None:
        self._next, self._is_wanted = None, False
        self._round = Deferred.fromCoroutine(self._run())
        self._round.addCallback(self._ended)

    async def _run(self) -> None:
        try:
            lost = await self._reseal()
        except Exception as problem:
            if not self._is_running:
                return
            self._log.failure("sealing the keys of users anew")
            self.problem = (
                f"the keys of users are not sealed under the first cluster key yet: {problem}; keep the other cluster "
                f"keys; it is tried again every {RETRY_S:.0f} s"
            )
            self._schedule(RETRY_S)
            return
        for key in lost:
            if key not in self._lost:
                self._log.error("no cluster key opens the secret of the key {key}, which a user has made", key=key)
        self._lost, self.problem = frozenset(lost), _describe(lost) if lost else ""
        if lost:
            self._schedule(LOST_S)

    def _schedule(self, pause_s: float) -> None:
        self._next = self._clock.callLater(pause_s, self._start_round)

    def _ended(self, _: None) -> None:
        self._round = None
        if not self._is_running:
            self._cancel_next()
        elif self._is_wanted:
            self.begin()

    def _cancel_next(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def stop(self) -> Deferred[None]:
        """Begin no more rounds, and cancel the one in progress.

        :return: a Deferred that fires with None when it has ended.
        """
        self._is_running = False
        self._cancel_next()
        if self._round is None:
            return settled([])
        ended = settled([self._round])
        self._round.cancel()
        return ended


def _describe(lost: Sequence[str]) -> str:
    named = ", ".join(lost[:_MOST_NAMED])
    more = f" and {len(lost) - _MOST_NAMED} more" if len(lost) > _MOST_NAMED else ""
    return (
        f"no cluster key opens the secrets of these keys of users: {named}{more}; add the cluster key under which they "
        "were sealed below the first one, or have their users make others"
    )
