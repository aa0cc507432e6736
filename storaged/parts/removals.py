"""Removals of parts that were not there yet."""

from __future__ import annotations

from collections.abc import Callable

from storaged.parts.errors import PartMissing

_KEPT = 10_000
_KEPT_S = 600.0
"""Longer than any connection keeps a part that was sent before its removal."""


class Removals:
    """Remembers for a while the parts that were removed and not found, so that they do not come afterwards.

    A part may still be on its way when it is removed: on a connection that a busy node has not read yet, from a front
    that has died since.  What comes under its id soon is not wanted; later it may be, for parts are moved.  A restart
    may forget: it ends the connections, too.

    :param seconds: the time of any clock that goes on.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._noted: dict[str, float] = {}

    def note(self, part_id: str) -> None:
        """Remember a removal; the oldest is forgotten where there are many."""
        self._noted.pop(part_id, None)
        self._noted[part_id] = self._seconds()
        if len(self._noted) > _KEPT:
            del self._noted[next(iter(self._noted))]

    def forget(self, part_id: str) -> None:
        """The part had come; it will not come again."""
        self._noted.pop(part_id, None)

    def check(self, part_id: str) -> None:
        """Let a part begin.

        :raise PartMissing: it was removed a moment ago.
        """
        noted = self._noted.get(part_id)
        if noted is not None and self._seconds() - noted < _KEPT_S:
            raise PartMissing(f"part {part_id} was removed before it came")
