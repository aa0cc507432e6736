"""The order in which the healer works, and what it does about versions that cannot be healed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock

from splitd.catalog.alone import Alone
from splitd.catalog.hurt import HurtVersions
from splitd.errors import NotEnoughNodes
from splitd.interfaces.heal import VersionPage
from splitd.model.documents import Document
from splitd.model.manifest import Manifest
from splitd.model.nodes import NodeEntry
from splitd.upkeep.heal.healer import Healer
from splitd.upkeep.heal.orders import StandingOrders
from splitd.upkeep.walks import Walks

NODES = tuple("abcdefgh")


@attrs.define
class Node:
    entry: NodeEntry
    takes_parts: bool = True


class Crew:
    """Heals at once what it can.

    :ivar hangs: what it waits for before; None for nothing.
    :ivar ends: what it waits for when that is cancelled.
    :ivar stopped: how often its work was cancelled.
    :ivar limit: its limit.
    """

    busy = False

    def __init__(self, ledger: Ledger, cannot: set[str]) -> None:
        self._ledger = ledger
        self._cannot = cannot
        self.hangs: Deferred[None] | None = None
        self.ends: Deferred[None] = Deferred()
        self.stopped = 0
        self.limit: float | None = 1000.0
        self.healed: list[str] = []
        self.tried: list[str] = []

    async def end_unended(self) -> None:
        """Nothing has failed."""

    def may_begin(self, _: Manifest) -> bool:
        return True

    async def rebuild(self, version: Manifest, indexes: Sequence[int], unread: set[str]) -> None:
        assert (indexes, unread) == (version.missing, set())
        self.tried.append(version.upload)
        if self.hangs is not None:
            try:
                await self.hangs
            finally:
                await self.ends
        if version.upload in self._cannot:
            raise NotEnoughNodes("no zone has room")
        self.healed.append(version.upload)
        self._ledger.hurt_versions.forget(version.upload)

    def set_limit(self, limit: float | None) -> None:
        self.limit = limit

    def stop(self) -> Deferred[None]:
        self.stopped += 1
        return succeed(None)


class Ledger:
    """The hurt versions, and nothing else."""

    def __init__(self, versions: Sequence[Manifest]) -> None:
        self._versions = {version.upload: version for version in versions}
        self.hurt_versions = HurtVersions()
        for version in versions:
            self.hurt_versions.weigh(version)

    def hurt(self, after: str, limit: int) -> Deferred[VersionPage]:
        uploads, cursor = self.hurt_versions.page(after, limit)
        return succeed(VersionPage([self._versions[upload] for upload in uploads], cursor))

    def parts_on(self) -> Deferred[Mapping[str, int]]:
        return succeed({})


class Documents:
    """Small documents, of which there is one."""

    def __init__(self) -> None:
        self._document: Document | None = None

    def find(self, _kind: str, _key: str) -> Deferred[Document | None]:
        return succeed(self._document)

    def put(self, document: Document, expected: int) -> Deferred[Document]:
        assert expected == (0 if self._document is None else self._document.revision)
        self._document = attrs.evolve(document, revision=expected + 1)
        return succeed(self._document)


class Bench:
    """A healer whose crew cannot heal some versions.

    :ivar orders: what another front sees and changes.
    """

    def __init__(self, versions: Sequence[Manifest], cannot: set[str]) -> None:
        self.clock = Clock()
        self.crew = Crew(ledger := Ledger(versions), cannot)
        walks = Walks(Alone(), self.clock)
        self.orders = StandingOrders(Documents())  # type: ignore[arg-type]
        self.healer = Healer(
            *(ledger, self, self.crew, self, self, self),  # type: ignore[arg-type]
            self.clock,
            walks,
            orders=self.orders,
        )

    def nodes(self) -> list[Node]:
        return [Node(NodeEntry(name, f"http://{name}")) for name in (*NODES, "i")]

    def look(self) -> dict[str, str]:
        return {}

    def pass_by(self, seconds: float) -> None:
        self.clock.pump([0.01] * int(100 * seconds))


def version(number: int, *missing: int) -> Manifest:
    nodes = tuple("" if index in missing else node for index, node in enumerate(NODES))
    return Manifest(f"{number:032x}", 100, 1, 6, 2, 4, nodes)


@pytest_twisted.ensureDeferred
async def test_the_most_endangered_are_healed_first_and_the_unreadable_not_at_all() -> None:
    bench = Bench([version(1, 0), version(2, 0, 1), version(3, 0, 1, 2), version(4, 5, 6), version(5, 7)], set())
    bench.healer.start()
    bench.pass_by(3)
    assert bench.crew.healed == [f"{number:032x}" for number in (2, 4, 1, 5)]
    assert bench.crew.tried == bench.crew.healed
    await bench.healer.stop()


@pytest_twisted.ensureDeferred
async def test_many_that_cannot_be_healed_do_not_keep_the_others_waiting_for_ever() -> None:
    endangered, others = [version(number, 0, 1) for number in range(5000)], [version(9999, 0)]
    bench = Bench([*endangered, *others], {each.upload for each in endangered})
    bench.healer.start()
    bench.pass_by(0.9)
    assert len(bench.crew.tried) <= 2100, "a pass is bounded"
    bench.pass_by(10)
    assert bench.crew.healed == [others[0].upload]
    assert bench.crew.tried.count(endangered[0].upload) > bench.crew.tried.count(endangered[4000].upload)
    await bench.healer.stop()


@pytest_twisted.ensureDeferred
async def test_it_does_nothing_while_it_is_paused() -> None:
    bench = Bench([version(1, 0)], set())
    await bench.healer.pause()
    bench.healer.start()
    bench.pass_by(3)
    bench.healer.wake()
    assert (bench.healer.paused, bench.crew.tried) == (True, [])
    await bench.healer.resume()
    bench.pass_by(0.1)
    assert (bench.healer.paused, bench.crew.healed) == (False, [version(1, 0).upload])
    await bench.healer.stop()


@pytest_twisted.ensureDeferred
async def test_a_pause_ends_what_is_under_way_though_nobody_waits_for_it_any_more() -> None:
    bench = Bench([version(1, 0)], set())
    bench.crew.hangs = Deferred()
    bench.healer.start()
    bench.pass_by(0.1)
    bench.crew.hangs = None
    paused = bench.healer.pause()
    assert not paused.called, "the pass has not ended yet"
    paused.cancel()
    with pytest.raises(CancelledError):
        await paused
    assert bench.crew.stopped == 0
    bench.crew.ends.callback(None)
    assert (bench.healer.paused, bench.crew.stopped) == (True, 1)
    await bench.healer.stop()


@pytest_twisted.ensureDeferred
async def test_a_pause_at_another_front_ends_what_is_under_way_here() -> None:
    bench = Bench([version(1, 0)], set())
    bench.crew.hangs = Deferred()
    bench.healer.start()
    bench.pass_by(0.1)
    bench.crew.hangs = None
    bench.crew.ends.callback(None)
    await bench.orders.pause(paused=True)
    bench.pass_by(1.5)
    assert (bench.healer.paused, bench.crew.stopped, bench.crew.healed) == (True, 1, [])
    bench.pass_by(2)
    assert len(bench.crew.tried) == 1
    await bench.orders.pause(paused=False)
    bench.pass_by(1.5)
    assert (bench.healer.paused, bench.crew.healed) == (False, [version(1, 0).upload])
    await bench.healer.stop()


@pytest_twisted.ensureDeferred
async def test_a_limit_of_another_front_holds_here_until_the_usual_one_is_wanted() -> None:
    bench = Bench([version(1, 0)], {version(1, 0).upload})
    bench.healer.start()
    for ordered, holds in ((5.0, 5.0), (0.0, None), (None, 1000.0)):
        await bench.orders.limit(ordered)
        bench.pass_by(1.5)
        assert bench.crew.limit == holds
    await bench.healer.stop()
