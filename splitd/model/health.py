"""Whether a node can be used, and when it is to be asked again.  Pure; times are seconds of any clock that goes on."""

from __future__ import annotations

ASK_EVERY_S = 10.0
"""How often a node that is well is asked how it is."""

_FIRST_PAUSE_S = 1.0
_LONGEST_COOLING_S = 60.0

_CALM_S = 600.0
"""A node that worked for so long has its earlier failures forgiven."""

UP, FULL, DOWN, STRANGER, UNKNOWN = "up", "full", "down", "stranger", "unknown"


class Health:
    """What a node's answers, and its failures, come to.

    A node that does not answer is asked again after pauses that grow to `ASK_EVERY_S`; once it answers it is used
    again.  One that answers, and fails when it is used, cools off: it is left alone for a second, and twice as long
    each time, up to a minute.

    :ivar state: "unknown" until it was asked once; then "up", "full", "down", or "stranger" where another answers.
    :ivar problem: why it is not up; empty where it is.
    :ivar due: when it is to be asked.
    """

    def __init__(self, now: float) -> None:
        self.state = UNKNOWN
        self.problem = ""
        self.due = now
        self._silent = 0
        self._cooling_s = 0.0
        self._cool_at = now

    @property
    def usable(self) -> bool:
        """Whether requests can be sent to it."""
        return self.state in {UP, FULL}

    def answered(self, now: float, full: str = "") -> None:
        """Take what it said when it was asked.

        :param full: the reason why it takes no parts; empty where it has room.
        """
        self._silent = 0
        if now < self._cool_at:
            self.due = self._cool_at
            return
        self.due = now + ASK_EVERY_S
        self.state, self.problem = (FULL if full else UP), full

    def silent(self, now: float, problem: str, *, stranger: bool = False) -> None:
        """It was asked, and it, or nobody, answered as it should."""
        self.due = now + min(ASK_EVERY_S, _FIRST_PAUSE_S * 2**self._silent)
        self._silent = min(self._silent + 1, 10)
        # That it was away explains its failures.
        self._cooling_s = 0.0
        self._cool_at = now
        self.state, self.problem = (STRANGER if stranger else DOWN), problem

    def failed(self, now: float, problem: str) -> None:
        """It was used, and did not do what it should."""
        if now < self._cool_at:
            return  # what was under way together fails together
        if now - self._cool_at > _CALM_S:
            self._cooling_s = 0.0
        self._cooling_s = min(max(_FIRST_PAUSE_S, 2 * self._cooling_s), _LONGEST_COOLING_S)
        self._cool_at = self.due = now + self._cooling_s
        self.state, self.problem = DOWN, problem

    def forgive(self, now: float) -> None:
        """Ask it now, and forget its failures: who is to know has looked after it."""
        self._cooling_s = 0.0
        self._cool_at = self.due = now
