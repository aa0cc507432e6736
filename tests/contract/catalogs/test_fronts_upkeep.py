"""Of several fronts, one does the upkeep; what another one reads is kept."""

from __future__ import annotations

import re
from contextlib import closing
from datetime import timedelta

import psycopg
import pytest_twisted

from splitd.catalog.sql.front_rows import LEASE_S
from splitd.catalog.sql.fronts import LOOKED_UP_S
from splitd.catalog.sql.state import NAMES_GATE
from splitd.catalog.sql.upkeep import DOOMED_ON
from splitd.model.conditions import ALWAYS
from storaged.parts.format import PartId
from tests.catalogs import NODES, A, B
from tests.cluster.waiting import becomes
from tests.contract.catalogs.both_fronts import Both, is_blocked
from tests.postgres import postgres


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
        waited_for.execute("SELECT pg_advisory_xact_lock(%s)", (NAMES_GATE,))
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


@pytest_twisted.ensureDeferred
async def test_the_deletion_of_parts_does_not_wait_until_all_that_was_deleted_is_taken_apart(both: Both) -> None:
    both.rows("""INSERT INTO entry (parent, name, id, created_ms, modified_ms)
        SELECT -1, convert_to(number::text, 'UTF8'), number, 0, 0 FROM generate_series(1001, 3000) AS number""")
    await both.fronts[0].doomed_parts.doomed_nodes()
    assert both.rows("SELECT count(*) > 0 FROM entry WHERE parent = -1") == [(True,)]


@pytest_twisted.ensureDeferred
async def test_of_doomed_parts_only_those_are_looked_at_that_may_be_deleted(both: Both) -> None:
    await both.put(0, "/f", A)
    await both.fronts[0].delete("/f", ALWAYS)
    both.rows("UPDATE doomed SET at = at - interval '1 hour'")
    both.rows("""INSERT INTO doomed (node, serial, part, upload, is_copy, at)
        SELECT node, -serial, number, upload, false, at + interval '2 hours'
        FROM doomed, generate_series(1, 2000) AS number WHERE part = 0""")
    both.rows("ANALYZE doomed")
    values = {"node": NODES[0], "front": "front 1", "at": "-infinity", "serial": -1, "part": 0, "limit": 10}
    with closing(psycopg.connect(postgres().url(both.schema), cursor_factory=psycopg.ClientCursor)) as looking:
        [found] = looking.execute(DOOMED_ON, values).fetchall()
        plan = "\n".join(line for (line,) in looking.execute(f"EXPLAIN ANALYZE {DOOMED_ON}", values).fetchall())
    assert found[1:] == (found[1], 0, bytes.fromhex(A))
    assert all(int(rows) < 10 for rows in re.findall(r"Removed by Filter: (\d+)", plan)), plan
