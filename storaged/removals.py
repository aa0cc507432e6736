"""Removals of parts that were not there yet."""

from __future__ import annotations

from storaged.errors import PartMissing

_KEPT = 10_000


class Removals:
    """Remembers the parts that were removed and not found, so that they do not come afterwards.

    A part may still be on its way when it is removed: on a connection that a busy node has not read yet, from a front
    that has died since.  No id is used twice, so what comes under it later is never wanted.  A restart may forget: it
    ends the connections, too.
    """

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}

    def note(self, part_id: str) -> None:
        """Remember a removal; the oldest is forgotten where there are many."""
        self._ids[part_id] = None
        if len(self._ids) > _KEPT:
            del self._ids[next(iter(self._ids))]

    def forget(self, part_id: str) -> None:
        """The part had come; it will not come again."""
        self._ids.pop(part_id, None)

    def check(self, part_id: str) -> None:
        """Let a part begin.

        :raise PartMissing: it was removed already.
        """
        if part_id in self._ids:
            raise PartMissing(f"part {part_id} was removed before it came")
