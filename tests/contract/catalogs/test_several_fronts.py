"""Several fronts use one catalog in a database at the same time."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from splitd import __version__
from splitd.catalog.sql.catalog import StoredCatalog
from splitd.catalog.sql.connecting import connector
from splitd.catalog.sql.front_rows import LEASE_S
from splitd.catalog.sql.fronts import LOOKED_UP_S
from splitd.catalog.sql.state import GATE
from splitd.errors import Entangled, NameTaken, NotFound, ParentMissing, PreconditionFailed, SplitdError
from splitd.interfaces.uploads import Commit, Start
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.holdings import PartCopy
from splitd.model.locks import EXCLUSIVE, Lock
from splitd.model.manifest import Manifest
from splitd.model.quotas import Quota
from storaged.parts.format import PartId
from storaged.system.clocks import WallClock
from tests.catalogs import AS_KEY, NEW, NODES, A, B, manifest, walk
from tests.cluster.waiting import becomes
from tests.ledger import begin, commit
from tests.postgres import postgres

RACES = 1000
_BATCH = 50
WITHOUT_PARENT = """SELECT count(*) FROM entry e
    WHERE e.parent NOT IN (-1, 0) AND NOT EXISTS (SELECT FROM entry p WHERE p.id = e.parent)"""


@attrs.define
class Both:
    """Two fronts, and a look at the rows."""

    fronts: list[StoredCatalog]
    schema: str

    def new_front(self, number: int, clock: Any = None, **more: Any) -> StoredCatalog:
        from twisted.internet import reactor

        named = {"front": f"front {number}", "address": f"host{number}:8080"}
        connect = connector(postgres().url(self.schema))
        return StoredCatalog(connect, reactor, WallClock(), clock or reactor, **named, **more)

    def rows(self, query: str) -> list[Any]:
        """Run a query beside the fronts."""
        with postgres().connect(self.schema) as connection:  # which is closed at the end
            cursor = connection.execute(query)
            return cursor.fetchall() if cursor.description else []

    async def put(self, number: int, path: str, upload: str, condition: Condition = ALWAYS) -> bool:
        ledger = self.fronts[number].ledger
        await begin(ledger, upload, path, NODES)
        return await commit(ledger, path, manifest(upload), condition)


@pytest_twisted.async_yield_fixture
async def both() -> AsyncIterator[Both]:
    both = Both([], postgres().new_schema())
    both.fronts = [both.new_front(number) for number in (1, 2)]
    try:
        for front in both.fronts:
            await front.start()
        yield both
    finally:
        for front in both.fronts:
            await front.close()


async def is_blocked(both: Both, pid: int) -> bool:
    """Whether a connection waits for what another one has locked."""
    query = f"SELECT EXISTS (SELECT FROM pg_stat_activity WHERE {pid} = ANY(pg_blocking_pids(pid)))"
    return bool(both.rows(query)[0][0])


def ended(change: Deferred[Any]) -> Deferred[Any]:
    """Fires with the result, or with the kind of a refusal."""

    def refused(failure: Any) -> Any:
        failure.trap(SplitdError)
        return failure.type

    return change.addErrback(refused)


@pytest_twisted.ensureDeferred
async def test_each_of_a_thousand_names_is_created_by_one_front(both: Both) -> None:
    ledgers = [front.ledger for front in both.fronts]
    wins = [0, 0]
    for first in range(0, RACES, _BATCH):
        names = range(first, first + _BATCH)
        uploads = [[f"{front:02x}{number:030x}" for number in names] for front in (0, 1)]
        for ledger, of_front in zip(ledgers, uploads, strict=True):
            await ledger.begin_all([Start(upload, "/f", NODES) for upload in of_front])
        racing = [
            [ended(each) for each in ledger.commit_all([Commit(f"/{each}", manifest(upload), NEW) for each, upload in
                                                        zip(names, of_front, strict=True)])]
            for ledger, of_front in zip(ledgers, uploads, strict=True)
        ]  # fmt: skip
        for number, one, two in zip(names, *racing, strict=True):
            outcomes = [await one, await two]
            assert sorted(map(str, outcomes)) == sorted(map(str, [True, PreconditionFailed]))
            winner = outcomes.index(True)
            wins[winner] += 1
            found = await both.fronts[1 - winner].lookup(f"/{number}")
            assert found == manifest(uploads[winner][number - first])
    assert sum(wins) == RACES


@pytest_twisted.ensureDeferred
async def test_nothing_gets_lost_where_two_fronts_move_make_and_delete_trees(both: Both) -> None:
    chance = random.Random(7)
    names = [f"/x/{a}" for a in "ab"] + [f"/x/{a}/{b}" for a in "ab" for b in "cd"] + ["/x/a/c/e", "/x/b/d/e"]
    put: dict[str, str] = {}

    def change(front: StoredCatalog, number: int) -> Deferred[Any]:
        path, other = chance.choice(names), chance.choice(names)
        match chance.randrange(6):
            case 0:
                return front.make_collection(path)
            case 1:
                return front.namespace.move(path, other, ALWAYS, overwrite=chance.random() < 0.5)
            case 2:
                return front.delete(path, ALWAYS)
            case 3:
                return front.namespace.copy(path, other, ALWAYS, deep=True, overwrite=True)
            case 4:
                return front.keys.delete_key(f"{path}/f", ALWAYS)
            case _:
                upload, target = f"{number:032x}", f"{path}/f"
                put[upload] = target
                front.ledger.begin_all([Start(upload, target, NODES)]).addErrback(lambda _: None)
                [committed] = front.ledger.commit_all([Commit(target, manifest(upload), AS_KEY)])
                return committed

    await both.fronts[0].make_collection("/x")
    changes = [ended(change(both.fronts[number % 2], number)) for number in range(400)]
    refusals = {NotFound, NameTaken, ParentMissing, Entangled, PreconditionFailed}
    outcomes = [await each for each in changes]
    assert {each for each in outcomes if isinstance(each, type)} <= refusals
    assert any(outcome is True for outcome in outcomes)
    assert await walk(both.fronts[0]) == await walk(both.fronts[1])
    listed = {each.entry.upload for each in (await both.fronts[0].keys.list_keys("/x", "", "", "", 1000)).keys
              if isinstance(each.entry, Manifest)}  # fmt: skip
    await both.fronts[0].doomed_parts.doomed_nodes()  # which waits until all is doomed
    assert both.rows(WITHOUT_PARENT) == [(0,)]
    gone = {upload.hex() for (upload,) in both.rows("SELECT DISTINCT upload FROM doomed")}
    assert listed | gone == set(put)
    assert not listed & gone


@pytest_twisted.ensureDeferred
async def test_what_is_put_into_a_collection_that_has_just_become_empty_is_kept(both: Both) -> None:
    await both.fronts[0].make_collection("/x")
    await both.put(0, "/x/a/b/f", A, AS_KEY)
    await begin(both.fronts[0].ledger, B, "/x/a/g", NODES)
    while both.fronts:
        await both.fronts.pop().close()
    again = both.new_front(1)
    both.fronts.append(again)
    # What waits when the front starts is made in one transaction.
    deleted = again.keys.delete_key("/x/a/b/f", ALWAYS)
    stored = commit(again.ledger, "/x/a/g", manifest(B), AS_KEY)
    await again.start()
    assert await deleted
    assert await stored
    assert both.rows(WITHOUT_PARENT) == [(0,)]
    assert await again.keys.find_key("/x/a/g") == manifest(B)
    assert await again.keys.find_key("/x/a/b/f") is None


@pytest_twisted.ensureDeferred
async def test_a_lock_of_one_front_holds_for_the_other(both: Both) -> None:
    one, two = both.fronts
    await one.make_collection("/c")
    requested = Lock("/c", "urn:1", EXCLUSIVE, True, "", 1000, 2**52)
    empty = manifest(A, size=0, nodes=())
    taking = [ended(one.locks.lock(requested, ALWAYS, empty)), ended(two.locks.lock(
        attrs.evolve(requested, token="urn:2"), ALWAYS, empty))]  # fmt: skip
    outcomes = [await each for each in taking]
    assert outcomes.count(False) == 1
    for front in both.fronts:
        with pytest.raises(SplitdError, match="a lock on /c forbids it"):
            await front.make_collection("/c/d")


@pytest_twisted.ensureDeferred
async def test_two_fronts_do_not_exceed_a_quota_together(both: Both) -> None:
    await both.fronts[0].make_collection("/q")
    for front in both.fronts:
        await front.quotas.set_quotas([Quota("/q", ("/q",), files=10)])
    racing = [
        ended(Deferred.fromCoroutine(both.put(number % 2, f"/q/{number}", f"{number:032x}"))) for number in range(30)
    ]
    outcomes = [await each for each in racing]
    assert outcomes.count(True) == 10
    [use] = await both.fronts[1].quotas.usage()
    assert use.files == 10


@pytest_twisted.ensureDeferred
async def test_one_front_does_the_upkeep_and_the_other_one_takes_it_over(both: Both) -> None:
    one, two = both.fronts
    await both.put(0, "/f", A)
    await two.delete("/f", ALWAYS)
    both.rows("UPDATE doomed SET at = '-infinity'")
    assert await two.doomed_parts.doomed_nodes() == {}
    assert (await two.doomed_parts.doomed_on("a", "", 9)).parts == []
    assert await one.doomed_parts.doomed_nodes() == dict.fromkeys(NODES, 1)
    assert (await one.doomed_parts.doomed_on("a", "", 9)).parts == [PartId(A, 0)]
    await one.leave()
    await two.renew()
    assert (await two.doomed_parts.doomed_on("a", "", 9)).parts == [PartId(A, 0)]


@pytest_twisted.ensureDeferred
async def test_what_another_front_may_be_reading_is_not_given_to_be_deleted(both: Both) -> None:
    one, two = both.fronts
    await both.put(0, "/f", A)
    await both.put(0, "/g", B)
    reading = [A]
    two.watch_reads(lambda: reading)
    await one.delete("/f", ALWAYS)
    await two.renew()
    assert (await one.doomed_parts.doomed_on("a", "", 9)).parts == []
    # As long ago as no download can have looked it up:
    both.rows("UPDATE doomed SET at = at - interval '1 hour'")
    await two.renew()
    assert (await one.doomed_parts.doomed_on("a", "", 9)).parts == [PartId(A, 0)]
    await two.leave()
    await one.delete("/g", ALWAYS)
    assert len((await one.doomed_parts.doomed_on("a", "", 9)).parts) == 2


@pytest_twisted.ensureDeferred
async def test_what_a_front_that_is_gone_had_under_way_is_aborted_when_its_lease_has_expired(both: Both) -> None:
    one, two = both.fronts
    await both.put(0, "/f", A)
    await begin(one.ledger, B, "/g", NODES)
    await one.part_moves.begin_move(PartCopy(A, 2, "g"))
    assert await two.ledger.abort_abandoned() == 0
    both.rows("UPDATE front SET expires = now() - interval '1 second' WHERE id = 'front 1'")
    assert await two.ledger.abort_abandoned() == 2
    with pytest.raises(SplitdError, match="is not under way"):
        await commit(one.ledger, "/g", manifest(B))


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
async def test_the_upkeep_of_a_front_that_was_killed_is_taken_over_eight_seconds_after_its_lease(both: Both) -> None:
    one, two = both.fronts
    await both.put(0, "/f", A)
    await two.delete("/f", ALWAYS)
    both.rows("UPDATE doomed SET at = '-infinity'")
    await one.leave()
    both.rows("""INSERT INTO lease VALUES ('upkeep', 'killed', now() + interval '1 hour')
        ON CONFLICT (task) DO UPDATE SET front = excluded.front, expires = excluded.expires""")
    await two.renew()
    assert await two.doomed_parts.doomed_nodes() == {}
    both.rows("UPDATE lease SET expires = now() - interval '8 seconds'")
    await two.renew()
    assert await two.doomed_parts.doomed_nodes() == dict.fromkeys(NODES, 1)
    assert [(each.id, each.upkeep) for each in await two.fronts.seen()] == [("front 2", ["upkeep"])]


@pytest_twisted.ensureDeferred
async def test_a_front_that_does_no_upkeep_never_takes_it_over(both: Both) -> None:
    worker = both.new_front(3, upkeep=False)
    both.fronts.append(worker)
    await worker.start()
    await both.put(2, "/f", A)
    await worker.delete("/f", ALWAYS)
    both.rows("UPDATE doomed SET at = '-infinity'")
    for front in both.fronts[:2]:
        await front.leave()
    await worker.renew()
    assert await worker.doomed_parts.doomed_nodes() == {}
    assert (await worker.doomed_parts.doomed_on("a", "", 9)).parts == []
    assert [(each.id, each.upkeep) for each in await worker.fronts.seen()] == [("front 3", [])]


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


@pytest_twisted.ensureDeferred
async def test_what_a_front_may_be_reading_is_kept_while_it_is_cut_off_from_the_database(both: Both) -> None:
    one, two = both.fronts
    await both.put(0, "/f", A)
    await one.delete("/f", ALWAYS)
    await two.leave()
    both.rows("""INSERT INTO front (id, slot, expires, reads)
        VALUES ('cut off', 77, now() - interval '9 minutes', now() - interval '10 minutes')""")
    await one.renew()
    assert (await one.doomed_parts.doomed_on("a", "", 9)).parts == []
    both.rows("UPDATE front SET expires = now() - interval '11 minutes' WHERE id = 'cut off'")
    await one.renew()
    assert (await one.doomed_parts.doomed_on("a", "", 9)).parts == [PartId(A, 0)]


@pytest_twisted.ensureDeferred
async def test_a_download_counts_from_the_last_moment_at_which_it_was_not_under_way(both: Both) -> None:
    reading: list[str] = []
    two = both.fronts[1]
    two.watch_reads(lambda: reading)
    await two.renew()
    reading.append(A)
    [(began,)] = both.rows("SELECT clock_timestamp()")
    await two.renew()
    [(reads,)] = both.rows("SELECT reads FROM front WHERE id = 'front 2'")
    assert reads <= began - timedelta(seconds=LEASE_S + LOOKED_UP_S)


@pytest_twisted.ensureDeferred
async def test_parts_become_doomed_when_that_is_written_and_not_when_the_change_began_to_wait(both: Both) -> None:
    await both.put(0, "/f", A)
    with closing(postgres().connect(both.schema)) as waited_for:
        waited_for.execute("SELECT pg_advisory_xact_lock(%s)", (GATE,))
        deleting = both.fronts[0].delete("/f", ALWAYS)
        await becomes(lambda: is_blocked(both, waited_for.info.backend_pid))
        [(meanwhile,)] = both.rows("SELECT clock_timestamp()")
        waited_for.rollback()
    await deleting
    assert all(at > meanwhile for (at,) in both.rows("SELECT at FROM doomed"))


@pytest_twisted.ensureDeferred
async def test_a_page_of_doomed_parts_is_dropped_if_the_upkeep_was_lost_while_it_was_read(both: Both) -> None:
    one, two = both.fronts
    await both.put(0, "/f", A)
    await one.delete("/f", ALWAYS)
    both.rows("UPDATE doomed SET at = '-infinity'")
    await two.leave()
    with closing(postgres().connect(both.schema)) as blocking:
        blocking.execute("LOCK TABLE doomed")
        page = one.doomed_parts.doomed_on("a", "", 9)
        await becomes(lambda: is_blocked(both, blocking.info.backend_pid))
        # As if this front had stood still, and another one had done the upkeep.
        both.rows("UPDATE lease SET front = 'another', expires = now() + interval '1 hour'")
        await one.renew()
        both.rows("UPDATE lease SET expires = now() - interval '1 hour'")
        await one.renew()
        blocking.rollback()
    assert (await page).parts == []
    assert (await one.doomed_parts.doomed_on("a", "", 9)).parts == [PartId(A, 0)]
