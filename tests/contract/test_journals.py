"""The contract of journals, run with the one on a disk and the one in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults
from twisted.python.threadpool import ThreadPool
from zope.interface.verify import verifyObject

from splitd.catalog.journal.file import FileJournal
from splitd.catalog.journal.memory import MemoryFolder, MemoryJournal
from splitd.errors import CatalogReadOnly, JournalDamaged
from splitd.interfaces.journal import IJournal
from splitd.model.records import CollectionMade, Record
from tests.contract.filesystems import FailingFilesystem


class OnDisk:
    """Journals in one folder on a disk."""

    def __init__(self, folder: Path, pool: ThreadPool) -> None:
        self._folder = folder / "journal"
        self._pool = pool
        self._filesystem = FailingFilesystem()

    def journal(self) -> IJournal:
        from twisted.internet import reactor

        return FileJournal(str(self._folder), self._filesystem, self._pool, reactor)

    def fail_next(self, _: IJournal) -> None:
        self._filesystem.fails = {"sync"}


class InMemory:
    """Journals in one folder in memory."""

    def __init__(self, _: Path, __: ThreadPool) -> None:
        self._folder = MemoryFolder()

    def journal(self) -> IJournal:
        return MemoryJournal(self._folder)

    def fail_next(self, journal: IJournal) -> None:
        assert isinstance(journal, MemoryJournal)
        journal.fail_next("the disk is on fire")


Place = OnDisk | InMemory


@pytest.fixture(params=[OnDisk, InMemory])
def place(request: pytest.FixtureRequest, tmp_path: Path, pool: ThreadPool) -> Place:
    make: Callable[[Path, ThreadPool], Place] = request.param
    return make(tmp_path, pool)


def record(number: int) -> Record:
    return CollectionMade(f"/{number}", number)


async def opened(place: Place) -> IJournal:
    journal = place.journal()
    await journal.replay(lambda _: None)
    return journal


async def contents(place: Place) -> list[Record]:
    found: list[Record] = []
    journal = place.journal()
    assert await journal.replay(found.append) == len(found)
    await journal.close()
    return found


def test_it_provides_what_it_says(place: Place) -> None:
    verifyObject(IJournal, place.journal())


@pytest_twisted.ensureDeferred
async def test_a_new_one_is_empty(place: Place) -> None:
    assert await contents(place) == []


@pytest_twisted.ensureDeferred
async def test_what_was_appended_is_replayed_in_order_after_a_close(place: Place) -> None:
    journal = await opened(place)
    for number in range(10):
        await journal.append_all([record(number)], durable=number % 2 == 0)
    await journal.close()
    assert await contents(place) == [record(number) for number in range(10)]


@pytest_twisted.ensureDeferred
async def test_it_goes_on_where_the_last_one_ended(place: Place) -> None:
    for number in range(3):
        journal = await opened(place)
        await journal.append_all([record(number)], durable=True)
        await journal.close()
    assert await contents(place) == [record(number) for number in range(3)]


@pytest_twisted.ensureDeferred
async def test_appends_fire_in_the_order_of_the_calls(place: Place) -> None:
    journal = await opened(place)
    fired: list[int] = []
    appended = []
    for number in range(50):
        done = journal.append_all([record(number)], durable=number % 3 == 0)
        appended.append(done.addCallback(lambda _, number: fired.append(number), number))
    await gatherResults(appended)
    assert fired == list(range(50))
    await journal.close()
    assert await contents(place) == [record(number) for number in range(50)]


@pytest_twisted.ensureDeferred
async def test_an_append_may_be_made_while_another_fires(place: Place) -> None:
    journal = await opened(place)
    await journal.append_all([record(0)], durable=True).addCallback(
        lambda _: journal.append_all([record(1)], durable=True)
    )
    await journal.close()
    assert await contents(place) == [record(0), record(1)]


@pytest_twisted.ensureDeferred
async def test_what_is_appended_while_another_fires_fires_after_those_that_wait(place: Place) -> None:
    journal = await opened(place)
    if isinstance(journal, MemoryJournal):
        journal.hold()
    fired: list[int] = []

    def append(number: int, *, durable: bool) -> Deferred[None]:
        return journal.append_all([record(number)], durable=durable).addCallback(lambda _: fired.append(number))

    nested: list[Deferred[None]] = []
    first = append(0, durable=True).addCallback(lambda _: nested.append(append(3, durable=False)))
    others = [append(1, durable=True), append(2, durable=False)]
    if isinstance(journal, MemoryJournal):
        journal.release()
    await gatherResults([first, *others])
    await gatherResults(nested)
    assert fired == [0, 1, 2, 3]
    await journal.close()


@pytest_twisted.ensureDeferred
async def test_close_waits_for_what_was_appended(place: Place) -> None:
    journal = await opened(place)
    appended = [journal.append_all([record(number)], durable=True) for number in range(20)]
    await journal.close()
    assert all(done.called for done in appended)
    assert len(await contents(place)) == 20


@pytest_twisted.ensureDeferred
async def test_an_append_that_is_cancelled_is_in_the_journal_all_the_same(place: Place) -> None:
    journal = await opened(place)
    done = journal.append_all([record(0)], durable=True)
    done.addErrback(lambda _: None)
    done.cancel()
    await journal.append_all([record(1)], durable=True)
    await journal.close()
    assert await contents(place) == [record(0), record(1)]


@pytest_twisted.ensureDeferred
async def test_records_that_are_appended_in_one_call_are_there_in_their_order(place: Place) -> None:
    journal = await opened(place)
    fired: list[str] = []
    appended = [
        journal.append_all([record(0)], durable=True).addCallback(lambda _: fired.append("before")),
        journal.append_all([record(1), record(2), record(3)], durable=False).addCallback(
            lambda _: fired.append("some")
        ),
        journal.append_all([record(4), record(5)], durable=True).addCallback(lambda _: fired.append("durable")),
        journal.append_all([record(6)], durable=True).addCallback(lambda _: fired.append("after")),
    ]
    await gatherResults(appended)
    assert fired == ["before", "some", "durable", "after"]
    with pytest.raises(ValueError, match="surrogates not allowed"):
        await journal.append_all([record(7), CollectionMade("/\ud800", 1)], durable=True)
    await journal.append_all([record(7)], durable=True)
    await journal.close()
    assert await contents(place) == [record(number) for number in range(8)]


@pytest_twisted.ensureDeferred
async def test_a_record_that_cannot_be_written_down_is_refused_and_all_else_goes_on(place: Place) -> None:
    journal = await opened(place)
    await journal.append_all([record(0)], durable=True)
    with pytest.raises(ValueError, match="surrogates not allowed"):
        await journal.append_all([CollectionMade("/\ud800", 1)], durable=True)
    await journal.append_all([record(1)], durable=True)
    await journal.close()
    assert await contents(place) == [record(0), record(1)]


@pytest_twisted.ensureDeferred
async def test_after_a_failure_nothing_is_appended_any_more(place: Place) -> None:
    journal = await opened(place)
    await journal.append_all([record(0)], durable=True)
    assert journal.failure == ""
    place.fail_next(journal)
    for number in (1, 2, 3):
        with pytest.raises(CatalogReadOnly) as caught:
            await journal.append_all([record(number)], durable=True)
        assert journal.failure in str(caught.value)
        assert journal.failure
    await journal.close()


@pytest_twisted.ensureDeferred
async def test_all_that_wait_fail_with_the_one_that_failed(place: Place) -> None:
    journal = await opened(place)
    place.fail_next(journal)
    failed = [journal.append_all([record(number)], durable=True) for number in range(10)]
    for done in failed:
        with pytest.raises(CatalogReadOnly):
            await done
    await journal.close()


@pytest_twisted.ensureDeferred
async def test_nothing_can_be_appended_before_the_replay_and_after_the_close(place: Place) -> None:
    journal = place.journal()
    with pytest.raises(CatalogReadOnly, match="not open"):
        await journal.append_all([record(0)], durable=True)
    await journal.replay(lambda _: None)
    await journal.close()
    with pytest.raises(CatalogReadOnly, match="not open"):
        await journal.append_all([record(0)], durable=True)
    assert await contents(place) == []


@pytest_twisted.ensureDeferred
async def test_a_second_one_is_refused_until_the_first_is_closed(place: Place) -> None:
    first = await opened(place)
    second = place.journal()
    with pytest.raises(OSError, match="in use"):
        await second.replay(lambda _: None)
    await second.close()
    third = place.journal()
    with pytest.raises(OSError, match="in use"):
        await third.replay(lambda _: None)
    await first.close()
    await (await opened(place)).close()


@pytest_twisted.ensureDeferred
async def test_a_record_that_the_reader_refuses_is_damage(place: Place) -> None:
    journal = await opened(place)
    for number in range(3):
        await journal.append_all([record(number)], durable=True)
    await journal.close()

    def refuse(found: Record) -> None:
        if found == record(1):
            raise ValueError("there is no number 1")

    journal = place.journal()
    with pytest.raises(JournalDamaged, match="line 2: there is no number 1"):
        await journal.replay(refuse)
    await journal.close()
    assert len(await contents(place)) == 3


@pytest_twisted.ensureDeferred
async def test_it_may_be_closed_again_and_unopened(place: Place) -> None:
    await place.journal().close()
    journal = await opened(place)
    await journal.close()
    await journal.close()
