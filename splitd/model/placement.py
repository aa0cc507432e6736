"""Chooses the nodes that take the parts of a file.  Pure.

Each node gets a *share*: the probability that it takes a part of the next file.  The *fair share* is in proportion to
the node's size.  The emptier a node is than the others, the more it gets, up to a bound, so that a new node does not
take everything.  Then nodes are drawn with exactly these probabilities (systematic sampling; Madow 1949).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

MOST_OF_FAIR = 3.0
"""A node takes at most this many times its fair share of the parts, however empty it is."""

_PULL = 0.002
"""A node whose fill is higher by this much has 1/e of the pull."""

_ROUNDING = 1e-9


class Candidate(NamedTuple):
    """A node that could take a part; sizes in bytes.

    :param node_id: its id.
    :param zone: its zone; empty if it is a zone of its own.
    :param size: the bytes used on it, and the bytes free on it times its weight.
    :param used: the bytes stored on it, and those reserved on it.
    """

    node_id: str
    zone: str
    size: float
    used: float


class _Group(NamedTuple):
    """A zone, or a single node of it, that can be drawn."""

    members: list[Candidate]
    size: float
    used: float


def choose_nodes(candidates: Sequence[Candidate], count: int, random: Callable[[], float]) -> list[str]:
    """Choose distinct nodes, so that all fill evenly, and none takes more than `MOST_OF_FAIR` times its fair share.

    Parts are spread over zones as far as possible: no zone takes a second part before each zone has one.

    :param count: how many nodes; there must be at least as many candidates.
    :param random: returns numbers in [0, 1).
    :return: the ids of the nodes, in no order.
    """
    zones: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        zones.setdefault(candidate.zone or f"\0{candidate.node_id}", []).append(candidate)
    chosen: list[str] = []
    for zone, quota in _quotas([_group(members) for members in zones.values()], count, random):
        drawn = [zone] if len(zone.members) == 1 else _draw([_group([each]) for each in zone.members], quota, random)
        chosen += [each.members[0].node_id for each in drawn]
    return chosen


def _group(members: list[Candidate]) -> _Group:
    return _Group(members, sum(each.size for each in members), sum(each.used for each in members))


def _quotas(zones: Sequence[_Group], count: int, random: Callable[[], float]) -> list[tuple[_Group, int]]:
    """Decide how many parts each zone takes: in rounds of one part for each zone; the last round's zones are drawn."""
    full_rounds = 0
    while (open_zones := [zone for zone in zones if len(zone.members) > full_rounds]) and count >= len(open_zones):
        count -= len(open_zones)
        full_rounds += 1
    more = {id(zone) for zone in _draw(open_zones, count, random)} if count else set()
    quotas = [(zone, min(full_rounds, len(zone.members)) + (id(zone) in more)) for zone in zones]
    return [(zone, quota) for zone, quota in quotas if quota]


def _draw(groups: Sequence[_Group], count: int, random: Callable[[], float]) -> list[_Group]:
    """Draw distinct groups, each with the probability of its share."""
    # The order is random: in a fixed order, neighbours in the registry would never take parts of the same file.
    order = sorted(range(len(groups)), key=lambda _: random())
    chances = shares([(each.size, each.used) for each in groups], count)
    drawn: list[_Group] = []
    mark = random()
    passed = 0.0
    for index in order:
        passed += chances[index]
        if passed > mark + _ROUNDING:
            drawn.append(groups[index])
            mark += 1.0
    if len(drawn) < count:  # a rounding error lost the last one
        taken = {id(each) for each in drawn}
        drawn += [groups[index] for index in order if id(groups[index]) not in taken][: count - len(drawn)]
    return drawn


def shares(nodes: Sequence[tuple[float, float]], count: int) -> list[float]:
    """Return the probability with which each node takes one of `count` parts.

    :param nodes: the size of each node, and how much of it is used, bytes.
    :param count: how many parts; there must be at least as many nodes.
    """
    total = sum(size for size, _ in nodes) or 1.0
    limits = [min(1.0, MOST_OF_FAIR * count * size / total) for size, _ in nodes]
    fills = [used / size if size else 1.0 for size, used in nodes]
    emptiest = min(fills)
    pulls = [max(size, 1.0) * math.exp((emptiest - fill) / _PULL) for (size, _), fill in zip(nodes, fills, strict=True)]
    filled = _pour(float(count), pulls, limits)
    missing = count - sum(filled)
    if missing > _ROUNDING:
        # With a few large nodes among small ones the bound is exceeded, because each file needs `count` nodes.
        rest = _pour(missing, [1.0] * len(nodes), [1.0 - each for each in filled])
        filled = [each + more for each, more in zip(filled, rest, strict=True)]
    return filled


def _pour(amount: float, pulls: Sequence[float], limits: Sequence[float]) -> list[float]:
    """Divide an amount in proportion to the pulls; what exceeds a limit goes to the others."""
    filled = [0.0] * len(pulls)
    open_ones = [index for index, limit in enumerate(limits) if limit > 0]
    while open_ones and amount > _ROUNDING:
        total = sum(pulls[index] for index in open_ones) or 1.0
        over = [index for index in open_ones if amount * pulls[index] / total >= limits[index] - filled[index]]
        if not over:
            for index in open_ones:
                filled[index] += amount * pulls[index] / total
            return filled
        for index in over:
            amount -= limits[index] - filled[index]
            filled[index] = limits[index]
        open_ones = [index for index in open_ones if filled[index] < limits[index]]
    return filled
