"""How long ago something happened whose time was noted by the wall clock.  Pure; times are milliseconds."""

from __future__ import annotations

from collections.abc import Callable

import attrs

_NOTICED_MS = 1000
"""Smaller steps are not told apart from the rounding of two clocks; they add up until they are."""


@attrs.frozen
class _Step:
    """The wall clock was set forward.

    :param wall: what it showed when that was noticed.
    :param monotonic: what the other clock showed then.
    :param size: by how much.
    """

    wall: int
    monotonic: int
    size: int


class Aging:
    """Judges ages by the wall clock, and is not deceived where that is set forward: nothing seems older than it is.

    Where the clock is set back, things seem younger than they are.  Steps from before this object was made are not
    known.

    :param wall: the wall clock now.
    :param monotonic: a clock that nobody sets, now.
    """

    def __init__(self, wall: int, monotonic: int) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._steps: list[_Step] = []

    def look(self, wall: int, monotonic: int) -> None:
        """Compare the clocks now.  To be called whenever a time is noted, and before ages are judged."""
        size = (wall - self._wall) - (monotonic - self._monotonic)
        if abs(size) < _NOTICED_MS:
            return
        self._wall, self._monotonic = wall, monotonic
        if size > 0:
            self._steps.append(_Step(wall, monotonic, size))

    def judge(self, wall: int, monotonic: int, age: int) -> Callable[[int], bool]:
        """Compare the clocks, and judge ages as they are now.

        :param age: the least age, milliseconds.
        :return: says of a time that was noted whether that is so long ago.
        """
        self.look(wall, monotonic)
        # What was noted before an older step is old enough by the monotonic clock alone.
        self._steps = [step for step in self._steps if monotonic - step.monotonic <= age]
        steps = tuple(self._steps)

        def is_old(noted: int) -> bool:
            return wall - noted - sum(step.size for step in steps if noted < step.wall) > age

        return is_old
