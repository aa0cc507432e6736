"""Numbers that no other front gives: from blocks of 1,000 that a front takes of a sequence."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

BLOCK = 1000
"""The numbers of one block: the increment of the sequences."""

_MOST_GROUPS = 10_000


class Ids:
    """Gives each number once; those of one block in ascending order.  Several threads may share it.

    :param sequence: the name of the sequence.
    """

    def __init__(self, sequence: str) -> None:
        self._query = f"SELECT nextval('{sequence}')"
        self._lock = threading.Lock()
        self._next = self._end = 0

    def take(self, cursor: Any) -> int:
        """Return the next number.  One that a transaction has taken and not used is never given again."""
        with self._lock:
            if self._next < self._end:
                self._next += 1
                return self._next - 1
        # Not under the lock: if the server does not answer this thread, it may answer the others.
        first: int = cursor.execute(self._query).fetchone()[0]
        with self._lock:
            if self._next == self._end:  # else another thread has taken a block meanwhile, and the rest is not used
                self._next, self._end = first + 1, first + BLOCK
        return first


class NodeNumbers:
    """The numbers that stand for the ids of nodes in rows.  Several threads may share it; numbers only grow."""

    def __init__(self) -> None:
        self._ids: dict[int, str] = {0: ""}
        self._numbers: dict[str, int] = {"": 0}
        self._groups: dict[tuple[int, ...], tuple[str, ...]] = {}  # the ids of those that were asked for together

    def ids(self, cursor: Any, numbers: list[int], fresh: dict[str, int]) -> tuple[str, ...]:
        """Return the ids of nodes.

        :param fresh: the numbers that this transaction has given; they are not kept, as it may be rolled back.
        """
        found = self._groups.get(group := tuple(numbers))
        if found is not None:
            return found
        known = self._ids
        try:
            ids = tuple([known[number] for number in numbers])
        except KeyError:
            for number, node in cursor.execute("SELECT number, id FROM node").fetchall():
                if node not in fresh:
                    self._keep(number, node)
            both = known | {number: node for node, number in fresh.items()}
            return tuple([both[number] for number in numbers])
        if len(self._groups) >= _MOST_GROUPS:
            self._groups.clear()
        self._groups[group] = ids
        return ids

    def known(self, nodes: Sequence[str]) -> list[int] | None:
        """Return the numbers of nodes, if this front knows them all."""
        try:
            return [self._numbers[node] for node in nodes]
        except KeyError:
            return None

    def number(self, cursor: Any, node: str, fresh: dict[str, int]) -> int:
        """Return the number of a node, which gets one in this transaction if it has none.

        :param fresh: the numbers that this transaction has given.
        """
        known = self._numbers.get(node, fresh.get(node))
        if known is not None:
            return known
        row = cursor.execute("SELECT number FROM node WHERE id = %s", (node,)).fetchone()
        if row is not None:
            self._keep(row[0], node)
            return self._numbers[node]
        # Two that add a node at the same time conflict here; the one that is refused is tried again.
        query = "INSERT INTO node SELECT coalesce(max(number), 0) + 1, %s FROM node RETURNING number"
        fresh[node] = cursor.execute(query, (node,)).fetchone()[0]
        return fresh[node]

    def _keep(self, number: int, node: str) -> None:
        self._ids[number] = node
        self._numbers[node] = number
