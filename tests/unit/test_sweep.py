"""The sweep puts aside what no catalog knows, once it is old enough, and nothing else."""

from __future__ import annotations

import gc

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from splitd.catalog.journal.memory import MemoryFolder, MemoryJournal
from splitd.catalog.journalled import JournalledCatalog
from splitd.errors import SweepInterrupted, SweepUnderWay
from splitd.model.conditions import Condition
from splitd.model.holdings import PartCopy
from splitd.model.manifest import Manifest
from splitd.model.records import JournalRestored
from storaged.parts.format import PartId
from storaged.parts.memory import MemoryPartStore
from storaged.parts.values import PartInfo
from tests.clocks import wall_of
from tests.contract.parts import encode, put
from tests.ledger import begin, commit
from tests.unit.sweeping import DAY_S, GRACE_S, IDS, Identity, place


@pytest_twisted.ensureDeferred
async def test_only_parts_that_nobody_knows_are_put_aside() -> None:
    at = await place()
    await at.file("/kept")
    replaced, deleted = await at.file("/replaced"), await at.file("/deleted")
    await at.file("/replaced")
    await at.catalog.delete("/deleted", Condition())
    under_way = at.new_id()
    await begin(at.catalog.ledger, under_way, "/under-way", IDS)
    await at.put_parts(under_way)
    nobodys = at.new_id()
    await at.put_parts(nobodys)
    at.clock.advance(GRACE_S + 1)
    findings = await at.sweep.run()
    assert at.trashed() == [f"{nobodys}.{index}" for index in range(3)]
    assert (findings.orphans, findings.trashed, findings.stopped) == (3, 3, "")
    assert [(node.node, node.parts, node.orphans, node.problem) for node in findings.nodes] == [
        (node, 6, 1, "") for node in IDS
    ]
    doomed = [PartId(upload, 0) for upload in (replaced, deleted)]
    assert await at.catalog.ledger.orphans(IDS[0], [*doomed, PartId(nobodys, 0)]) == [PartId(nobodys, 0)]
    assert (await at.sweep.run()).orphans == 0


@pytest_twisted.ensureDeferred
async def test_a_part_on_a_node_where_it_does_not_belong_is_an_orphan() -> None:
    at = await place()
    upload = await at.file("/f")
    stray = f"{upload}.0"
    await put(at.stores["n2"], stray, [encode(stray, b"x")])
    beyond = f"{upload}.3"
    await put(at.stores["n1"], beyond, [encode(beyond, b"x")])
    at.clock.advance(GRACE_S + 1)
    await at.sweep.run()
    assert at.stores["n2"].trashed.keys() == {stray}
    assert at.stores["n1"].trashed.keys() == {beyond}
    assert at.stores["n3"].trashed == {}


@pytest_twisted.ensureDeferred
async def test_a_part_is_left_alone_for_the_grace_time() -> None:
    at = await place()
    await at.put_parts(at.new_id())
    at.clock.advance(GRACE_S)
    findings = await at.sweep.run()
    assert [node.young for node in findings.nodes] == [1, 1, 1]
    assert at.trashed() == []
    at.clock.advance(1)
    await at.sweep.run()
    assert len(at.trashed()) == 3


@pytest_twisted.ensureDeferred
async def test_by_its_id_and_by_the_node_it_must_be_old() -> None:
    at = await place()
    early = at.new_id()
    at.clock.advance(GRACE_S + 1)
    await at.put_parts(early)
    assert [node.young for node in (await at.sweep.run()).nodes] == [1, 1, 1]


@pytest_twisted.ensureDeferred
async def test_a_dry_run_changes_nothing_and_tells_all() -> None:
    at = await place()
    nobodys = at.new_id()
    await at.put_parts(nobodys)
    at.clock.advance(GRACE_S + 1)
    findings = await at.sweep.run(dry_run=True)
    assert at.trashed() == []
    assert (findings.orphans, findings.trashed, findings.dry_run) == (3, 0, True)
    assert findings.nodes[1].examples == [f"{nobodys}.1"]
    assert findings.nodes[0].orphan_bytes > 0


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(("share", "stops"), [(0.24, True), (0.25, False)])
async def test_where_too_much_is_unknown_nothing_is_touched(share: float, stops: bool) -> None:
    at = await place(share=share)
    for number in range(3):
        await at.file(f"/{number}")
    await at.put_parts(at.new_id())
    at.clock.advance(GRACE_S + 1)
    findings = await at.sweep.run()
    assert len(at.trashed()) == (0 if stops else 3)
    assert ("nobody knows 1, more than 24 %" in findings.stopped) is stops
    assert at.sweep.last is findings
    assert (await at.sweep.run(share=1)).stopped == ""
    assert len(at.trashed()) == 3


@pytest_twisted.ensureDeferred
async def test_one_bad_node_stops_the_sweep_of_all() -> None:
    at = await place(share=0.1)
    for number in range(20):
        await at.file(f"/{number}")
    await at.put_parts(at.new_id(), ["n1"])
    for _ in range(3):
        await at.put_parts(at.new_id(), ["n2"])
    at.clock.advance(GRACE_S + 1)
    findings = await at.sweep.run()
    assert "on node n2" in findings.stopped
    assert at.trashed() == []


