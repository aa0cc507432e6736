"""What holds up one change, or the server itself, does not hold up what has nothing to do with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from splitd.catalog.sql.catalog import StoredCatalog
from splitd.catalog.sql.connecting import Connection, connector
from splitd.catalog.sql.stamps import News
from splitd.catalog.sql.state import NAMES_GATE
from splitd.errors import CatalogAway, ParentMissing
from splitd.model.conditions import ALWAYS
from splitd.model.documents import Document
from storaged.system.clocks import WallClock, elapsed_s
from tests.cluster.waiting import becomes, eventually
from tests.postgres import postgres

ENOUGH_S = 30
PATIENCE_S = 1.0
"""How long a process of the server may leave alone what it was sent.  On a busy machine it may not run for a while."""


class Alone:
    """A front, and a look at the rows."""

    def __init__(self) -> None:
        self.schema = postgres().new_schema()
        self.opened = opened = list[float]()
        self.pids = pids = list[int]()

        class Counted(Connection):
            def __init__(self, pgconn: Any) -> None:
                super().__init__(pgconn)
                opened.append(elapsed_s())
                pids.append(pgconn.backend_pid)

        self._kind = Counted

    def new_front(self, *, second_host: str = "", **more: Any) -> StoredCatalog:
        from twisted.internet import reactor

        url = postgres().url(self.schema)
        if second_host:
            url = url.replace("&options", f",{second_host}&options")
        connect = connector(url, self._kind, timeout_s=2)
        return StoredCatalog(connect, reactor, WallClock(), reactor, front="front", **more)

    def beside(self) -> psycopg.Connection:
        return postgres().connect(self.schema)

    async def waits_for(self, holding: psycopg.Connection) -> None:
        """Wait until something waits for a connection."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))"

        def is_blocked() -> bool:
            with closing(self.beside()) as looking:
                return bool(looking.execute(query, (holding.info.backend_pid,)).fetchone()[0])  # type: ignore[index]

        await eventually(is_blocked)


@pytest_twisted.async_yield_fixture
async def alone() -> AsyncIterator[Alone]:
    yield Alone()


@pytest_twisted.async_yield_fixture
async def front(alone: Alone) -> AsyncIterator[StoredCatalog]:
    front = alone.new_front()
    await front.start()
    yield front
    await front.close()


def in_time(change: Deferred[Any]) -> Deferred[Any]:
    """Let a change fail that is held up."""
    from twisted.internet import reactor

    return change.addTimeout(ENOUGH_S, reactor)


@pytest_twisted.ensureDeferred
async def test_a_document_does_not_wait_for_changes_of_names_on_other_fronts(
    alone: Alone, front: StoredCatalog
) -> None:
    with closing(alone.beside()) as copying:
        copying.execute("SELECT pg_advisory_xact_lock_shared(%s)", (NAMES_GATE,))
        kept = await in_time(front.documents.put(Document("kind", "key", "owner", "body", 0)))
        assert await in_time(front.documents.find("kind", "key")) == kept
        assert await in_time(front.documents.delete("kind", "key"))


@pytest_twisted.ensureDeferred
async def test_a_document_does_not_wait_for_a_copy_on_its_front(alone: Alone, front: StoredCatalog) -> None:
    await front.make_collection("/a")
    with closing(alone.beside()) as holding:
        holding.execute("SELECT FROM entry WHERE parent = 0 FOR UPDATE")
        copying = front.namespace.copy("/a", "/b", ALWAYS, deep=True, overwrite=False)
        await alone.waits_for(holding)
        await in_time(front.documents.put(Document("kind", "key", "owner", "body", 0)))
        holding.rollback()
    assert await copying


@pytest_twisted.ensureDeferred
async def test_nothing_gets_into_a_collection_that_is_removed_meanwhile_where_another_one_was_that_was_moved(
    alone: Alone, front: StoredCatalog
) -> None:
    for path in ("/a", "/a/b", "/a/b/c"):
        await front.make_collection(path)
    await front.namespace.move("/a", "/moved", ALWAYS, overwrite=False)
    for path in ("/a", "/a/b"):
        await front.make_collection(path)
    with closing(alone.beside()) as holding:
        holding.execute("UPDATE entry SET parent = -1 WHERE id = (SELECT max(id) FROM entry)")  # as who removes it
        making = front.make_collection("/a/b/d")
        await alone.waits_for(holding)
        holding.commit()
    with pytest.raises(ParentMissing):
        await in_time(making)


