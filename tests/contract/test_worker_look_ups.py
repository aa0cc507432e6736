"""Workers that remember look-ups read what was written last, whoever has written it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import count
from typing import Any

import attrs
import pytest
import pytest_twisted
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from splitd.access.remembered import Remembered
from splitd.access.sessions import Sessions
from splitd.errors import SplitdError
from splitd.interfaces.keys import KeyCopy
from splitd.interfaces.uploads import Commit, Start
from splitd.model.conditions import ALWAYS
from splitd.model.documents import Document
from splitd.model.manifest import Manifest
from splitd.model.media import Labels, Media
from splitd.model.properties import PropertyChanges
from splitd.model.tree import Collection
from splitd.workers.counters import Counters
from storaged.system.clocks import WallClock
from storaged.system.parallel import gather
from tests.catalogs import AS_KEY, NODES, manifest
from tests.histories import Event, explain_stale
from tests.unit.catalogs import Front
from tests.workers import SocketWorker, serving, shared_counters

NAMES = ["/x/a", "/x/b", "/x/c/d", "/x/c", "/x/c/"]


class Crowd:
    """A catalog, and two workers that call it."""

    def __init__(self) -> None:
        self.counters: Counters = shared_counters()
        self.front = Front(changed=self.counters.changed)
        self.workers: list[SocketWorker] = []

    async def start(self) -> Crowd:
        await self.front.start()
        for _ in range(2):
            self.workers.append(SocketWorker(serving(Shown(self.front.catalog)), self.counters))
        await self.front.catalog.make_collection("/x")
        return self

    async def close(self) -> None:
        for worker in self.workers:
            await worker.close()


@attrs.frozen
class Shown:
    catalog: Any

    def __getattr__(self, name: str) -> object:
        return getattr(self.catalog, name)


@pytest_twisted.async_yield_fixture
async def crowd() -> AsyncIterator[Crowd]:
    made = await Crowd().start()
    yield made
    await made.close()


@pytest_twisted.ensureDeferred
async def test_a_look_up_is_remembered_until_something_changes_there(crowd: Crowd) -> None:
    here, there = crowd.workers
    await put(here, "/x/a", 1)
    for _ in range(3):
        assert await here.look_ups.lookup("/x/a") == manifest(f"{1:032x}")
    assert here.look_ups.remembered == 2
    await put(there, "/x/b", 2)
    await there.seams()["locks"].check("/x/a", ALWAYS, changing=True)
    assert await here.look_ups.lookup("/x/a") == manifest(f"{1:032x}")
    assert here.look_ups.remembered == 3
    await put(there, "/x/a", 3)
    assert await here.look_ups.lookup("/x/a") == manifest(f"{3:032x}")
    assert here.look_ups.remembered == 3


@pytest_twisted.ensureDeferred
async def test_a_file_is_known_without_a_call_until_something_changes_there(crowd: Crowd) -> None:
    here, there = crowd.workers

    def known(path: str) -> Manifest | None:
        found = here.look_ups.known_file(path)
        assert found is None or found[1] is None
        return found and found[0]

    await put(here, "/x/a", 1)
    assert known("/x/a") is None
    await here.look_ups.lookup("/x/a")
    await here.look_ups.lookup("/x")
    assert (known("/x/a"), known("/x"), known("/x/b")) == (manifest(f"{1:032x}"), None, None)
    await put(there, "/x/a", 2)
    assert known("/x/a") is None
    assert await here.look_ups.lookup("/x/a") == manifest(f"{2:032x}")
    assert known("/x/a") == manifest(f"{2:032x}")


@pytest_twisted.ensureDeferred
async def test_a_small_document_is_remembered_until_another_worker_changes_it(crowd: Crowd) -> None:
    here, there = (worker.seams()["documents"] for worker in crowd.workers)
    remembered = Remembered(here, WallClock())
    assert await remembered.find("own-key", "k") is None
    assert remembered.known("own-key", "k") == (None, True)
    made = await there.put(Document("own-key", "k", "anna", "1"))
    assert remembered.known("own-key", "k") == (None, False)
    assert await remembered.find("own-key", "k") == made
    await there.put(Document("own-key", "other", "anna", "2"))
    await put(crowd.workers[1], "/x/a", 1)
    assert remembered.known("own-key", "k") == (made, True)
    await there.delete("own-key", "k")
    assert remembered.known("own-key", "k") == (None, False)
    assert await remembered.find("own-key", "k") is None


@pytest_twisted.ensureDeferred
async def test_a_session_that_another_worker_ends_has_ended_here(crowd: Crowd) -> None:
    here, there = (Sessions(worker.seams()["documents"], WallClock()) for worker in crowd.workers)
    cookie, _ = await here.begin("anna", "stamp")
    assert await there.find(cookie) is not None
    assert there.known(cookie) is not None
    assert here.known(cookie) is not None
    assert await there.end_all("anna") == 1
    assert here.known(cookie) is None
    assert await here.find(cookie) is None


async def put(worker: SocketWorker, path: str, number: int) -> bool:
    ledger, upload = worker.seams()["ledger"], f"{number:032x}"
    await ledger.begin_all([Start(upload, path, NODES)])
    [made] = ledger.commit_all([Commit(path, manifest(upload), AS_KEY)])
    return await made


# Every look-up, remembered or not, finds what the catalog would find.

paths = st.sampled_from(["/x/a", "/x/b", "/x/b/", "/x/b/c", "/x/b/d/", "/x/b/d/e", "/x"])
operations = st.one_of(
    st.tuples(st.just("put"), paths, paths),
    st.tuples(st.just("make_collection"), paths, paths),
    st.tuples(st.just("delete"), paths, paths),
    st.tuples(st.just("delete_key"), paths, paths),
    st.tuples(st.just("move"), paths, paths),
    st.tuples(st.just("copy"), paths, paths),
    st.tuples(st.just("copy_key"), paths, paths),
    st.tuples(st.just("properties"), paths, paths),
    st.tuples(st.just("lose"), paths, paths),
)


async def perform(crowd: Crowd, number: int, operation: tuple[str, str, str]) -> None:
    what, path, other = operation
    catalog = crowd.front.catalog
    calls: dict[str, Any] = {
        "put": lambda: put(crowd.workers[number % 2], path, number),
        "make_collection": lambda: catalog.make_collection(path),
        "delete": lambda: catalog.delete(path, ALWAYS),
        "delete_key": lambda: catalog.keys.delete_key(path, ALWAYS),
        "move": lambda: catalog.namespace.move(path, other, ALWAYS, overwrite=True),
        "copy": lambda: catalog.namespace.copy(path, other, ALWAYS, deep=True, overwrite=True),
        "copy_key": lambda: catalog.keys.copy_key(KeyCopy(path, other, Labels(Media("text/plain")))),
        "properties": lambda: catalog.namespace.change_properties(path, PropertyChanges({"a": "<a/>"}, ()), ALWAYS),
        "lose": lambda: crowd.front.catalog.heal_ledger.lose(
            "a", [manifest(f"{each:032x}").part(0) for each in range(number)], "gone"
        ),
    }
    with suppress(SplitdError):
        await calls[what]()


async def is_as_the_catalog(history: list[tuple[str, str, str]]) -> None:
    from twisted.internet import reactor

    crowd = await Crowd().start()
    try:
        for number, operation in enumerate(history):
            for path in ("/x/a", "/x/b", "/x/b/", "/x/b/c", "/x/b/d/", "/x/b/d/e", "/x", "/"):
                for worker in crowd.workers:
                    assert await worker.look_ups.lookup(path) == await crowd.front.catalog.lookup(path), (number, path)
                    if path in {"/", "/x"}:
                        continue  # no key
                    assert await worker.look_ups.find_key(path) == await crowd.front.catalog.keys.find_key(path)
            clock = crowd.front.clock
            changed = Deferred.fromCoroutine(perform(crowd, number, operation))
            while not changed.called:
                clock.advance(0.01)
                await deferLater(reactor, 0)
            await changed
    finally:
        await crowd.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(history=st.lists(operations, min_size=1, max_size=12))
@pytest_twisted.inlineCallbacks
def test_what_is_remembered_is_what_the_catalog_has(history: list[tuple[str, str, str]]) -> Any:
    yield Deferred.fromCoroutine(is_as_the_catalog(history))


# A history of clients that race on both workers is linearizable: each file is a register.


@pytest.mark.parametrize("seed", range(3))
@pytest_twisted.ensureDeferred
async def test_racing_clients_of_different_workers_read_the_last_acknowledged_write(crowd: Crowd, seed: int) -> None:
    steps, history = count(1), list[Event]()
    chance = random.Random(seed)
    uploads = count(1)

    async def write(worker: SocketWorker, path: str) -> None:
        for _ in range(25):
            value, began = next(uploads), next(steps)
            await put(worker, path, value)
            history.append(Event(began, next(steps), path, value, writes=True))

    async def read(worker: SocketWorker) -> None:
        for _ in range(150):
            path, began = chance.choice(NAMES[:3]), next(steps)
            found = await worker.look_ups.lookup(path)
            assert not isinstance(found, Collection)
            value = 0 if found is None else int(found.upload, 16)
            assert found is None or isinstance(found, Manifest)
            history.append(Event(began, next(steps), path, value, writes=False))

    writers = [write(crowd.workers[number % 2], path) for number, path in enumerate(NAMES[:3])]
    await gather([*writers, *(read(crowd.workers[number % 2]) for number in range(8))])
    assert explain_stale(history) == ""
    assert all(worker.look_ups.remembered for worker in crowd.workers)