@pytest_twisted.ensureDeferred
async def test_a_part_that_is_moved_meanwhile_is_nobodys_orphan_whatever_its_nodes_clock_says() -> None:
    at = await place()
    upload = await at.file("/file")
    at.clock.advance(3 * GRACE_S)
    at.stores["n4"] = MemoryPartStore(capacity=2**20, identity=Identity("n4"), clock=Clock(), wall=wall_of(Clock()))
    lists = at.stores["n1"].list_parts

    async def move() -> None:
        copy = PartCopy(upload, 0, "n4")
        await at.catalog.part_moves.begin_move(copy)
        await put(at.stores["n4"], f"{upload}.0", [encode(f"{upload}.0", b"x")])
        await at.catalog.part_moves.commit_move(copy)

    def listed(after: str, limit: int) -> Deferred[list[PartInfo]]:
        moved = Deferred.fromCoroutine(move()) if not after else succeed(None)
        return moved.addCallback(lambda _: lists(after, limit))

    at.stores["n1"].list_parts = listed  # type: ignore[method-assign]
    at.ids = ["n1", "n2", "n3", "n4"]
    findings = await at.sweep.run()
    assert (at.trashed(), findings.orphans, [node.examples for node in findings.nodes]) == ([], 0, [[]] * 4)


@pytest_twisted.ensureDeferred
async def test_an_upload_that_is_committed_meanwhile_is_known() -> None:
    at = await place()
    upload = at.new_id()
    await begin(at.catalog.ledger, upload, "/slow", IDS)
    await at.put_parts(upload)
    at.clock.advance(GRACE_S + 1)
    held: Deferred[list[PartInfo]] = Deferred()
    store = at.stores["n1"]
    list_parts = store.list_parts
    at.stores["n1"].list_parts = lambda after, limit: held.addCallback(lambda _: list_parts(after, limit))  # type: ignore[method-assign]
    sweeping = at.sweep.run()
    await commit(at.catalog.ledger, "/slow", Manifest(upload, 3, 1, 3, 0, 4, tuple(IDS)), Condition())
    at.stores["n1"].list_parts = list_parts  # type: ignore[method-assign]
    held.callback([])
    assert (await sweeping).orphans == 0


@pytest_twisted.ensureDeferred
async def test_it_comes_by_itself() -> None:
    at = await place()
    await at.put_parts(at.new_id())
    at.sweep.start()
    assert at.sweep.last is None
    at.clock.advance(3600)
    assert at.sweep.last is not None
    assert at.trashed() == []  # they are too young
    at.clock.advance(7 * DAY_S)
    assert len(at.trashed()) == 3
    at.sweep.stop()
    at.sweep.start()
    at.sweep.stop()
    assert at.clock.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_two_at_once_are_refused_and_the_end_gives_one_up() -> None:
    at = await place()
    given_up: list[Deferred[list[PartInfo]]] = []
    waiting: Deferred[list[PartInfo]] = Deferred(given_up.append)
    at.stores["n1"].list_parts = lambda *_: waiting  # type: ignore[method-assign]
    first = at.sweep.run()
    with pytest.raises(SweepUnderWay):
        await at.sweep.run()
    ended: list[object] = []
    first.addErrback(ended.append)
    at.sweep.stop()
    assert len(given_up) == len(ended) == 1


@pytest_twisted.ensureDeferred
async def test_an_operator_ends_one_and_another_may_begin() -> None:
    at = await place()
    assert await at.sweep.interrupt() is False
    waiting: Deferred[list[PartInfo]] = Deferred()
    usual = at.stores["n1"].list_parts
    at.stores["n1"].list_parts = lambda *_: waiting  # type: ignore[method-assign]
    first = at.sweep.run()
    assert at.sweep.under_way
    ended = at.sweep.interrupt()
    with pytest.raises(SweepInterrupted, match="an operator"):
        await first
    assert await ended is True
    assert (at.sweep.under_way, at.sweep.last) == (False, None)
    at.stores["n1"].list_parts = usual  # type: ignore[method-assign]
    await at.sweep.run()
    assert at.sweep.last is not None


@pytest_twisted.ensureDeferred
async def test_a_stop_leaves_no_failure_that_nobody_handles() -> None:
    at = await place()
    for store in at.stores.values():
        store.list_parts = lambda *_: Deferred()  # type: ignore[method-assign,assignment]
    with capturedLogs() as told:
        at.sweep.start()
        at.clock.advance(3600)
        at.sweep.stop()
        gc.collect()  # a failure that nobody handled is logged when it is forgotten
    assert told == []
    assert at.sweep.last is None


@pytest_twisted.ensureDeferred
async def test_while_it_is_held_nothing_is_put_aside() -> None:
    at = await place()
    await at.file("/kept")
    nobodys = at.new_id()
    await at.put_parts(nobodys)
    at.clock.advance(GRACE_S + 1)
    at.held = "the journal was restored"
    findings = await at.sweep.run(share=1.0)
    assert (at.trashed(), findings.orphans, findings.stopped) == ([], 3, "the journal was restored")
    at.held = ""
    await at.sweep.run()
    assert len(at.trashed()) == 3


@pytest_twisted.ensureDeferred
async def test_a_catalog_says_until_when_its_restored_journal_holds_parts() -> None:
    clock = Clock()
    folder = MemoryFolder()
    journal = MemoryJournal(folder)
    catalog = JournalledCatalog(journal, wall_of(clock), clock, front="front")
    await catalog.start()
    assert catalog.held(0) == ""
    await journal.append_all([JournalRestored(1_000_000, 2_000_000, 3_000_000)], durable=True)
    await journal.close()
    catalog = JournalledCatalog(MemoryJournal(folder), wall_of(clock), clock, front="front")
    await catalog.start()
    assert "restored at 1970-01-01 00:33 UTC from a backup of 1970-01-01 00:16 UTC" in catalog.held(2_999_999)
    assert catalog.held(3_000_000) == ""
