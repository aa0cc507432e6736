"""The ages of events whose times were noted by the wall clock.  Pure; times are milliseconds."""

from __future__ import annotations

from collections.abc import Callable

import attrs

_NOTICED_MS = 1000
"""Smaller steps cannot be told from the rounding of two clocks; they add up until they are noticed."""


@attrs.frozen
class _Step:
    """A step forward of the wall clock.

    :param wall: the time of the wall clock when the step was noticed.
    :param monotonic: the time of the monotonic clock at the same moment.
    :param size: the length of the step.
    """

    wall: int
    monotonic: int
    size: int


class Aging:
    """Judges ages by the wall clock.  If the clock is set forward, no event seems older than it is.

    If the clock is set back, events seem younger than they are.  Steps from before this object was made are not known.

    :param wall: the time of the wall clock now.
    :param monotonic: the time now of a clock that nobody sets.
    """

    def __init__(self, wall: int, monotonic: int) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._steps: list[_Step] = []

    def look(self, wall: int, monotonic: int) -> None:
        """Compare the clocks.  To be called whenever a time is noted, and before ages are judged."""
        size = (wall - self._wall) - (monotonic - self._monotonic)
        if abs(size) < _NOTICED_MS:
            return
        self._wall, self._monotonic = wall, monotonic
        if size > 0:
            self._steps.append(_Step(wall, monotonic, size))

    def judge(self, wall: int, monotonic: int, age: int) -> Callable[[int], bool]:
        """Compare the clocks, and judge ages as of now.

        :param age: the least age, milliseconds.
        :return: a function that takes a noted time, and returns whether it is more than `age` ago.
        """
        self.look(wall, monotonic)
        # A step that is older than `age` does not matter: times noted before it are old by the monotonic clock alone.
        self._steps = [step for step in self._steps if monotonic - step.monotonic <= age]
        steps = tuple(self._steps)

        def is_old(noted: int) -> bool:
            return wall - noted - sum(step.size for step in steps if noted < step.wall) > age

        return is_old
