"""Nodes fill evenly: a registry places files of all sizes for days, beside nodes that answer when asked.

Each run places files until the cluster is as full as it says.  The nodes report what they hold and what they have
promised to parts of uploads under way, as storage servers do.  The registry asks every ten seconds, so its knowledge is
old.
"""

from __future__ import annotations

import math
import random
from collections import Counter, deque
from collections.abc import Callable

import attrs
import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from splitd.model.nodes import NodeEntry
from splitd.model.placement import MOST_OF_FAIR
from splitd.nodes.registry import NodeRegistry
from storaged.parts.values import NodeInfo

GIB = 2**30
TIB = 2**40
PARTS = 6
AT_ONCE = 64
GUESS = 16 * 2**20


@attrs.define
class Disk:
    """A node's store, as placement sees it.

    :param promised: bytes promised to uploads whose size was announced.
    """

    node_id: str
    capacity: int
    used: int = 0
    promised: int = 0

    def info(self) -> Deferred[NodeInfo]:
        return succeed(NodeInfo(self.node_id, "c", self.capacity, max(0, self.capacity - self.used - self.promised)))

    @property
    def fill(self) -> float:
        return self.used / self.capacity


@attrs.define
class Upload:
    """An upload under way: its parts grow until it is finished."""

    nodes: list[str]
    part: int
    known: bool


class Simulation:
    """A registry, its nodes, and 64 uploads at once."""

    def __init__(
        self, sizes: dict[str, int], seed: int, *, fill: float = 0.0, zones: Callable[[str], str] = str
    ) -> None:
        self.chance = random.Random(seed)
        self.clock = Clock()
        self.disks = {node: Disk(node, size, int(size * fill)) for node, size in sizes.items()}
        self._zones = zones
        self.registry = NodeRegistry(
            self._entries(), lambda entry: self.disks[entry.id], self.clock, self.chance.random
        )
        self.registry.start()
        self.under_way: deque[Upload] = deque()
        self.taken: Counter[str] = Counter()
        self.files = 0
        self.widest = 0.0

    def _entries(self) -> list[NodeEntry]:
        return [NodeEntry(node, f"http://{node}:1", self._zones(node)) for node in self.disks]

    def add(self, node: str, size: int) -> None:
        self.disks[node] = Disk(node, size)
        self.registry.replace(self._entries())
        self.taken.clear()
        self.files = 0

    @property
    def fill(self) -> float:
        return sum(disk.used for disk in self.disks.values()) / sum(disk.capacity for disk in self.disks.values())

    @property
    def spread(self) -> float:
        fills = [disk.fill for disk in self.disks.values()]
        return max(fills) - min(fills)

    def _size(self) -> int:
        """Draw a size from 1 KiB to 10 GiB; each order of magnitude is equally likely."""
        return int(math.exp(self.chance.uniform(math.log(1024), math.log(10 * GIB))))

    def run_until(self, fill: float) -> None:
        while self.fill < fill:
            self._begin()
            if len(self.under_way) > AT_ONCE:
                self._end(self.under_way.popleft())
            self.clock.advance(self.chance.uniform(0, 0.5))
            if self.files % 8 == 0:
                self.widest = max(self.widest, self.spread)

    def _begin(self) -> None:
        part = self._size() // PARTS
        known = self.chance.random() < 0.8
        nodes = self.registry.place(PARTS, part if known else GUESS, (), is_guess=not known)
        assert len(set(nodes)) == PARTS
        for node in nodes:
            self.taken[node] += 1
            if known:
                self.disks[node].promised += part
        self.files += 1
        self.under_way.append(Upload(nodes, part, known))

    def _end(self, upload: Upload) -> None:
        for node in upload.nodes:
            disk = self.disks[node]
            if upload.known:
                disk.promised -= upload.part
            else:
                self.registry.release(node, GUESS)
            disk.used += upload.part
            assert disk.used <= disk.capacity, "no node takes more than it has room for"


@pytest.mark.parametrize("count", [6, 7, 9, 12, 20, 40])
def test_equal_disks_differ_by_less_than_one_percent(count: int) -> None:
    simulation = Simulation({f"n{number}": TIB for number in range(count)}, seed=count)
    simulation.run_until(2 / count)
    assert simulation.widest < 0.01


@pytest.mark.parametrize("seed", range(3))
def test_a_cluster_that_fills_up_stays_even_to_its_end(seed: int) -> None:
    simulation = Simulation({f"n{number}": TIB for number in range(9)}, seed, fill=0.5)
    simulation.run_until(0.97)
    assert simulation.widest < 0.01


def test_unequal_disks_are_equally_full() -> None:
    simulation = Simulation({f"n{number}": (1 + number % 4) * TIB for number in range(12)}, seed=1)
    simulation.run_until(0.4)
    assert simulation.widest < 0.01


def test_zones_of_the_same_size_are_equally_full() -> None:
    simulation = Simulation(
        {f"{'abc'[number % 3]}{number}": TIB for number in range(12)}, seed=2, zones=lambda node: node[0]
    )
    simulation.run_until(0.4)
    assert simulation.widest < 0.01


def test_a_node_that_joins_a_half_full_cluster_catches_up_and_takes_no_more_than_its_bound() -> None:
    simulation = Simulation({f"n{number}": TIB for number in range(12)}, seed=3, fill=0.5)
    simulation.run_until(0.51)
    simulation.add("new", TIB)
    simulation.run_until(0.6)
    bound = min(1.0, MOST_OF_FAIR * PARTS / 13)
    assert simulation.taken["new"] / simulation.files <= bound + 0.01
    assert simulation.taken["new"] / simulation.files > 0.9 * bound
    simulation.run_until(0.9)
    assert simulation.spread < 0.01


def test_a_node_that_joins_a_large_cluster_is_not_where_everything_goes() -> None:
    simulation = Simulation({f"n{number}": TIB for number in range(40)}, seed=4, fill=0.5)
    simulation.add("new", TIB)
    simulation.run_until(0.51)
    assert simulation.taken["new"] / simulation.files == pytest.approx(MOST_OF_FAIR * PARTS / 41, abs=0.03)


def test_several_nodes_that_join_together_catch_up_together() -> None:
    simulation = Simulation({f"n{number}": TIB for number in range(6)}, seed=5, fill=0.3)
    for number in range(6):
        simulation.add(f"new{number}", TIB)
    simulation.run_until(0.6)
    assert simulation.spread < 0.01
