"""Which nodes the parts must leave: nodes that are lost, away for long, or draining."""

from __future__ import annotations

from typing import Any

import attrs

from splitd.nodes.registry import NodeRegistry

LOST, AWAY, DRAINING = "lost", "away", "draining"


@attrs.frozen
class LeavingNode:
    """A node that parts are moved away from, or rebuilt without.

    :param why: "lost", "away" or "draining".
    :param parts: how many parts of files are placed there.
    :param bytes: the stored bytes of these parts; null until they were counted.  They are counted every minute.
    :param seconds_left: how long it will take at the present rate until no part is left there, if nothing else is
        healed meanwhile; null if that is not known.
    """

    id: str
    why: str
    parts: int
    bytes: int | None = None
    seconds_left: float | None = None


class LeavingNodes:
    """Watches the nodes of the registry.

    :param clock: measures how long a node is away.
    :param after_s: a node that cannot be used for so many seconds counts as away.
    """

    def __init__(self, registry: NodeRegistry, clock: Any, after_s: float) -> None:
        self._registry = registry
        self._clock = clock
        self._after_s = after_s
        self._away_since: dict[str, float] = {}

    def look(self) -> dict[str, str]:
        """Return why parts must leave a node, by the nodes' ids.  To be called every few seconds."""
        now = self._clock.seconds()
        leaving = {}
        for node in self._registry.nodes():
            name, state = node.entry.id, str(node.entry.state)
            if state == LOST:
                leaving[name] = LOST
                continue
            if node.health.usable:
                self._away_since.pop(name, None)
            elif now - self._away_since.setdefault(name, now) >= self._after_s:
                leaving[name] = AWAY
                continue
            if state == DRAINING:
                leaving[name] = DRAINING
        return leaving
