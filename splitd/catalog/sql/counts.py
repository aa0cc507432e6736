"""What a catalog counts.  Each connection counts in rows of its own; their sums are the numbers."""

from __future__ import annotations

from collections import Counter
from typing import Any

from splitd.catalog.sql.rows import array, array_of_texts


class Counts:
    """What one transaction counts.

    :param slot: the number of the connection; no other one that is open has it.
    """

    def __init__(self, slot: int) -> None:
        self._slot = slot
        self._counts: Counter[str] = Counter()

    def add(self, key: str, number: int) -> None:
        """Count more, or less."""
        self._counts[key] += number

    def flush(self, cursor: Any) -> None:
        """Write what was counted."""
        counted = sorted((key, number) for key, number in self._counts.items() if number)
        if counted:
            query = """INSERT INTO tally (key, slot, value) SELECT key, %s, value
                FROM unnest(%s::text[], %s::bigint[]) AS more(key, value)
                ON CONFLICT (key, slot) DO UPDATE SET value = tally.value + excluded.value"""
            keys, numbers = zip(*counted, strict=True)
            cursor.execute(query, (self._slot, array_of_texts(keys), array(numbers)))


def read_counts(cursor: Any) -> dict[str, int]:
    """Return all numbers that are not 0."""
    query = "SELECT key, sum(value)::bigint FROM tally GROUP BY key HAVING sum(value) != 0"
    return dict(cursor.execute(query).fetchall())
