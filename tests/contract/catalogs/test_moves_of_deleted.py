"""Files that one front deletes while another one moves their parts, reads them, or begins an upload of the same id."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from splitd.catalog.sql.front_rows import LEASE_S
from splitd.catalog.sql.fronts import LOOKED_UP_S
from splitd.model.conditions import ALWAYS
from splitd.model.holdings import PartCopy
from tests.catalogs import NODES, A
from tests.cluster.waiting import becomes, eventually
from tests.contract.catalogs.both_fronts import Both
from tests.ledger import begin
from tests.postgres import postgres


@pytest_twisted.ensureDeferred
async def test_a_part_that_moves_while_its_file_is_deleted_is_doomed_where_it_lies(both: Both) -> None:
    await both.put(0, "/a", A)
    moving, deleting = both.fronts
    await moving.part_moves.begin_move(PartCopy(A, 0, "g"))
    moved, deleted = await made_behind(
        both, lambda: moving.part_moves.commit_move(PartCopy(A, 0, "g")), lambda: deleting.delete("/a", ALWAYS)
    )
    await moved
    await deleted
    doomed = both.rows("SELECT n.id, d.part, d.is_copy FROM doomed d JOIN node n ON n.number = d.node ORDER BY 1, 2")
    others = [(node, index, False) for index, node in enumerate("bcdef", 1)]
    assert doomed == [("a", 0, True), *others, ("g", 0, False)]
    assert await deleting.heal_ledger.parts_on() == {}


@pytest_twisted.ensureDeferred
async def test_an_upload_is_not_begun_again_that_waited_for_the_deletion_of_its_file(both: Both) -> None:
    await both.put(0, "/a", A)
    beginning, deleting = both.fronts
    deleted, begun = await made_behind(
        both, lambda: deleting.delete("/a", ALWAYS), lambda: begin(beginning.ledger, A, "/b", NODES)
    )
    await deleted
    with pytest.raises(ValueError, match="begun already"):
        await begun
    assert both.rows("SELECT count(*) FROM upload") == [(0,)]


async def made_behind(
    both: Both, first: Callable[[], Deferred[Any]], second: Callable[[], Deferred[Any]]
) -> tuple[Deferred[Any], Deferred[Any]]:
    """Make a change while another one has changed its rows, but has not committed that."""
    with closing(postgres().connect(both.schema)) as blocking:
        blocking.execute("LOCK TABLE stamp IN SHARE MODE")
        made = first()
        pid = blocking.info.backend_pid
        await eventually(lambda: both.rows(f"{WAITING} WHERE {pid} = ANY(pg_blocking_pids(one.pid))"))
        behind = second()
        await eventually(
            lambda: both.rows(
                f"{WAITING} JOIN pg_stat_activity two ON one.pid = ANY(pg_blocking_pids(two.pid))"
                f" WHERE {pid} = ANY(pg_blocking_pids(one.pid))"
            )
        )
        blocking.rollback()
    return made, behind


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
