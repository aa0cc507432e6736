"""Fronts of two versions of the program use one database, while its tables get newer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing, suppress
from typing import Any

import pytest
import pytest_twisted
from click.testing import CliRunner
from twisted.internet import reactor

from splitd.catalog.sql.catalog import StoredCatalog
from splitd.catalog.sql.connecting import connector
from splitd.catalog.sql.migrations import Migration, migrate, migrations, newest, version_of
from splitd.cli.main import main
from splitd.errors import CatalogAway, CatalogOutdated, NotFound
from splitd.model.conditions import ALWAYS
from storaged.system.clocks import WallClock
from tests.catalogs import walk
from tests.cluster.waiting import becomes
from tests.contract.catalogs.standing import standing_front
from tests.postgres import postgres

NOW = newest()
SQL = "ALTER TABLE front ADD spare text NOT NULL DEFAULT 'new'"
SERVING = Migration(NOW + 1, "serving", f"-- serves {NOW}\n{SQL};")
BREAKING = Migration(NOW + 1, "breaking", SQL)


def apply(schema: str, *more: Migration) -> list[Migration]:
    """Migrate a database as a program does that knows more migrations than this one."""
    with closing(postgres().connect(schema)) as connection:
        return migrate(connection, [*migrations(), *more])


def front_of(schema: str, knows: int = NOW, name: str = "old") -> StoredCatalog:
    """A front whose program knows a version of the schema."""
    connect = connector(postgres().url(schema))
    return StoredCatalog(connect, reactor, WallClock(), reactor, front=name, address=name, knows=knows)


async def works(front: StoredCatalog, path: str) -> None:
    await front.make_collection(path)
    assert path in await walk(front)


@pytest_twisted.async_fixture
async def schema() -> str:
    return postgres().new_schema()


@pytest_twisted.async_yield_fixture
async def old(schema: str) -> AsyncIterator[StoredCatalog]:
    front = front_of(schema)
    await front.start()
    yield front
    await front.close()


def run(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["catalog", *arguments])


@pytest_twisted.ensureDeferred
async def test_fronts_are_upgraded_one_by_one_after_a_migration_that_serves_the_old_ones(
    schema: str, old: StoredCatalog
) -> None:
    new = front_of(schema, NOW + 1, "new")
    with pytest.raises(CatalogOutdated, match=f"version {NOW}, {NOW + 1} is needed: run splitctl catalog migrate"):
        await new.start()
    assert apply(schema, SERVING) == [SERVING]
    await old.renew()
    await works(old, "/old")
    again = front_of(schema, name="started again")  # by its supervisor, before it was its turn
    await again.start()
    await works(again, "/again")
    await again.close()
    await new.start()
    await works(new, "/new")
    assert set(await walk(old)) == {"/", "/old", "/again", "/new"}
    await new.close()


@pytest_twisted.ensureDeferred
async def test_a_migration_that_running_fronts_cannot_live_with_waits_for_their_end(
    schema: str, old: StoredCatalog
) -> None:
    with pytest.raises(CatalogOutdated, match=r"fronts use the catalog: 1\. .* cannot go on: stop them first"):
        apply(schema, SERVING, Migration(NOW + 2, "breaking", "SELECT 1"))
    await works(old, "/c")
    await old.close()
    assert apply(schema, BREAKING) == [BREAKING]
    with pytest.raises(
        CatalogOutdated, match=f"serves programs that know {NOW + 1} or more; this one knows up to {NOW}"
    ):
        await front_of(schema).start()
    assert run("migrate", postgres().url(schema)).exit_code == 1


@pytest_twisted.ensureDeferred
async def test_a_front_that_had_stood_still_while_the_tables_changed_changes_nothing_any_more(schema: str) -> None:
    front = standing_front(postgres().url(schema))
    await front.start()
    apply(schema, BREAKING)
    with pytest.raises(CatalogAway, match=f"version {NOW + 1}, which serves programs that know {NOW + 1} or more"):
        await front.renew()

    async def is_refused() -> bool:
        with suppress(CatalogAway, NotFound):  # until each connection has renewed the lease
            await front.delete("/nothing", ALWAYS)
        return "install the newer program" in front.problem

    await becomes(is_refused)
    await front.close()


@pytest_twisted.ensureDeferred
async def test_a_migration_does_not_wait_for_long_for_a_table_that_a_change_holds(schema: str) -> None:
    apply(schema)
    with closing(postgres().connect(schema)) as connection:
        connection.execute("LOCK TABLE front IN ACCESS SHARE MODE")
        with pytest.raises(CatalogOutdated, match="hold the tables of the catalog for too long; try again"):
            apply(schema, SERVING)
        connection.rollback()
    assert apply(schema, SERVING) == [SERVING]


def test_a_database_from_before_migrations_said_whom_they_serve_is_migrated(schema: str) -> None:
    apply(schema)
    with closing(postgres().connect(schema)) as connection:
        connection.execute("ALTER TABLE migration DROP COLUMN serves")
        connection.commit()
    done = run("migrate", postgres().url(schema))
    assert (done.exit_code, done.output) == (0, f"the catalog has version {NOW}\n")
    assert apply(schema, SERVING) == [SERVING]
    with closing(postgres().connect(schema)) as connection:
        assert version_of(connection) == NOW + 1
        rows = connection.execute("SELECT version, serves FROM migration ORDER BY version").fetchall()
    assert rows[-1] == (NOW + 1, NOW)
