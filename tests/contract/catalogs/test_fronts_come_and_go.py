"""Fronts on one catalog are listed, and what those that are gone had under way is aborted."""

from __future__ import annotations

from contextlib import closing

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from splitd import __version__
from splitd.errors import CatalogAway, MoveRefused, SplitdError
from splitd.interfaces.uploads import Start
from splitd.model.holdings import PartCopy
from tests.catalogs import NODES, A, B, manifest
from tests.cluster.waiting import becomes, eventually
from tests.contract.catalogs.both_fronts import Both
from tests.ledger import begin, commit
from tests.postgres import postgres


@pytest_twisted.ensureDeferred
async def test_what_a_front_that_is_gone_had_under_way_is_aborted_when_its_lease_has_expired(both: Both) -> None:
    one, two = both.fronts
    await both.put(0, "/f", A)
    await begin(one.ledger, B, "/g", NODES)
    await one.part_moves.begin_move(PartCopy(A, 2, "g"))
    assert await two.ledger.abort_abandoned() == 0

    async def aborted() -> int:  # the front is there, and may renew its lease in between
        both.rows("UPDATE front SET expires = now() - interval '1 second' WHERE id = 'front 1'")
        return await two.ledger.abort_abandoned()

    assert await becomes(aborted) == 2
    with pytest.raises(SplitdError, match="is not under way"):
        await commit(one.ledger, "/g", manifest(B))


@pytest_twisted.ensureDeferred
async def test_an_upload_that_the_database_records_after_its_abort_is_aborted_and_no_other_of_its_front(
    both: Both,
) -> None:
    one, two = both.fronts
    await begin(one.ledger, B, "/g", NODES)
    with closing(postgres().connect(both.schema)) as server:  # does what is on its way when the connection is lost
        server.execute(f"INSERT INTO upload SELECT decode('{A}', 'hex'), path, nodes, time_ms, front FROM upload")
        beginning = begin(one.ledger, A, "/f", NODES)
        waiting = f"FROM pg_stat_activity WHERE {server.info.backend_pid} = ANY(pg_blocking_pids(pid))"
        await eventually(lambda: both.rows(f"SELECT pg_terminate_backend(pid) {waiting}"))
        with pytest.raises(CatalogAway):
            await beginning
        await becomes(lambda: is_made(one.ledger.abort(A, "the database does not answer")))
        server.commit()
    assert await two.ledger.abort_abandoned() == 0
    assert await one.ledger.abort_abandoned() == 1
    assert await one.ledger.abort_abandoned() == 0
    assert await commit(one.ledger, "/g", manifest(B))


@pytest_twisted.ensureDeferred
async def test_a_move_that_the_database_records_after_its_abort_is_aborted_and_no_other_of_its_front(
    both: Both,
) -> None:
    one, two = both.fronts
    await both.put(0, "/f", A)
    late, goes_on = PartCopy(A, 2, "g"), PartCopy(A, 3, "h")
    await one.part_moves.begin_move(goes_on)
    both.rows("INSERT INTO node SELECT max(number) + 1, 'g' FROM node")
    with closing(postgres().connect(both.schema)) as server:  # does what is on its way when the connection is lost
        server.execute(f"""INSERT INTO move SELECT decode('{A}', 'hex'), 2, number, 0, 'front 1'
            FROM node WHERE id = 'g'""")
        beginning = one.part_moves.begin_move(late)
        waiting = f"FROM pg_stat_activity WHERE {server.info.backend_pid} = ANY(pg_blocking_pids(pid))"
        await eventually(lambda: both.rows(f"SELECT pg_terminate_backend(pid) {waiting}"))
        with pytest.raises(CatalogAway):
            await beginning
        await becomes(lambda: is_made(one.part_moves.abort_move(late, "the database does not answer")))
        server.commit()
    with pytest.raises(MoveRefused):  # it is tried again, and is in doubt all the same
        await one.part_moves.begin_move(late)
    assert await two.ledger.abort_abandoned() == 0
    assert await one.ledger.abort_abandoned() == 1
    assert await one.ledger.abort_abandoned() == 0
    await one.part_moves.commit_move(goes_on)
    await one.part_moves.begin_move(PartCopy(A, 2, "i"))


