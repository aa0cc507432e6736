"""Records that are appended together share one write and one sync of the journal on a disk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock
from twisted.python.threadpool import ThreadPool

from splitd.catalog.journal.file import FileJournal
from splitd.catalog.journalled import JournalledCatalog
from splitd.interfaces.uploads import Commit, Start
from splitd.model.conditions import ALWAYS
from splitd.model.records import CollectionMade, Record
from tests.catalogs import NODES, manifest
from tests.clocks import wall_of
from tests.contract.filesystems import FailingFilesystem


def record(number: int) -> Record:
    return CollectionMade(f"/{number}", number)


def make(folder: Path, pool: ThreadPool, filesystem: FailingFilesystem) -> FileJournal:
    from twisted.internet import reactor

    return FileJournal(str(folder / "journal"), filesystem, pool, reactor)


@asynccontextmanager
async def opened(folder: Path, pool: ThreadPool, filesystem: FailingFilesystem) -> AsyncIterator[FileJournal]:
    journal = make(folder, pool, filesystem)
    try:
        await journal.replay(lambda _: None)
        yield journal
    finally:
        await journal.close()


async def contents(folder: Path, pool: ThreadPool) -> list[Record]:
    found: list[Record] = []
    journal = make(folder, pool, FailingFilesystem())
    await journal.replay(found.append)
    await journal.close()
    return found


def writes(filesystem: FailingFilesystem) -> list[str]:
    return [call for call in filesystem.calls if call in ("write", "sync")]


@pytest_twisted.ensureDeferred
async def test_the_records_of_a_block_share_one_write_and_one_sync(tmp_path: Path, pool: ThreadPool) -> None:
    filesystem = FailingFilesystem()
    async with opened(tmp_path, pool, filesystem) as journal:
        await journal.append_all([record(1)], durable=True)
        filesystem.calls.clear()
        with journal.together():
            outcomes = [journal.append_all([record(2)], durable=True)]
            with journal.together():
                outcomes.append(journal.append_all([record(3)], durable=True))
            outcomes.append(journal.append_all([record(4)], durable=False))
        await gatherResults(outcomes)
        assert writes(filesystem) == ["write", "sync"]
    assert await contents(tmp_path, pool) == [record(number) for number in range(1, 5)]


@pytest_twisted.ensureDeferred
async def test_a_record_before_an_error_in_the_block_is_written(tmp_path: Path, pool: ThreadPool) -> None:
    async with opened(tmp_path, pool, FailingFilesystem()) as journal:
        outcomes: list[Deferred[None]] = []

        def fail_after_one() -> None:
            with journal.together():
                outcomes.append(journal.append_all([record(1)], durable=True))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail_after_one()
        await gatherResults(outcomes)
    assert await contents(tmp_path, pool) == [record(1)]


@pytest_twisted.ensureDeferred
async def test_a_block_without_a_record_writes_nothing(tmp_path: Path, pool: ThreadPool) -> None:
    filesystem = FailingFilesystem()
    async with opened(tmp_path, pool, filesystem) as journal:
        filesystem.calls.clear()
        with journal.together():
            pass
        assert writes(filesystem) == []


@pytest_twisted.ensureDeferred
async def test_a_group_of_uploads_begins_with_one_write_and_is_committed_with_one_more(
    tmp_path: Path, pool: ThreadPool
) -> None:
    filesystem, clock = FailingFilesystem(), Clock()
    journal = make(tmp_path, pool, filesystem)
    catalog = JournalledCatalog(journal, wall_of(clock), clock, front="front")
    await catalog.start()
    uploads = [f"{number:032x}" for number in range(20)]
    filesystem.calls.clear()
    await catalog.ledger.begin_all([Start(upload, f"/{upload}", NODES) for upload in uploads])
    assert writes(filesystem) == ["write"]
    commits = [Commit(f"/{upload}", manifest(upload), ALWAYS) for upload in uploads]
    assert await gatherResults(catalog.ledger.commit_all(commits)) == [True] * 20
    assert writes(filesystem) == ["write", "write", "sync"]
    catalog.stop()
    await journal.close()
