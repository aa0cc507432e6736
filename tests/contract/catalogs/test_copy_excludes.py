"""While a catalog is copied, no front uses what it is copied from or into; a copy that is killed holds nobody up."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.python.threadpool import ThreadPool

from splitd.catalog.journal.file import FileJournal
from splitd.catalog.sql.catalog import StoredCatalog
from splitd.catalog.sql.connecting import connector
from splitd.catalog.sql.copying import contents_of, read_journal, stored_contents
from splitd.catalog.sql.exclusion import Excluded, hold_off, no_front
from splitd.catalog.sql.migrations import migrate
from splitd.errors import CatalogAway, CatalogOutdated, JournalUnfinished, RecoveryRefused
from splitd.takeover.folders import make_journal_folder
from storaged.system.clocks import WallClock
from storaged.system.filesystem import FolderTaken, OSFilesystem
from tests.catalogs import walk
from tests.cluster.waiting import becomes
from tests.contract.catalogs.standing import standing_front
from tests.contract.catalogs.test_copy_command import copy, make_journal
from tests.postgres import postgres

_COMMAND = [str(Path(sys.executable).with_name("splitctl")), "catalog", "copy"]


def is_blocked_by(pid: int, schema: str) -> bool:
    """Whether a connection waits for what another one has locked."""
    query = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid)))"
    with closing(postgres().connect(schema)) as looking:
        return looking.execute(query, (pid,)).fetchone() == (True,)


@contextmanager
def copying(source: Path | str, target: Path | str, schema: str, block: str) -> Iterator[subprocess.Popen[bytes]]:
    """A copy that has come as far as to what a statement locks; at the end of the block it is killed.

    :param schema: that of the database.
    """
    with closing(postgres().connect(schema)) as blocking:
        blocking.execute(block)
        child = subprocess.Popen([*_COMMAND, "--from", str(source), "--to", str(target)], stderr=subprocess.DEVNULL)
        try:
            while not is_blocked_by(blocking.info.backend_pid, schema):
                assert child.poll() is None
            yield child
        finally:
            child.kill()
            child.wait()
        blocking.rollback()


def new_front(url: str) -> StoredCatalog:
    return StoredCatalog(connector(url), reactor, WallClock(), reactor, front="front", address="host:8080")


@pytest_twisted.async_fixture
async def schema() -> str:
    return postgres().new_schema()


@pytest_twisted.async_yield_fixture
async def standing(schema: str) -> AsyncIterator[StoredCatalog]:
    front = standing_front(postgres().url(schema))
    await front.start()
    yield front
    await front.close()


async def starts(url: str) -> None:
    """Start a front and stop it, as soon as the database has noticed that a copy was killed."""

    async def started() -> bool:
        front = new_front(url)
        with suppress(CatalogOutdated):
            await front.start()
            await front.close()
            return True
        return False

    await becomes(started)


@pytest_twisted.ensureDeferred
async def test_no_front_starts_on_a_journal_or_database_while_one_is_copied_into_the_other(
    tmp_path: Path, pool: ThreadPool, schema: str
) -> None:
    make_journal(tmp_path / "data")
    url = postgres().url(schema)
    with closing(postgres().connect(schema)) as connection:
        migrate(connection)
    with copying(tmp_path / "data", url, schema, "INSERT INTO tally VALUES ('files', 0, 1)"):
        with pytest.raises(CatalogOutdated, match="`splitctl catalog copy` or `migrate` is using the catalog"):
            await new_front(url).start()
        journal = FileJournal(str(tmp_path / "data/journal"), OSFilesystem(), pool, reactor)  # type: ignore[arg-type]
        with pytest.raises(FolderTaken, match=r"is in use by process \d+ \(splitctl catalog copy\)"):
            await journal.replay(lambda _: None)
        await journal.close()
        again = copy(tmp_path / "data", url)
        assert (again.exit_code, "stop the front first" in again.output) == (1, True)
    assert copy(tmp_path / "data", url).exit_code == 0
    await starts(url)


@pytest_twisted.ensureDeferred
async def test_no_front_starts_on_a_database_or_in_a_folder_while_one_is_copied_into_the_other(
    tmp_path: Path, pool: ThreadPool, schema: str
) -> None:
    url = postgres().url(schema)
    await starts(url)
    with copying(url, tmp_path / "new", schema, "LOCK TABLE document"):
        with pytest.raises(CatalogOutdated, match="`splitctl catalog copy` or `migrate` is using the catalog"):
            await new_front(url).start()
        other = copy(url, tmp_path / "other")
        assert (other.exit_code, "is using the catalog" in other.output) == (1, True)
        same = copy(url, tmp_path / "new")
        assert (same.exit_code, "in use by process" in same.output) == (1, True)
    journal = FileJournal(str(tmp_path / "new/journal"), OSFilesystem(), pool, reactor)  # type: ignore[arg-type]
    with pytest.raises(
        JournalUnfinished, match=r"`splitctl catalog copy` is making a journal in .*, or was interrupted"
    ):
        await journal.replay(lambda _: None)
    await journal.close()
    assert copy(url, tmp_path / "new").exit_code == 0
    await starts(url)


@pytest_twisted.ensureDeferred
async def test_a_front_that_had_stood_still_changes_nothing_while_its_catalog_is_copied(
    tmp_path: Path, schema: str, standing: StoredCatalog
) -> None:
    url = postgres().url(schema)
    with copying(url, tmp_path / "new", schema, "LOCK TABLE document"):
        with pytest.raises(CatalogAway, match="`splitctl catalog copy` or `migrate` is using the catalog"):
            await standing.make_collection("/c")
        with pytest.raises(CatalogAway):
            await standing.renew()

    async def goes_on() -> bool:
        with suppress(CatalogAway):
            await standing.make_collection("/c")
            return True
        return False

    await becomes(goes_on)
    assert set(await walk(standing)) == {"/", "/c"}


@pytest.mark.parametrize("table", ["front", "entry", "document"])
def test_a_copy_back_that_is_killed_anywhere_is_repeated_and_is_like_its_original(
    tmp_path: Path, schema: str, table: str
) -> None:
    url = original(tmp_path, schema)
    with copying(url, tmp_path / "new", schema, f"LOCK TABLE {table}"):
        pass
    is_repeated(url, schema, tmp_path / "new", tmp_path / "whole")


@pytest.mark.parametrize("sign", ["new/journal.copying/snapshot*", "new/journal"])
def test_a_copy_back_that_is_killed_while_it_writes_is_repeated_and_is_like_its_original(
    tmp_path: Path, schema: str, sign: str
) -> None:
    url = original(tmp_path, schema)
    child = subprocess.Popen([*_COMMAND, "--from", url, "--to", str(tmp_path / "new")], stdout=subprocess.DEVNULL)
    while not any(tmp_path.glob(sign)) and child.poll() is None:
        pass
    child.kill()
    child.wait()
    if not (tmp_path / "new/journal").exists():
        is_repeated(url, schema, tmp_path / "new", tmp_path / "whole")
    is_like(url, schema, tmp_path / "new")


def original(tmp_path: Path, schema: str) -> str:
    """Make a catalog in a database."""
    make_journal(tmp_path / "data")
    url = postgres().url(schema)
    assert copy(tmp_path / "data", url).exit_code == 0
    return url


def is_repeated(url: str, schema: str, data: Path, whole: Path) -> None:
    """Repeat a copy, and compare it with one that was never interrupted."""
    assert copy(url, data).exit_code == 0
    assert copy(url, whole).exit_code == 0
    is_like(url, schema, data)

    def written(folder: Path) -> list[bytes]:
        return [path.read_bytes() for path in sorted(folder.glob("journal/snapshot*"))]

    assert written(data) == written(whole) != []


def is_like(url: str, schema: str, data: Path) -> None:
    with closing(postgres().connect(schema)) as connection, connection.cursor(binary=True) as cursor:
        expected = stored_contents(cursor)
    assert contents_of(read_journal(OSFilesystem(), str(data / "journal"))) == expected
    assert expected.files == 2
    assert [path.name for path in data.iterdir()] == ["journal"]


def test_a_journal_that_was_made_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        (tmp_path / "journal").mkdir()
        (tmp_path / "journal/kept").touch()

    with pytest.raises(RecoveryRefused, match="has been made by another process meanwhile"):
        make_journal_folder(tmp_path, "journal.copying", OSFilesystem(), make)
    assert [path.name for path in tmp_path.rglob("*")] == ["journal", "kept"]


def test_the_lock_of_a_copy_is_that_of_its_schema(schema: str) -> None:
    other = postgres().new_schema()
    with closing(postgres().connect(schema)) as one, closing(postgres().connect(other)) as two:
        with no_front(one), closing(postgres().connect(schema)) as third:
            hold_off(two)
            with pytest.raises(Excluded), third:
                hold_off(third)
        hold_off(one)
