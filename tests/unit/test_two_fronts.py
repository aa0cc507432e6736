"""Fronts take over from each other while machines die and the network is divided: nothing acknowledged is ever lost."""

from __future__ import annotations

import tempfile
from itertools import count
from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock

from splitd.catalog.journal.reader import JournalReader
from splitd.errors import RecoveryRefused
from splitd.model.records import JournalOpened, encode_line
from splitd.takeover.recovery import Recovery
from storaged.system.filesystem import OSFilesystem
from tests.crash.power import PowerDisk
from tests.tally import EFFORT, TALLY
from tests.unit.two_fronts import CLUSTER, Direct, Network, SimFront, SimNode

NODES = 5
OPENED = encode_line(1, 0, JournalOpened(1, CLUSTER, 0))


class World:
    """Five nodes, and all fronts there have been.

    :ivar truth: every line that any front has acknowledged, by its number.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.clock = Clock()
        self.network = Network(self.clock, self.random)
        self.nodes = [SimNode(f"n{number}", self.network) for number in range(NODES)]
        self._ids = count(1)
        self._names = count(1)
        self.truth: dict[int, bytes] = {}
        first = PowerDisk({"/": {}, "/journal": {"journal-0000000001.jsonl": OPENED}})
        self.fronts = [self._front(first)]
        self.run(4.0)

    def _front(self, disk: PowerDisk) -> SimFront:
        return SimFront(f"f{next(self._names)}", self.nodes, self.network, disk, lambda: f"{next(self._ids):016x}")

    def run(self, seconds: float) -> None:
        """Let time pass, and look at what was acknowledged meanwhile."""
        for _ in range(int(seconds / 0.05)):
            self.clock.advance(0.05)
            self.look()

    def look(self) -> None:
        for front in self.fronts:
            for number, line in front.acknowledged.items():
                assert self.truth.setdefault(number, line) == line, f"record {number} was acknowledged twice"

    def do(self, step: str) -> None:
        if step == "append":
            for front in self.fronts:
                for _ in range(self.random.randrange(3)):
                    front.append()
            self.look()
        elif step == "divide":
            self.network.divided = {
                (front.name, node.id) for front in self.fronts for node in self.nodes if self.random.random() < 0.4
            }
        elif step == "join":
            self.network.divided.clear()
        elif step == "node":
            node = self.random.choice(self.nodes)
            if node.up:
                node.stop()
            else:
                node.start()
        elif step == "restart":
            front = self.random.choice(self.fronts)
            front.kill()
            self.fronts[self.fronts.index(front)] = again = self._front(PowerDisk(_image(front.disk)))
            again.acknowledged = front.acknowledged
        elif step == "take over":
            self.take_over()
        else:
            self.run(self.random.choice([0.1, 0.5, 3.0, 15.0]))

    def take_over(self) -> None:
        name = f"r{next(self._names)}"
        self.network.divided |= {(name, node.id) for node in self.nodes if self.random.random() < 0.3}
        with tempfile.TemporaryDirectory() as folder:
            nodes = [Direct(node, name) for node in self.nodes]
            data = Path(folder) / "data"
            try:
                Recovery(nodes, data, OSFilesystem(), lambda: f"{next(self._ids):016x}").run(accept_loss=False)
            except RecoveryRefused:
                TALLY["takeovers that were refused"] += 1
                return
            files = {path.name: path.read_bytes() for path in (data / "journal").iterdir()}
            self.check(JournalReader(OSFilesystem(), str(data / "journal")), files)
        TALLY["takeovers"] += 1
        if len(self.fronts) == 3 or self.random.random() < 0.5:
            self.fronts.pop(0).kill()
        self.fronts.append(self._front(PowerDisk({"/": {}, "/journal": files})))

    def check(self, reader: JournalReader, files: dict[str, bytes]) -> None:
        """Check that a recovered journal has all that was acknowledged."""
        for _ in reader.batches():
            pass
        lines = b"".join(files[name] for name in sorted(files) if name.startswith("journal-")).splitlines(keepends=True)
        for number, line in self.truth.items():
            assert lines[number - 1 : number] == [line], f"record {number} of {len(lines)} is lost"


def _image(disk: PowerDisk) -> dict[str, dict[str, bytes]]:
    return {
        folder: {name: bytes(inode.data) for name, inode in files.items()} for folder, files in disk.folders.items()
    }


steps = st.lists(
    st.sampled_from(["append"] * 5 + ["wait"] * 4 + ["divide", "join", "node", "node", "restart", "take over"]),
    min_size=5,
    max_size=60,
)


@settings(max_examples=60 * EFFORT)
@given(st.integers(0, 2**32), steps)
def test_nothing_acknowledged_is_lost_and_no_two_fronts_acknowledge_one_number(seed: int, chosen: list[str]) -> None:
    world = World(seed)
    for step in chosen:
        world.do(step)
    # In the end everything is mended, and one more takeover must succeed.
    world.network.divided.clear()
    for node in world.nodes:
        if not node.up:
            node.start()
    world.run(30.0)
    world.do("append")
    world.run(10.0)
    TALLY["records acknowledged by two fronts or more"] += len(world.truth)
    for front in world.fronts:
        front.kill()


def test_a_front_that_works_acknowledges_what_it_appends() -> None:
    world = World(1)
    for _ in range(20):
        world.do("append")
    world.run(2.0)
    [front] = world.fronts
    assert len(front.acknowledged) == front.next - 2
    front.kill()


def test_a_front_that_is_cut_off_acknowledges_nothing_after_its_lease() -> None:
    world = World(2)
    [front] = world.fronts
    world.network.divided = {(front.name, node.id) for node in world.nodes}
    world.run(11.0)
    before = dict(front.acknowledged)
    front.append()
    world.run(60.0)
    assert front.acknowledged == before
    assert "0 of 5 nodes have confirmed epoch 1" in front.copies.unavailable
    world.network.divided.clear()
    world.run(20.0)
    assert len(front.acknowledged) == len(before) + 1
    assert front.copies.unavailable == ""
    front.kill()


def test_a_front_that_went_on_without_any_copy_acknowledges_nothing_after_its_lease() -> None:
    world = World(4)
    [front] = world.fronts
    world.network.unlinked = {node.id for node in world.nodes}
    world.network.cut(front.name)
    front.append()
    world.run(5.0)
    assert front.next - 1 in front.acknowledged  # no holder is left to wait for
    world.network.divided = {(front.name, node.id) for node in world.nodes}
    world.run(10.5)
    before = dict(front.acknowledged)
    assert front.copies.unavailable == ""  # nothing is refused yet, but another front could have taken over
    front.append()
    world.run(5.0)
    assert front.acknowledged == before
    world.network.divided.clear()
    world.run(5.0)
    assert len(front.acknowledged) == len(before) + 1
    front.kill()


def test_the_old_front_is_refused_after_a_takeover_that_it_did_not_see() -> None:
    world = World(3)
    [old] = world.fronts
    old.append()
    world.run(1.0)
    world.network.divided = {(old.name, node.id) for node in world.nodes}
    while len(world.fronts) == 1:
        world.take_over()
    new = world.fronts[-1]
    world.network.divided.clear()
    world.run(5.0)
    old.append()
    new.append()
    world.run(5.0)
    assert "has taken over with epoch" in old.refused
    assert new.acknowledged
    assert not new.refused
    for front in world.fronts:
        front.kill()
