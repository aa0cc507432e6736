"""Remembers removals of parts that had not arrived yet."""

from __future__ import annotations

from collections.abc import Callable

from storaged.parts.errors import PartMissing

_KEPT = 10_000
_KEPT_S = 600.0
"""Seconds; longer than any connection holds a part that was sent before its removal."""


class Removals:
    """Remembers for some time the parts that were removed and not found, so that they are refused if they arrive late.

    A part may still be on its way when it is removed: on a connection that a busy node has not read yet, from a front
    that has died since.  A part that arrives with its id soon afterwards is not wanted; later it may be, because parts
    are moved.  A restart may forget the removals, because it ends the connections, too.

    :param seconds: returns the time of a clock that nobody sets, in seconds.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._noted: dict[str, float] = {}

    def note(self, part_id: str) -> None:
        """Remember a removal; if there are too many, forget the oldest."""
        self._noted.pop(part_id, None)
        self._noted[part_id] = self._seconds()
        if len(self._noted) > _KEPT:
            del self._noted[next(iter(self._noted))]

    def forget(self, part_id: str) -> None:
        """Forget a removal: its part had arrived, and will not arrive again."""
        self._noted.pop(part_id, None)

    def check(self, part_id: str) -> None:
        """Refuse a part that was removed a short time ago.

        :raise PartMissing: the part was removed in the last ten minutes, before it arrived.
        """
        noted = self._noted.get(part_id)
        if noted is not None and self._seconds() - noted < _KEPT_S:
            raise PartMissing(f"part {part_id} was removed before it came")