@pytest_twisted.ensureDeferred
async def test_a_move_whose_beginning_failed_is_not_aborted_when_another_front_makes_it(both: Both) -> None:
    one, two = both.fronts
    await both.put(0, "/f", A)
    copy = PartCopy(A, 2, "g")
    beginning = one.part_moves.begin_move(copy)
    beginning.cancel()
    with pytest.raises(CancelledError):
        await beginning
    await one.part_moves.abort_move(copy, "it was cancelled")
    both.rows("DELETE FROM doomed")
    await two.part_moves.begin_move(copy)
    assert await one.ledger.abort_abandoned() == 0
    await two.part_moves.commit_move(copy)


async def is_made(change: Deferred[None]) -> bool:
    """Return whether a change was possible; else the database was away."""
    try:
        await change
    except CatalogAway:
        return False
    return True


@pytest_twisted.ensureDeferred
async def test_an_upload_goes_on_though_it_was_to_be_begun_again(both: Both) -> None:
    ledger = both.fronts[0].ledger
    await begin(ledger, A, "/f", NODES)
    with pytest.raises(ValueError, match="begun already"):
        await ledger.begin_all([Start(B, "/g", NODES), Start(A, "/f", NODES)])
    assert await ledger.abort_abandoned() == 0
    assert await commit(ledger, "/f", manifest(A))


@pytest_twisted.ensureDeferred
async def test_each_front_lists_all_and_says_which_one_does_the_upkeep(both: Both) -> None:
    for number, front in enumerate(both.fronts):
        seen = await front.fronts.seen()
        assert [(each.id, each.address, each.version, each.gone, each.upkeep) for each in seen] == [
            ("front 1", "host1:8080", __version__, False, ["upkeep"]),
            ("front 2", "host2:8080", __version__, False, []),
        ]
        assert [each.asked for each in seen] == [number == 0, number == 1]
        assert all(each.since_ms <= each.heard_ms for each in seen)


@pytest_twisted.ensureDeferred
async def test_a_front_that_was_killed_is_listed_as_gone_and_forgotten_later(both: Both) -> None:
    both.rows("""INSERT INTO front (id, slot, expires, began, address)
        VALUES ('killed', 77, now() - interval '1 second', now() - interval '1 day', 'host3:8080')""")
    first = (await both.fronts[0].fronts.seen())[0]
    assert (first.id, first.address, first.gone, first.upkeep) == ("killed", "host3:8080", True, [])
    both.rows("UPDATE front SET expires = now() - interval '11 minutes' WHERE id = 'killed'")
    await both.fronts[0].renew()
    assert [each.id for each in await both.fronts[1].fronts.seen()] == ["front 1", "front 2"]


@pytest_twisted.ensureDeferred
async def test_a_front_that_stops_is_listed_no_more(both: Both) -> None:
    await both.fronts[0].close()
    assert [each.id for each in await both.fronts[1].fronts.seen()] == ["front 2"]


@pytest_twisted.ensureDeferred
async def test_a_front_takes_the_place_of_one_whose_process_has_ended(both: Both) -> None:
    one, two = both.fronts
    await begin(one.ledger, A, "/f", NODES)
    await begin(two.ledger, B, "/g", NODES)
    again = both.new_front(3, before="front 1")
    both.fronts.append(again)
    await again.start()
    assert await again.ledger.abort_abandoned() == 1
    assert [each.id for each in await again.fronts.seen()] == ["front 2", "front 3"]
    with pytest.raises(SplitdError, match="is not under way"):
        await commit(one.ledger, "/f", manifest(A))
    assert await commit(two.ledger, "/g", manifest(B))


@pytest_twisted.ensureDeferred
async def test_fronts_that_start_at_the_same_moment_are_all_registered_at_once(both: Both) -> None:
    # One that had to try again would wait for this clock, which stands still.
    together = [both.new_front(number, Clock()) for number in range(3, 11)]
    both.fronts += together
    for started in [front.start() for front in together]:
        await started
    assert len(await both.fronts[0].fronts.seen()) == 10
    assert both.rows("SELECT count(DISTINCT slot) FROM front") == [(10,)]
