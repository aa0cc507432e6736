"""Which nodes take the parts of a file.  Pure."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Candidate(NamedTuple):
    """A node that could take a part.

    :param node_id: its id.
    :param zone: its zone; empty where it is a zone of its own.
    :param room: the free bytes it is thought to have, after what is promised already, times its weight.
    """

    node_id: str
    zone: str
    room: float


def choose_nodes(candidates: Sequence[Candidate], count: int, random: Callable[[], float]) -> list[str]:
    """Choose distinct nodes at random, each by its share of the free space, so that they fill evenly.

    Zones are spread as far as there are enough: no zone takes a second part before each has one.

    :param count: how many; there must be as many candidates.
    :param random: gives numbers in [0, 1).
    :return: their ids, in no order.
    """
    # Weighted sampling without replacement: the smallest of exponential variates with rate `room`
    # (Efraimidis and Spirakis 2006, algorithm A-Res, in logarithms).
    drawn = sorted(candidates, key=lambda candidate: -math.log(1.0 - random()) / max(candidate.room, 1.0))
    taken: dict[str, int] = {}
    keyed = []
    for order, candidate in enumerate(drawn):
        zone = candidate.zone or f"\0{candidate.node_id}"
        keyed.append((taken.get(zone, 0), order, candidate.node_id))
        taken[zone] = taken.get(zone, 0) + 1
    return [node_id for _, _, node_id in heapq.nsmallest(count, keyed)]
