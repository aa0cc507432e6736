"""The rules by which journal copies and epochs are counted.  Pure.

A roster names the nodes whose copies count.  A record is acknowledged when a quorum of them has it; a recovery must see
so many of them that it meets each quorum.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from storaged.parts.journals import Roster


def majority(count: int) -> int:
    """Return how many of `count` nodes are a majority."""
    return count // 2 + 1


def quorum(roster: Roster) -> int:
    """Return how many holders must have a record before it is acknowledged; 0 if there are no holders."""
    return min(len(roster.holders), max(1, roster.copies - 1))


def needed(roster: Roster) -> int:
    """Return how many holders a recovery must see, so that one of them has each acknowledged record."""
    return len(roster.holders) - quorum(roster) + 1


def acknowledged(roster: Roster, positions: Mapping[str, int], durable: int) -> int:
    """Return the number before which a quorum of the holders has all records.

    :param positions: the number after that of the last record that each holder has; holders may be missing.
    :param durable: the same for the front's own disk.
    """
    count = quorum(roster)
    if not count:
        return durable
    ordered = sorted((positions.get(holder, 1) for holder in roster.holders), reverse=True)
    return min(durable, ordered[count - 1])


def next_roster(
    roster: Roster,
    epoch: int,
    copies: int,
    *,
    connected: Collection[str],
    in_sync: Sequence[str],
    lost: Collection[str],
    least: int = 0,
) -> Roster | None:
    """Return the roster that should take the place of the present one; None if it should stay.

    :param epoch: the front's epoch.
    :param copies: how many copies are wanted.
    :param connected: the nodes that take records.
    :param in_sync: those of them that have all acknowledged records; only these may be added.
    :param lost: the holders that have taken none for a long time.
    :param least: a roster does not shrink below this many holders.
    """
    if sum(holder in connected for holder in roster.holders) >= quorum(roster):
        kept = [holder for holder in roster.holders if holder not in lost]
    else:
        kept = [holder for holder in roster.holders if holder in in_sync]  # the others hold up every change
    kept.sort(key=lambda holder: holder not in connected)
    holders = [*kept, *(holder for holder in in_sync if holder not in kept)][:copies]
    if len(holders) < min(least, len(roster.holders)):
        return None
    if (roster.copies, set(roster.holders)) == (copies, set(holders)):
        return None
    return Roster(epoch, roster.generation + 1, copies, tuple(holders))


def choose_holders(zones: Mapping[str, str], taken: Collection[str], count: int) -> list[str]:
    """Choose nodes for more copies, of zones that have no copy yet if there are any.

    :param zones: the zone of each node that can take a copy, and of each that has one; empty for a zone of its own.
    :param taken: the nodes that have a copy.
    :param count: how many nodes to choose; there may be fewer.
    """
    chosen: list[str] = []
    while len(chosen) < count:
        used = [zones.get(node, "") or node for node in (*taken, *chosen)]
        left = [node for node in zones if node not in taken and node not in chosen]
        if not left:
            break
        chosen.append(min(left, key=lambda node: used.count(zones[node] or node)))
    return chosen
