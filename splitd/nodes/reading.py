"""From which nodes parts are read first, and how long a reader waits for a node before it asks others."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs
from zope.interface import implementer

from splitd.interfaces.nodes import AWAY, SILENT, SLOW, WELL, IReadPolicy, Wait
from splitd.model.pace import Allowance, Pace

_FIRST_PAUSE_S = 15.0
"""Longer than the registry takes to find that a silent node is down."""

_LONGEST_PAUSE_S = 60.0

_CALM_S = 600.0
"""After this time without a fault, a node's earlier faults no longer count."""

_LEAST_S = 0.03
"""No answer is late before this time: a core that is busy delays good nodes as long as that."""

_MOST_SAVED = 12.0
"""Hedging requests that may be sent at once: enough for two reads within one column, which need six others."""


@attrs.define
class _Pause:
    """How long a node is read from last.

    :param until: the end of its last pause, on the clock.
    :param seconds: how long that was.
    :param rank: how late it is asked meanwhile.
    """

    until: float = -math.inf
    seconds: float = 0.0
    rank: int = WELL


@attrs.frozen
class ReadingReport:
    """How files with parity are read, as operators see it.

    :param hedges: how many requests were sent since the start because a node was late.
    :param silences: how often a node was silent since the start.
    :param last: the nodes that are up and read from last for some time, and why: "slow", "silent" or "filled", which is
        one that gets rebuilt parts.
    """

    hedges: int
    silences: int
    last: dict[str, str]


@implementer(IReadPolicy)
class ReadPolicy:
    """The order in which nodes are asked for parts, from what readers have observed.

    :param is_usable: whether a node seems to be well.
    :param suspect: called with the id of a node that has become silent.
    :param clock: measures time.
    :param silent_after_s: a node that sends nothing for this time, in seconds, is silent.
    :param hedge_share: how many further requests slow nodes may cause, as a share of all requests.
    """

    def __init__(
        self,
        is_usable: Callable[[str], bool],
        suspect: Callable[[str], object],
        clock: Any,
        *,
        silent_after_s: float,
        hedge_share: float,
    ) -> None:
        self.silent_after_s = silent_after_s
        self._is_usable = is_usable
        self._suspect = suspect
        self._clock = clock
        self._paces = {wait: Pace(_LEAST_S) for wait in Wait}
        self._allowance = Allowance(hedge_share, _MOST_SAVED)
        self._pauses: dict[str, _Pause] = {}
        self._filling: Counter[str] = Counter()
        self._hedges = self._silences = 0

    def rank(self, node_id: str) -> int:
        """When to ask a node; see `IReadPolicy.rank`."""
        if not self._is_usable(node_id):
            return AWAY
        pause = self._pauses.get(node_id)
        if pause is not None and self._clock.seconds() < pause.until:
            return pause.rank
        return SLOW if node_id in self._filling else WELL

    def late_after_s(self, wait: Wait) -> float:
        """When an answer is late; see `IReadPolicy.late_after_s`."""
        late_s = self._paces[wait].late_after_s
        if wait is Wait.NEXT_UNIT and late_s == math.inf:
            # Nobody has waited for one yet, because they came before they were needed.
            return self._paces[Wait.FIRST_UNIT].late_after_s
        return late_s

    def took(self, wait: Wait, node_id: str, seconds: float) -> None:
        """Note how long a node took; see `IReadPolicy.took`."""
        if self._paces[wait].took(node_id, seconds):
            self._ask_last(node_id, SLOW)

    def silent(self, node_id: str) -> None:
        """Note that a node is silent; see `IReadPolicy.silent`."""
        self._silences += 1
        self._ask_last(node_id, SILENT)
        self._suspect(node_id)

    def _ask_last(self, node_id: str, rank: int) -> None:
        now, pause = self._clock.seconds(), self._pauses.setdefault(node_id, _Pause())
        if now < pause.until:
            pause.rank = max(pause.rank, rank)
            return  # reads that were in progress together are late together: they count once
        pause.rank = rank
        if now - pause.until > _CALM_S:
            pause.seconds = 0.0
        pause.seconds = min(max(_FIRST_PAUSE_S, 2 * pause.seconds), _LONGEST_PAUSE_S)
        pause.until = now + pause.seconds
        self._forgive(node_id)

    def _forgive(self, node_id: str) -> None:
        for pace in self._paces.values():
            pace.forgive(node_id)

    def recovered(self, node_id: str) -> None:
        """Read from a node as before: it was away, and answers again."""
        self._pauses.pop(node_id, None)
        self._forgive(node_id)

    def fill(self, node_id: str, *, is_filled: bool) -> None:
        """Read from a node last while it is filled; see `IReadPolicy.fill`."""
        self._filling[node_id] += 1 if is_filled else -1
        if not self._filling[node_id]:
            del self._filling[node_id]

    def asked(self, requests: float) -> None:
        """Count ordinary requests; see `IReadPolicy.asked`."""
        self._allowance.earn(requests)

    def may_hedge(self, requests: int) -> bool:
        """Take what further requests cost; see `IReadPolicy.may_hedge`."""
        allowed = self._allowance.spend(requests)
        if allowed:
            self._hedges += requests
        return allowed

    def report(self) -> ReadingReport:
        """Describe how files are read now."""
        last = {}
        for node_id in sorted({*self._pauses, *self._filling}):
            rank = self.rank(node_id)
            if rank in {SLOW, SILENT}:
                paused = self._clock.seconds() < self._pauses.get(node_id, _Pause()).until
                last[node_id] = "silent" if rank == SILENT else "slow" if paused else "filled"
        return ReadingReport(self._hedges, self._silences, last)
