"""A catalog is copied from a journal into a database, and is the same there."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given, settings
from twisted.internet.defer import Deferred
from twisted.python.threadpool import ThreadPool

from splitd.catalog.sql.connecting import connector
from splitd.catalog.sql.copying import copy_journal, read_journal
from splitd.errors import CatalogOutdated, RecoveryRefused
from splitd.takeover.copying_back import copy_back
from splitd.takeover.history import load_history
from storaged.system.filesystem import OSFilesystem
from tests.contract.catalogs.front import Front, Opened
from tests.contract.catalogs.places import InDatabase, OnDisk
from tests.contract.catalogs.test_model import COPIES, UPLOADS, comparable, everything, histories, many, perform
from tests.contract.filesystems import FailingFilesystem
from tests.tally import EFFORT


async def is_the_same(pool: ThreadPool, history: list[tuple[Any, ...]]) -> None:
    with TemporaryDirectory() as folder:
        disk, database = Opened(OnDisk(Path(folder), pool)), Opened(place := InDatabase(Path(folder), pool))
        for opened in (disk, database):
            opened.clock.advance(1.0)
        try:
            front = await Front.start(disk)
            for operation in history:
                await perform(front, operation)
            for upload in UPLOADS:
                await front.ledger.abort(upload, "the server stops")
            for copy in COPIES:
                await front.part_moves.abort_move(copy, "the server stops")
            before = comparable(await everything(front))
            cluster = await front.looks.cluster()
            await disk.close()
            state = read_journal(OSFilesystem(), str(Path(folder) / "journal"))
            with closing(connector(place.url)()) as connection:
                copied = copy_journal(connection, state, 7, lambda _: None, "f" * 16)
                assert copied.files == state.files
                with pytest.raises(CatalogOutdated, match="has a catalog already"):
                    copy_journal(connection, state, 7, lambda _: None)
            again = await Front.start(database)
            assert comparable(await everything(again)) == before
            assert await again.looks.cluster() == cluster
            used = pytest.raises(CatalogOutdated, match="fronts use the catalog: 1")
            with closing(connector(place.url)()) as connection, used:
                copy_back(connection, Path(folder) / "back", OSFilesystem(), lambda: "0" * 16)
            await database.close()
            await is_the_same_again(pool, place.url, Path(folder) / "back", before, cluster)
        finally:
            await database.close()


def is_empty(folder: Path) -> bool:
    return not list(folder.iterdir())


async def is_the_same_again(pool: ThreadPool, url: str, data: Path, before: Any, cluster: str) -> None:
    killed = data / "journal.copying"
    killed.mkdir(parents=True)
    (killed / "left").touch()
    failing = FailingFilesystem()
    failing.fails = {"sync"}
    with closing(connector(url)()) as connection:
        with pytest.raises(OSError):  # noqa: PT011 - the disk's
            copy_back(connection, data, failing, lambda: "0" * 16)
        assert is_empty(data)
        copy_back(connection, data, OSFilesystem(), lambda: "0" * 16)
        with pytest.raises(RecoveryRefused, match="is not empty: journal is there"):
            copy_back(connection, data, OSFilesystem(), lambda: "0" * 16)
    history = load_history(OSFilesystem(), str(data / "journal"))
    assert history is not None
    assert (history.front, history.epochs, history.claimed) == ("f" * 16, ((8, 1),), 7)
    disk = Opened(OnDisk(data, pool))
    disk.clock.advance(1.0)
    try:
        again = await Front.start(disk)
        assert comparable(await everything(again)) == before
        assert await again.looks.cluster() == cluster
    finally:
        await disk.close()


@settings(many, max_examples=6 * EFFORT)
@given(history=histories)
@pytest_twisted.inlineCallbacks
def test_a_copy_of_a_journal_in_a_database_is_like_it(pool: ThreadPool, history: list[tuple[Any, ...]]) -> Any:
    yield Deferred.fromCoroutine(is_the_same(pool, history))
