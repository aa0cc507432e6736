"""A worker and the catalog's process: what belongs to the connection, and what a lost one means."""

from __future__ import annotations

from collections.abc import AsyncIterator

import attrs
import msgspec
import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred, fail, succeed

from splitd.errors import BadName, CatalogAway
from splitd.interfaces.uploads import Commit, Start
from splitd.model.conditions import ALWAYS
from splitd.workers.wire import WorkerFault
from tests.catalogs import NODES, A, B, doomed, manifest
from tests.unit.catalogs import Front
from tests.workers import SocketWorker, serving, shared_counters


@attrs.define
class Pair:
    """A catalog, and a worker that calls it."""

    front: Front
    worker: SocketWorker

    async def under_way(self) -> int:
        return (await self.front.catalog.statistics()).uploads


@attrs.frozen
class _Shown:
    front: Front

    @property
    def catalog(self) -> object:
        return self.front.catalog

    def __getattr__(self, name: str) -> object:
        return getattr(self.front.catalog, name)


@pytest_twisted.async_yield_fixture
async def pair() -> AsyncIterator[Pair]:
    front = await Front().start()
    worker = SocketWorker(serving(_Shown(front)), shared_counters())
    yield Pair(front, worker)
    await worker.close()


@pytest_twisted.ensureDeferred
async def test_uploads_of_a_worker_that_dies_are_aborted_and_no_others(pair: Pair) -> None:
    ledger = pair.worker.seams()["ledger"]
    await ledger.begin_all([Start(A, "/a", NODES)])
    await pair.front.catalog.ledger.begin_all([Start(B, "/b", NODES)])
    pair.worker.die()
    await pair.worker.lost
    await pair.worker.served["ledger"].end()
    assert await pair.under_way() == 1
    assert await pair.front.doomed() == doomed(A)


@pytest_twisted.ensureDeferred
async def test_a_commit_that_was_judged_when_its_worker_dies_is_made(pair: Pair) -> None:
    ledger = pair.worker.seams()["ledger"]
    await ledger.begin_all([Start(A, "/a", NODES)])
    pair.front.journal.hold()
    [committed] = ledger.commit_all([Commit("/a", manifest(A), ALWAYS)])
    await pair.worker.ping()
    pair.worker.die()
    with pytest.raises(CatalogAway):
        await committed
    pair.front.journal.release()
    await pair.worker.lost
    await pair.worker.served["ledger"].end()
    assert await pair.front.catalog.lookup("/a") == manifest(A)
    assert await pair.front.doomed() == {}
    assert await pair.under_way() == 0


@pytest_twisted.ensureDeferred
async def test_an_abort_that_waits_for_its_turn_when_its_worker_dies_is_made(pair: Pair) -> None:
    ledger = pair.worker.seams()["ledger"]
    pair.front.journal.hold()
    made = pair.front.catalog.make_collection("/c")  # what is recorded after it waits, too
    begun, aborted = ledger.begin_all([Start(A, "/a", NODES)]), ledger.abort(A, "its client has left")
    await pair.worker.ping()
    pair.worker.die()
    for each in (begun, aborted):
        with pytest.raises(CatalogAway):
            await each
    await pair.worker.lost
    pair.front.journal.release()
    await made
    await pair.worker.served["ledger"].end()
    assert await pair.under_way() == 0


@pytest_twisted.ensureDeferred
async def test_commits_of_one_turn_are_written_together(pair: Pair) -> None:
    ledger = pair.worker.seams()["ledger"]
    uploads = [f"{number:032x}" for number in range(20)]
    await ledger.begin_all([Start(each, f"/{each}", NODES) for each in uploads])
    given: list[int] = []
    inner = pair.worker.served["ledger"].commit_all
    pair.worker.served["ledger"].commit_all = lambda commits: given.append(len(commits)) or inner(commits)
    made = [ledger.commit_all([Commit(f"/{each}", manifest(each), ALWAYS)])[0] for each in uploads]
    assert [await each for each in made] == [True] * 20
    assert given == [20]


@pytest_twisted.ensureDeferred
async def test_calls_fail_at_once_without_a_connection(pair: Pair) -> None:
    catalog = pair.worker.seams()["catalog"]
    pair.worker.die()
    with pytest.raises(CatalogAway):
        await pair.worker.ping()
    with pytest.raises(CatalogAway):
        await catalog.lookup("/")


@pytest_twisted.ensureDeferred
async def test_an_answer_to_a_cancelled_call_is_dropped(pair: Pair) -> None:
    looked = pair.worker.seams()["catalog"].lookup("/")
    looked.cancel()
    with pytest.raises(CancelledError):
        await looked
    await pair.worker.ping()
    assert pair.worker.calls.in_progress == 0


@pytest_twisted.ensureDeferred
async def test_a_path_that_no_message_can_carry_is_no_path(pair: Pair) -> None:
    with pytest.raises(BadName):
        await pair.worker.seams()["catalog"].lookup("/\ud800")


@pytest_twisted.ensureDeferred
async def test_a_fault_of_the_catalog_is_told_and_the_connection_goes_on(pair: Pair) -> None:
    class Broken:
        def ping(self) -> Deferred[None]:
            return fail(KeyError("x"))

    good, pair.worker.served["session"] = pair.worker.served["session"], Broken()
    with pytest.raises(WorkerFault, match="KeyError"):
        await pair.worker.ping()
    pair.worker.served["session"] = good
    await pair.worker.ping()


@pytest_twisted.ensureDeferred
async def test_a_call_whose_answer_cannot_be_read_fails_and_the_connection_goes_on(pair: Pair) -> None:
    class Odd:
        def ping(self) -> Deferred[str]:
            return succeed("not what a ping is answered with")

    good, pair.worker.served["session"] = pair.worker.served["session"], Odd()
    with pytest.raises(msgspec.ValidationError):
        await pair.worker.ping()
    pair.worker.served["session"] = good
    await pair.worker.ping()
