"""The state of the heal, as operators see it."""

from __future__ import annotations

import attrs

from splitd.upkeep.heal.leaving import LeavingNode


@attrs.frozen
class HealReport:
    """The state of the heal.  Sizes are those of stored parts.

    :param state: "healing" while parts are rebuilt or moved, "blocked" if some should be and none can, "paused"
        if an operator has stopped the heal, "idle" if nothing is to be done.
    :param versions: how many versions of files lack parts, by how many more parts each may lose and still be read.  One
        with less than 0 cannot be read.
    :param parts: how many parts are missing.
    :param bytes: the size of the missing parts.
    :param unreadable: how many versions cannot be read, because more parts are missing than there is parity.
    :param leaving: the nodes that parts are moved away from, or rebuilt without.
    :param healed_parts: how many parts were rebuilt or moved since the start.
    :param healed_bytes: the size of these parts.
    :param failed: how many attempts have failed since the start.
    :param confirmed: how many parts were found missing or damaged since the start.
    :param rate: bytes of parts per second, in the last five minutes.
    :param limit: the most bytes of parts per second; null for no limit.
    :param seconds_left: how long the rest will take at this rate, about; null if nothing is healed now, or the parts
        that are left on a node were not counted yet.
    :param problem: why parts cannot be healed now, or why the last attempt failed; empty if there is no reason.
    """

    state: str
    versions: dict[int, int]
    parts: int
    bytes: int
    unreadable: int
    leaving: list[LeavingNode]
    healed_parts: int
    healed_bytes: int
    failed: int
    confirmed: int
    rate: float
    limit: float | None
    seconds_left: float | None
    problem: str


def name_state(blocked: str | bool, *, is_busy: bool, is_pending: bool) -> str:
    """Return the state of a heal that is not paused."""
    if is_busy:
        return "healing"
    return "blocked" if blocked else "healing" if is_pending else "idle"
