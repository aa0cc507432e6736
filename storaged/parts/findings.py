"""The parts of a node that are known to be rotten.  Pure."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from sortedcontainers import SortedDict

from storaged.parts.checks import check_limit
from storaged.parts.values import RottenPart

_LIMIT = 10_000
"""A node with more rotten parts than this has a dying disk.  Further ones are found again when some are healed."""

REASON_LIMIT = 200
"""The most characters of a reason."""


class Findings:
    """Rotten parts, in the order of their ids.

    A part that is deleted while it is checked must not be noted afterwards: between `begin_check` and `end_check`,
    `note` ignores the parts that were forgotten since.  Several checks may be in progress.

    :param limit: how many are kept at most; further ones are not noted.
    """

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._parts: SortedDict[str, RottenPart] = SortedDict()
        self._checks = 0
        self._forgotten: set[str] = set()  # during a check

    def __len__(self) -> int:
        return len(self._parts)

    def all(self) -> list[RottenPart]:
        """Return all of them, in ascending order of their ids."""
        return list(self._parts.values())

    def page(self, after: str, limit: int) -> list[RottenPart]:
        """Return at most `limit` of them whose ids are greater than `after`, in ascending order of their ids.

        :raise BadRequest: `limit` is not in 1 to 10,000.
        """
        check_limit(limit)
        ids = self._parts.irange(minimum=after, inclusive=(False, True))
        return [self._parts[part_id] for part_id in islice(ids, limit)]

    def begin_check(self) -> None:
        """Begin to check parts."""
        self._checks += 1

    def end_check(self) -> None:
        """End a check: all that it found is noted."""
        self._checks -= 1
        if not self._checks:
            self._forgotten.clear()

    def note(self, part_id: str, reason: str, now_ms: int) -> bool:
        """Note that a part is rotten.  A part that is noted already keeps the time when it was found first.

        :return: whether it is news.
        """
        before = self._parts.get(part_id)
        if part_id in self._forgotten or (before is None and len(self._parts) >= self._limit):
            return False
        found_ms = now_ms if before is None else before.found_ms
        self._parts[part_id] = RottenPart(part_id, reason[:REASON_LIMIT], found_ms)
        return before is None

    def forget(self, part_id: str) -> None:
        """Forget a part: it was deleted, or is good."""
        if self._checks:
            self._forgotten.add(part_id)
        self._parts.pop(part_id, None)

    def restore(self, parts: Iterable[RottenPart]) -> None:
        """Note parts that were found before a restart."""
        for part in islice(parts, self._limit - len(self._parts)):
            self._parts.setdefault(part.part_id, part)
