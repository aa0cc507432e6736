"""Long work leaves turns of the reactor to other work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred

from splitd.catalog.changes import Changes
from splitd.catalog.effects import apply, exhaust
from splitd.catalog.journal.memory import MemoryJournal
from splitd.catalog.journalled import JournalledCatalog
from splitd.catalog.slices import SLICE, Slices
from splitd.catalog.state import State
from splitd.errors import BadName, NotFound, TooManyNames
from splitd.model import branch
from splitd.model.conditions import ALWAYS
from splitd.model.records import CollectionMade, EntryCopied, EntryDeleted, FileCommitted, JournalOpened
from splitd.model.tree import Collection
from storaged.parts.format import PartId
from tests.catalogs import NODES, manifest
from tests.clocks import wall_of
from tests.fired import fired
from tests.unit.catalogs import Front, TurningClock, started

MANY = 2 * SLICE + SLICE // 2


def job(log: list[Any], name: str, count: int) -> Iterator[None]:
    for number in range(count):
        log.append((name, number))
        yield


def test_a_short_job_is_done_at_once() -> None:
    log: list[Any] = []
    clock = TurningClock()
    assert Slices(clock, 10).do(job(log, "a", 9)).called
    assert len(log) == 9
    assert clock.getDelayedCalls() == []


def test_each_turn_of_the_reactor_does_one_slice_and_the_jobs_take_turns() -> None:
    log: list[Any] = []
    clock = TurningClock()
    slices = Slices(clock, 10)
    one, two = slices.do(job(log, "a", 25)), slices.do(job(log, "b", 15))
    seen = [len(log)]
    while clock.getDelayedCalls():
        clock.turn()
        seen.append(len(log))
    assert seen == [10, 20, 30, 35, 40]
    assert [name for name, _ in log] == [*"a" * 20, *"b" * 10, *"a" * 5, *"b" * 5]
    assert (one.called, two.called) == (True, True)


def test_a_job_that_is_cancelled_or_stopped_cleans_up_and_the_others_go_on() -> None:
    log: list[Any] = []
    clock = TurningClock()
    slices = Slices(clock, 10)

    def careful(name: str) -> Iterator[None]:
        try:
            yield from job(log, name, 100)
        finally:
            log.append((name, "closed"))

    first, second = slices.do(careful("a")), slices.do(job(log, "b", 15))
    first.cancel()
    first.addErrback(lambda failure: failure.trap(CancelledError))
    assert log[-1] == ("a", "closed")
    while not second.called:
        clock.turn()
    third = slices.do(careful("c"))
    slices.stop()
    slices.stop()
    assert third.addErrback(lambda failure: failure.trap(CancelledError)).result is CancelledError
    assert log[-1] == ("c", "closed")
    assert clock.getDelayedCalls() == []


def test_a_job_fails_with_what_its_step_raises() -> None:
    def bad() -> Iterator[None]:
        yield
        raise ValueError("no")

    failures: list[Any] = []
    clock = TurningClock()
    Slices(clock).do(bad()).addErrback(failures.append)
    assert failures[0].check(ValueError)
    assert clock.getDelayedCalls() == []


async def large(front: Front, count: int = MANY, folder: str = "/t") -> list[str]:
    """Make a collection of many files."""
    await front.catalog.make_collection(folder)
    uploads = [f"{number:032x}" for number in range(count)]
    for upload in uploads:
        await front.put(f"{folder}/{upload}", upload)
    return uploads


def turns(front: Front, until: Deferred[Any]) -> int:
    """Let the reactor turn until a Deferred fires; return how often it turned."""
    count = 0
    while not until.called:
        assert front.clock.getDelayedCalls()
        front.clock.turn()
        count += 1
    return count


@pytest_twisted.ensureDeferred
async def test_a_large_tree_is_unlinked_at_once_and_its_parts_are_doomed_in_slices() -> None:
    front = await started()
    uploads = await large(front)
    await front.catalog.delete("/t", ALWAYS)
    assert await front.catalog.lookup("/t") is None
    assert 0 < fired(front.catalog.statistics()).doomed < MANY
    # Until a part is doomed it is not an orphan, either.
    assert await front.catalog.ledger.orphans("a", [PartId(upload, 0) for upload in uploads]) == []
    nodes = front.catalog.doomed_parts.doomed_nodes()
    assert turns(front, nodes) == 2
    assert await nodes == dict.fromkeys(NODES, MANY)
    assert fired(front.catalog.statistics()).doomed == MANY
    assert (fired(front.catalog.statistics()).files, fired(front.catalog.statistics()).bytes_stored) == (0, 0)
    assert fired((await front.restart()).catalog.statistics()).doomed == MANY


@pytest_twisted.ensureDeferred
async def test_a_catalog_that_is_stopped_in_the_middle_finds_the_rest_after_a_restart() -> None:
    front = await started()
    await large(front)
    await front.catalog.delete("/t", ALWAYS)
    front.catalog.stop()
    assert front.clock.getDelayedCalls() == []
    assert fired(front.catalog.statistics()).doomed < MANY
    assert fired((await front.restart()).catalog.statistics()).doomed == MANY


@pytest_twisted.ensureDeferred
async def test_a_version_whose_copy_waits_behind_a_large_tree_keeps_its_parts() -> None:
    front = await started()
    await large(front)
    await front.catalog.make_collection("/u")
    await front.put("/u/f", "f" * 32)
    await front.catalog.delete("/t", ALWAYS)  # its files are being forgotten
    copied = front.catalog.namespace.copy("/u", "/v", ALWAYS, deep=True, overwrite=True)
    turns(front, copied)
    assert await copied
    await front.catalog.delete("/u", ALWAYS)
    await front.catalog.delete("/v", ALWAYS)
    settled = front.catalog.doomed_parts.doomed_nodes()
    assert (await front.catalog.ledger.orphans("a", [PartId("f" * 32, 0)])) == []
    turns(front, settled)
    assert fired(front.catalog.statistics()).doomed == MANY + 1


@pytest_twisted.ensureDeferred
async def test_a_large_copy_is_seen_whole_or_not_at_all_and_holds_up_only_its_tree() -> None:
    front = await started()
    await large(front)
    copied = front.catalog.namespace.copy("/t", "/u", ALWAYS, deep=True, overwrite=False)
    inside = front.put("/t/new", "e" * 32)
    assert await front.put("/other", "f" * 32)
    assert (copied.called, inside.called) == (False, False)
    assert await front.catalog.lookup("/u") is None
    assert turns(front, copied) > 2
    assert await copied
    assert await inside
    assert fired(front.catalog.statistics()).files == 2 * MANY + 2
    again = await front.restart()
    for each in (front, again):
        assert isinstance(await each.catalog.lookup("/u"), Collection)
        assert len(await each.catalog.list_members("/u", "", 2 * MANY)) == MANY
        assert await each.catalog.lookup("/u/new") is None
        assert fired(each.catalog.statistics()) == fired(front.catalog.statistics())


@pytest_twisted.ensureDeferred
async def test_a_copy_that_is_cancelled_while_it_is_made_leaves_nothing() -> None:
    front = await started()
    await large(front)
    before = len(front.folder.lines)
    copied = front.catalog.namespace.copy("/t", "/u", ALWAYS, deep=True, overwrite=False)
    front.clock.turn()
    copied.cancel()
    with pytest.raises(CancelledError):
        await copied
    assert await front.put("/t/new", "e" * 32)  # nobody waits for it any more
    turns(front, front.catalog.doomed_parts.doomed_nodes())
    assert len(front.folder.lines) == before + 2
    assert (fired(front.catalog.statistics()).files, fired(front.catalog.statistics()).doomed) == (MANY + 1, 0)
    await front.catalog.delete("/t", ALWAYS)
    turns(front, front.catalog.doomed_parts.doomed_nodes())
    assert fired(front.catalog.statistics()).doomed == MANY + 1


@pytest_twisted.ensureDeferred
async def test_a_move_or_copy_that_is_refused_after_a_long_look_changes_nothing() -> None:
    front = await started()
    await large(front)
    long = "/" + "n" * 255
    for depth in range(1, 17):
        await front.catalog.make_collection(long * depth if depth < 16 else long * 15 + "/" + "n" * 230)
    target = long * 15 + "/" + "n" * 230 + "/t"
    for call in (front.catalog.namespace.move, front.catalog.namespace.copy):
        more = {"deep": True} if call == front.catalog.namespace.copy else {}
        refused = call("/t", target, ALWAYS, overwrite=False, **more)
        with pytest.raises(BadName):
            await refused
    assert len(await front.catalog.list_members("/t", "", 2 * MANY)) == MANY


def fold(*some: Any) -> State:
    state = State()
    for record in (JournalOpened(1, "d" * 32, 1), *some):
        apply(state, record)
    return state


def test_the_limit_of_a_copy_is_found_on_the_way() -> None:
    state = fold(CollectionMade("/t", 1), *(FileCommitted(f"/t/{n}", manifest(f"{n:032x}")) for n in range(20)))
    exhaust(state.tree.refuse_too_many("/t", 20))
    with pytest.raises(TooManyNames):
        exhaust(state.tree.refuse_too_many("/t", 19))
    with pytest.raises(NotFound):
        exhaust(state.copy("/x", "/y", 1, deep=True))


@given(st.integers(0, 60), st.booleans())
def test_a_copy_closed_after_any_step_leaves_the_counts_as_they_were(steps: int, deep: bool) -> None:
    files = [FileCommitted(f"/t/{n}", manifest(f"{n:032x}")) for n in range(20)]
    inner = [CollectionMade("/t/in", 1), EntryCopied("/t/3", "/t/in/3", "0", 1)]
    state = fold(CollectionMade("/t", 1), *files, *inner)
    before = (state.files, state.bytes_stored, dict(state.shared), len(state.tree), len(state.versions))
    copying = state.copy("/t", "/u", 1, deep=deep)
    for _ in range(steps):
        if next(copying, "ended") == "ended":
            break
    else:
        copying.close()  # type: ignore[attr-defined]
        state.settle()
        assert (state.files, state.bytes_stored, state.shared, len(state.tree), len(state.versions)) == before
    assert len(state.doomed) == 0


def test_a_large_collection_is_listed_in_order_however_it_became_large() -> None:
    names = [f"{n * 7919 % 10_007:05}" for n in range(branch.LARGE + 500)]
    state = fold(CollectionMade("/t", 1), *(FileCommitted(f"/t/{n}", manifest(f"{n:0>32}")) for n in names))
    for name in names[:700]:
        apply(state, EntryDeleted(f"/t/{name}", 2))
    apply(state, EntryCopied("/t", "/u", "infinity", 3))
    for folder in ("/t", "/u"):
        found: list[str] = []
        while page := state.tree.page(folder, found[-1] if found else "", 600):
            found += [name for name, _ in page]
        assert found == sorted(names[700:])
    for name in names[700:2000]:
        apply(state, EntryDeleted(f"/t/{name}", 2))
    listed = state.tree.page("/t", "", 9999)
    assert [name for name, _ in listed] == sorted(names[2000:])
    assert not any(isinstance(entry, branch.Branch) for _, entry in listed)


@pytest_twisted.ensureDeferred
async def test_changes_count_as_settled_when_nothing_was_left_behind() -> None:
    clock = TurningClock()
    journal = MemoryJournal()
    state = State()
    assert Changes(state, journal, wall_of(clock), clock, lambda _: None).settled().called
    catalog = JournalledCatalog(journal, wall_of(clock), clock, front="front")
    await catalog.start()
    assert await catalog.doomed_parts.doomed_nodes() == {}