@pytest_twisted.ensureDeferred
async def test_a_front_that_renews_its_lease_does_not_wait_for_the_row_of_one_that_is_gone(
    alone: Alone, front: StoredCatalog
) -> None:
    with closing(alone.beside()) as other:
        other.execute("INSERT INTO front (id, slot, expires) VALUES ('gone', 9, now() - interval '1 hour')")
        other.commit()
        other.execute("SELECT FROM front WHERE id = 'gone' FOR UPDATE")
        await in_time(front.renew())
        other.rollback()
        await front.renew()
        assert other.execute("SELECT id FROM front").fetchall() == [("front",)]


@pytest.mark.parametrize("second_host", ["", "/nobody/listens/here"])
@pytest_twisted.ensureDeferred
async def test_a_server_that_stands_still_is_away_and_does_not_keep_a_front_from_stopping(
    alone: Alone, second_host: str
) -> None:
    front = alone.new_front(second_host=second_host, patience_s=0.1)
    await front.start()
    with postgres().paused():
        with pytest.raises(CatalogAway):
            await in_time(front.lookup("/f"))
        await in_time(front.close())


@pytest_twisted.ensureDeferred
async def test_a_process_of_the_server_that_stands_still_is_left_for_another_one(alone: Alone) -> None:
    front = alone.new_front(patience_s=PATIENCE_S)
    await front.start()
    try:
        await front.make_collection("/a")
        with closing(alone.beside()) as looking:
            looking.autocommit = True  # a transaction goes on seeing what it saw first
            query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'splitd' AND query LIKE '%chain e LEFT%'"

            async def look() -> list[int]:  # what the change has left to do is looked for by the same process
                assert await front.lookup("/a") is not None
                front.kept.tell(News(None))  # so that the next look-up looks again
                return [pid for (pid,) in looking.execute(query) if pid in alone.pids]

            pids = await becomes(look, "the process that looks")
        assert len(pids) == 1
        with postgres().paused(*pids):
            assert await in_time(front.lookup("/b")) is None
            assert await in_time(front.lookup("/a")) is not None
    finally:
        await front.close()


@pytest_twisted.ensureDeferred
async def test_a_change_that_waits_for_long_is_not_broken_off_while_the_server_answers(alone: Alone) -> None:
    front = alone.new_front(patience_s=PATIENCE_S)
    await front.start()
    try:
        with closing(alone.beside()) as holding:
            holding.execute("SELECT FROM entry WHERE parent = 0 FOR UPDATE")
            making = front.make_collection("/a")
            await alone.waits_for(holding)
            before = len(alone.opened)
            await eventually(lambda: len(alone.opened) > before + 2, "the server is tried")
            holding.rollback()
        await in_time(making)
    finally:
        await front.close()


_WAITS = "waits for a replica"


class Changing:
    """Makes one change after the other on a front."""

    def __init__(self, front: StoredCatalog) -> None:
        self._front = front
        self.made: list[Deferred[Any]] = []

    def is_stalled(self) -> bool:
        """Make a change if none waits; return whether nothing can be changed."""
        if all(each.called for each in self.made):
            self.made.append(self._front.make_collection(f"/{len(self.made)}"))
        return _WAITS in self._front.problem


@pytest_twisted.ensureDeferred
async def test_while_commits_wait_for_a_replica_changes_are_refused_and_names_are_found(alone: Alone) -> None:
    front = alone.new_front(patience_s=PATIENCE_S)
    changing = Changing(front)
    await front.start()
    try:
        with postgres().lacking_a_replica():
            await eventually(changing.is_stalled)
            with pytest.raises(CatalogAway, match=_WAITS):
                await in_time(front.make_collection("/refused"))
            with pytest.raises(CatalogAway, match=_WAITS):
                await in_time(front.admit("/f", ALWAYS))
            assert await in_time(front.lookup("/refused")) is None
        await in_time(changing.made[-1])
        await eventually(lambda: not front.problem)
        await in_time(front.make_collection("/refused"))
    finally:
        await front.close()


@pytest_twisted.ensureDeferred
async def test_a_front_that_stops_does_not_wait_for_a_replica(alone: Alone) -> None:
    front = alone.new_front(patience_s=PATIENCE_S)
    changing = Changing(front)
    await front.start()
    with postgres().lacking_a_replica():
        await eventually(changing.is_stalled)
        await in_time(front.close())
    with pytest.raises(CatalogAway, match="does not answer"):  # it was made, but nobody could say so
        await changing.made[-1]
