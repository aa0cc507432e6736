"""Decides whether a node can be used, and when to ask it again.  Pure; times are seconds of any monotonic clock."""

from __future__ import annotations

import math

from splitd.model.nodes import LOST

ASK_EVERY_S = 10.0
"""How often a healthy node is asked for its status."""

_FIRST_PAUSE_S = 1.0
_LONGEST_COOLING_S = 60.0

_CALM_S = 600.0
"""After this time without a failure, a node's earlier failures no longer count."""

UP, FULL, DOWN, STRANGER, UNKNOWN = "up", "full", "down", "stranger", "unknown"


class Health:
    """The health of a node, as its answers and failures show it.

    A node that does not answer is asked again after pauses that grow to `ASK_EVERY_S`; it is used again as soon as it
    answers.  A node that answers but fails when it is used cools off: it is not used for a second, and for twice as
    long after each further failure, up to a minute.

    :ivar state: "unknown" until the node was asked once; then "up", "full", "down", or "stranger" if a different
        server answers in its place; "lost" for good after `lose`.
    :ivar problem: why the node is not up; empty if it is up.
    :ivar due: when to ask the node next.
    :ivar refuses_parts: whether it has refused a part for want of room, and cools off from that: it gets no parts, and
        is read from all the same.
    """

    def __init__(self, now: float) -> None:
        self.state = UNKNOWN
        self.problem = ""
        self.due = now
        self._silent = 0
        self._cooling_s = 0.0
        self._cool_at = now
        self.refuses_parts = False

    @property
    def usable(self) -> bool:
        """Whether requests can be sent to the node."""
        return self.state in {UP, FULL}

    def lose(self) -> None:
        """Note that the node was declared lost: it is never asked again, and nothing that happens later counts."""
        self.state, self.problem, self.due = LOST, "it was declared lost", math.inf

    def answered(self, now: float, full: str = "") -> None:
        """Note that the node has answered.

        :param full: the reason why it takes no parts; empty if it has room.
        """
        if self.state == LOST:
            return
        self._silent = 0
        if now < self._cool_at:
            self.due = self._cool_at
            return
        self.due = now + ASK_EVERY_S
        self.refuses_parts = False
        self.state, self.problem = (FULL if full else UP), full

    def silent(self, now: float, problem: str, *, stranger: bool = False) -> None:
        """Note that the node was asked, and that no answer came or a wrong one.

        :param problem: the reason.
        :param stranger: whether a different server answered in its place.
        """
        if self.state == LOST:
            return
        self.due = now + min(ASK_EVERY_S, _FIRST_PAUSE_S * 2**self._silent)
        self._silent = min(self._silent + 1, 10)
        # The node was away, which explains its earlier failures.
        self._cooling_s = 0.0
        self._cool_at = now
        self.refuses_parts = False
        self.state, self.problem = (STRANGER if stranger else DOWN), problem

    def not_asked(self, now: float) -> None:
        """Note that this process could not ask the node: its state stays as it is."""
        if self.state == LOST:
            return
        self.due = now + (ASK_EVERY_S if self.usable else _FIRST_PAUSE_S)

    def failed(self, now: float, problem: str, *, full: bool = False) -> None:
        """Note that the node failed when it was used.

        :param full: whether it had no room for a part, and can be read from.
        """
        if self.state == LOST or (now < self._cool_at and (full or not self.refuses_parts)):
            return  # requests that were in progress together fail together: they count once
        if now - self._cool_at > _CALM_S:
            self._cooling_s = 0.0
        self._cooling_s = min(max(_FIRST_PAUSE_S, 2 * self._cooling_s), _LONGEST_COOLING_S)
        self._cool_at = self.due = now + self._cooling_s
        self.refuses_parts = full and self.usable
        self.state, self.problem = (FULL if self.refuses_parts else DOWN), problem

    def forgive(self, now: float) -> None:
        """Forget the node's failures and make it due now, because an operator may have repaired it."""
        if self.state == LOST:
            return
        self._cooling_s = 0.0
        self._cool_at = self.due = now
