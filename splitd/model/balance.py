"""Chooses the moves of parts that make nodes evenly full.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as SetOf
from typing import NamedTuple

import attrs

GAIN = 0.05
"""A round of moves has helped if the spread has shrunk by this share of the target."""

MOST_IN_VAIN = 3
"""How many rounds of moves in a row may not help."""

_CLOSER = 0.8
"""The share of the target that is aimed at: parts stored meanwhile must not undo the result at once."""


@attrs.define
class Level:
    """How full a node is; sizes in bytes.

    :param zone: its zone; empty if the node is a zone of its own.
    :param size: its used and free bytes together.
    :param takes_parts: whether parts can be moved to it.
    """

    node_id: str
    zone: str
    size: float
    used: float
    takes_parts: bool

    @property
    def fill(self) -> float:
        """The share of the node that is used."""
        return self.used / self.size


class PartMove(NamedTuple):
    """A move of one part to another node.

    :param part: the part's index.
    :param size: the part's stored bytes.
    """

    part: int
    source: str
    target: str
    size: int


class Balance:
    """The fill of the nodes, with all moves chosen so far counted as made.

    :param levels: the nodes; no part is moved from or to those that take no parts.
    :param chained: whether a part may also move between two nodes on the same side of the mean.  That helps if the
        emptiest node does not take the parts of the fullest ones: a third node gives it other parts, and takes those.
    :ivar target: the spread to reach, as a share of a node.
    """

    def __init__(self, levels: Iterable[Level], target: float, *, chained: bool = False) -> None:
        self._chained = chained
        known = list(levels)
        self._zones = {level.node_id: level.zone for level in known}
        self._levels = {level.node_id: level for level in known if level.takes_parts and level.size > 0}
        self.target = target
        self._half = target * _CLOSER / 2
        size = sum(level.size for level in self._levels.values())
        self._mean = sum(level.used for level in self._levels.values()) / size if size else 0.0

    @property
    def levels(self) -> list[Level]:
        """The nodes that parts are moved between."""
        return list(self._levels.values())

    @property
    def spread(self) -> float:
        """The fill of the fullest node less that of the emptiest."""
        fills = [level.fill for level in self._levels.values()]
        return max(fills) - min(fills) if fills else 0.0

    @property
    def is_even(self) -> bool:
        """Whether all nodes are so close to the mean fill that no move is needed."""
        return all(abs(level.fill - self._mean) <= self._half for level in self._levels.values())

    @property
    def surplus(self) -> float:
        """The bytes that must move, at least, to bring all nodes to the mean fill."""
        return sum(max(0.0, level.used - self._mean * level.size) for level in self._levels.values())

    def leave_out(self, node_id: str) -> None:
        """Choose no more moves from a node or to it."""
        self._levels.pop(node_id, None)

    def choose(
        self,
        nodes: Sequence[str],
        sizes: Sequence[int],
        least: float = 0.0,
        refused: SetOf[tuple[int, str]] = frozenset(),
    ) -> PartMove | None:
        """Choose the move of one part of a file that helps most, and count it as made.

        :param nodes: the node of each part, by the part's index.
        :param sizes: the stored bytes of each part.
        :param least: parts with fewer stored bytes are not moved.
        :param refused: the index of a part and the id of a node that does not take it, for each such pair.
        :return: the move; None if no move helps.
        """
        sources = [
            (level, index)
            for index, node in enumerate(nodes)
            if sizes[index] >= max(least, 1)
            and (level := self._levels.get(node))
            and (self._chained or level.fill > self._mean)
        ]
        sources.sort(key=lambda source: -source[0].fill)
        targets = sorted(
            (
                level
                for level in self._levels.values()
                if (self._chained or level.fill < self._mean) and level.node_id not in nodes
            ),
            key=lambda level: level.fill,
        )
        for source, index in sources:
            for target in targets:
                if (index, target.node_id) in refused:
                    continue
                if self._helps(source, target, sizes[index]) and self._keeps_zones(source, target, nodes):
                    source.used -= sizes[index]
                    target.used += sizes[index]
                    return PartMove(index, source.node_id, target.node_id, sizes[index])
        return None

    def _helps(self, source: Level, target: Level, size: int) -> bool:
        over, under = source.fill - self._mean, self._mean - target.fill
        worse = max(abs(over), abs(under))
        if worse <= self._half:
            return False
        # Each move reduces the larger of the two deviations, so the rebalance ends.
        return max(abs(over - size / source.size), abs(under - size / target.size)) < worse

    def _keeps_zones(self, source: Level, target: Level, nodes: Sequence[str]) -> bool:
        """Whether the move leaves the file's parts spread over zones at least as well as before."""
        if not target.zone or target.zone == source.zone:
            return True
        zones = [self._zones.get(node, "") for node in nodes]
        there = zones.count(target.zone)
        return there == 0 or there < (zones.count(source.zone) if source.zone else 1)

    def undo(self, move: PartMove) -> None:
        """Count a chosen move as not made."""
        for node_id, change in ((move.source, move.size), (move.target, -move.size)):
            level = self._levels.get(node_id)
            if level is not None:
                level.used += change


class Course:
    """The spread after each round of moves.

    Clients that store and delete as much as is moved, or packs that wait for their compaction, can keep it from ever
    reaching the target, while there is always something to move.

    :param spread: the spread before the first round.
    :param target: the spread to reach.
    """

    def __init__(self, spread: float, target: float) -> None:
        self._best = spread
        self._least = target * GAIN
        self._in_vain = 0

    @property
    def is_vain(self) -> bool:
        """Whether so many rounds in a row have not helped that no more are worth it."""
        return self._in_vain >= MOST_IN_VAIN

    def note(self, spread: float) -> None:
        """Take note of the spread after a round in which something was moved."""
        self._in_vain = self._in_vain + 1 if spread > self._best - self._least else 0
        self._best = min(self._best, spread)
