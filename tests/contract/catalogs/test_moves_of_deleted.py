"""Parts of files that one front deletes while another one moves or reads them."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import pytest_twisted

from splitd.catalog.sql.front_rows import LEASE_S
from splitd.catalog.sql.fronts import LOOKED_UP_S
from splitd.model.conditions import ALWAYS
from splitd.model.holdings import PartCopy
from tests.catalogs import A
from tests.cluster.waiting import becomes, eventually
from tests.contract.catalogs.both_fronts import Both
from tests.postgres import postgres


@pytest_twisted.ensureDeferred
async def test_a_part_that_moves_while_its_file_is_deleted_is_doomed_where_it_lies(both: Both) -> None:
    await both.put(0, "/a", A)
    moving, deleting = both.fronts
    await moving.part_moves.begin_move(PartCopy(A, 0, "g"))
    with closing(postgres().connect(both.schema)) as blocking:
        blocking.execute("LOCK TABLE stamp IN SHARE MODE")
        moved = moving.part_moves.commit_move(PartCopy(A, 0, "g"))
        pid = blocking.info.backend_pid
        await eventually(lambda: both.rows(f"{WAITING} WHERE {pid} = ANY(pg_blocking_pids(one.pid))"))
        deleted = deleting.delete("/a", ALWAYS)
        await eventually(
            lambda: both.rows(
                f"{WAITING} JOIN pg_stat_activity two ON one.pid = ANY(pg_blocking_pids(two.pid))"
                f" WHERE {pid} = ANY(pg_blocking_pids(one.pid))"
            )
        )
        blocking.rollback()
    await moved
    await deleted
    doomed = both.rows("SELECT n.id, d.part, d.is_copy FROM doomed d JOIN node n ON n.number = d.node ORDER BY 1, 2")
    others = [(node, index, False) for index, node in enumerate("bcdef", 1)]
    assert doomed == [("a", 0, True), *others, ("g", 0, False)]
    assert await deleting.heal_ledger.parts_on() == {}


WAITING = "SELECT one.pid FROM pg_stat_activity one"


@pytest_twisted.ensureDeferred
async def test_a_file_that_is_read_without_a_break_keeps_only_its_own_parts(both: Both) -> None:
    one, two = both.fronts
    slack = timedelta(seconds=LEASE_S + LOOKED_UP_S)

    async def told(after: str) -> bool:
        await two.renew()
        return bool(both.rows(f"SELECT reads > '{after}' FROM front WHERE id = 'front 2'")[0][0])

    await both.put(0, "/f", A)
    two.watch_reads(lambda: [A])
    await two.renew()
    [(began,)] = both.rows("SELECT clock_timestamp()")
    await becomes(lambda: told(f"{began - slack}"))
    await one.delete("/f", ALWAYS)
    [(deleted,)] = both.rows("SELECT clock_timestamp()")
    for _ in range(2):
        assert not await told(f"{deleted - slack}")
    assert (await one.doomed_parts.doomed_on("a", "", 9)).parts == []
