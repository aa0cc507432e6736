"""Fronts that keep look-ups read what was written last, whichever front has written it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from itertools import count
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from splitd.catalog.sql.catalog import StoredCatalog
from splitd.catalog.sql.connecting import connector
from splitd.catalog.sql.kept import KeptLooks
from splitd.catalog.sql.stamps import RING, News
from splitd.errors import SplitdError
from splitd.interfaces.keys import KeyCopy
from splitd.interfaces.uploads import Commit, Start
from splitd.model.conditions import ALWAYS
from splitd.model.manifest import Manifest
from splitd.model.media import Labels, Media
from splitd.model.properties import PropertyChanges
from storaged.system.clocks import WallClock
from storaged.system.parallel import gather
from tests.catalogs import AS_KEY, NODES, known, manifest
from tests.cluster.waiting import becomes
from tests.histories import Event, explain_stale
from tests.postgres import postgres

NAMES = ["/x/a", "/x/b", "/x/c/d"]
PATHS = ["/x/a", "/x/b", "/x/b/", "/x/b/c", "/x/b/d/", "/x/b/d/e", "/x", "/"]


class Fronts:
    """Two fronts on one schema; one of them looks at the database each time, too."""

    def __init__(self) -> None:
        self.schema = postgres().new_schema()
        self.catalogs: list[StoredCatalog] = []

    async def start(self) -> Fronts:
        from twisted.internet import reactor

        for number in range(2):
            connect = connector(postgres().url(self.schema))
            catalog = StoredCatalog(connect, reactor, WallClock(), reactor, front=f"front {number}")
            self.catalogs.append(catalog)
            await catalog.start()
        await self.catalogs[0].make_collection("/x")
        return self

    async def close(self) -> None:
        for catalog in self.catalogs:
            await catalog.close()
        postgres().drop(self.schema)

    async def really(self, path: str) -> object:
        """What the database says now."""
        catalog = self.catalogs[0]
        kept, catalog.kept = catalog.kept, KeptLooks(_never, _never)
        try:
            return await catalog.lookup(path)
        finally:
            catalog.kept = kept


def _never(*_: object) -> Deferred[News]:
    raise AssertionError("nothing is kept")


@pytest_twisted.async_yield_fixture
async def fronts() -> AsyncIterator[Fronts]:
    made = Fronts()
    try:
        yield await made.start()
    finally:
        await made.close()


async def put(catalog: StoredCatalog, path: str, number: int) -> bool:
    upload = f"{number:032x}"
    await catalog.ledger.begin_all([Start(upload, path, NODES)])
    [made] = catalog.ledger.commit_all([Commit(path, manifest(upload), AS_KEY)])
    return await made


@pytest_twisted.ensureDeferred
async def test_a_look_up_is_kept_until_a_front_changes_something_there(fronts: Fronts) -> None:
    here, there = fronts.catalogs
    await put(here, "/x/a", 1)
    await here.lookup("/")  # the first one that is kept is not believed: nothing was asked before
    await here.lookup("/")
    for _ in range(3):
        assert await here.lookup("/x/a") == manifest(f"{1:032x}")
    assert here.kept.answered == 2
    await put(there, "/x/b", 2)
    assert await here.lookup("/x/a") == manifest(f"{1:032x}")
    assert here.kept.answered == 3
    await put(there, "/x/a", 3)
    assert await here.lookup("/x/a") == manifest(f"{3:032x}")
    assert here.kept.answered == 3


@pytest_twisted.ensureDeferred
async def test_a_file_is_known_and_proven_until_a_front_changes_something_there(fronts: Fronts) -> None:
    here, there = fronts.catalogs
    await put(here, "/x/a", 1)
    assert here.known_file("/x/a") is None
    for path in ("/", "/x/a", "/x/a", "/x"):  # the first one that is kept is not believed: nothing was asked before
        await here.lookup(path)
    assert [await known(here, path) for path in ("/x/a", "/x", "/x/b")] == [manifest(f"{1:032x}"), None, None]
    await put(there, "/x/b", 2)
    assert await known(here, "/x/a") == manifest(f"{1:032x}")
    await put(there, "/x/a", 3)
    old = here.known_file("/x/a")
    assert old is not None
    assert old[0] == manifest(f"{1:032x}")
    assert await known(here, "/x/a") is None
    assert here.known_file("/x/a") is None
    assert await here.lookup("/x/a") == manifest(f"{3:032x}")
    assert await known(here, "/x/a") == manifest(f"{3:032x}")


@pytest_twisted.ensureDeferred
async def test_after_more_changes_than_the_ring_has_nothing_is_believed(fronts: Fronts) -> None:
    here, there = fronts.catalogs
    await put(here, "/x/a", 1)
    await here.lookup("/")
    await here.lookup("/")
    await here.lookup("/x/a")
    for number in range(RING + 1):
        await put(there, "/x/b", 2 + number)
    answered = here.kept.answered
    assert await here.lookup("/x/a") == manifest(f"{1:032x}")
    assert here.kept.answered == answered


@pytest_twisted.ensureDeferred
async def test_what_is_kept_is_what_the_database_has(fronts: Fronts) -> None:
    chance = random.Random(5)
    for number in range(1, 100):
        await perform(fronts, chance, number)
        for path in PATHS:
            for catalog in fronts.catalogs:
                really = await fronts.really(path)
                assert await known(catalog, path) in {None, really}, (number, path)
                assert await catalog.lookup(path) == really, (number, path)
    assert all(catalog.kept.answered for catalog in fronts.catalogs)


async def perform(fronts: Fronts, chance: random.Random, number: int) -> None:
    path, other = chance.choice(PATHS), chance.choice(PATHS)
    catalog = fronts.catalogs[number % 2]
    names, keys = catalog.namespace, catalog.keys
    calls: list[Any] = [
        lambda: put(catalog, path, number),
        lambda: put(catalog, other, number),
        lambda: catalog.make_collection(path),
        lambda: catalog.delete(path, ALWAYS),
        lambda: keys.delete_key(path, ALWAYS),
        lambda: names.move(path, other, ALWAYS, overwrite=True),
        lambda: names.copy(path, other, ALWAYS, deep=True, overwrite=True),
        lambda: keys.copy_key(KeyCopy(path, other, Labels(Media("text/plain")))),
        lambda: names.change_properties(path, PropertyChanges({"a": "<a/>"}, ()), ALWAYS),
        lambda: catalog.heal_ledger.lose("a", [manifest(f"{each:032x}").part(0) for each in range(number)], "gone"),
    ]
    with suppress(SplitdError):
        await chance.choice(calls)()


@pytest.mark.parametrize("seed", range(2))
@pytest_twisted.ensureDeferred
async def test_racing_clients_of_different_fronts_read_the_last_acknowledged_write(fronts: Fronts, seed: int) -> None:
    steps, uploads, history = count(1), count(1), list[Event]()
    chance = random.Random(seed)

    async def write(catalog: StoredCatalog, path: str) -> None:
        for _ in range(15):
            value, began = next(uploads), next(steps)
            await put(catalog, path, value)
            history.append(Event(began, next(steps), path, value, writes=True))

    async def read(catalog: StoredCatalog) -> None:
        for _ in range(150):
            path, began = chance.choice(NAMES), next(steps)
            found = await known(catalog, path) or await catalog.lookup(path)
            assert found is None or isinstance(found, Manifest)
            value = 0 if found is None else int(found.upload, 16)
            history.append(Event(began, next(steps), path, value, writes=False))

    both = fronts.catalogs
    writers = [write(both[number % 2], path) for number, path in enumerate(NAMES)]
    await gather([*writers, *(read(both[number % 2]) for number in range(8))])
    assert explain_stale(history) == ""


@pytest_twisted.ensureDeferred
async def test_a_front_whose_probe_is_lost_asks_otherwise_and_connects_again(fronts: Fronts) -> None:
    here, there = fronts.catalogs
    await put(here, "/x/a", 1)
    for path in ("/", "/x/a", "/x/a"):
        await here.lookup(path)
    probes = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'PREPARE probe%'"

    async def only_probe() -> list[tuple[int]]:  # the server may not have noticed yet that those before were closed
        with closing(postgres().connect(fronts.schema)) as beside:
            found = beside.execute(probes).fetchall()
            return found if len(found) == 1 else []

    [(pid,)] = await becomes(only_probe)
    with closing(postgres().connect(fronts.schema)) as beside:
        beside.execute("SELECT pg_terminate_backend(%s)", (pid,))
    await put(there, "/x/a", 2)
    assert await known(here, "/x/a") is None
    assert await here.lookup("/x/a") == manifest(f"{2:032x}")

    async def is_probed() -> bool:
        await here.lookup("/x/a")
        with closing(postgres().connect(fronts.schema)) as beside:
            query = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'PREPARE probe%' AND state = 'idle'"
            return beside.execute(query).fetchone()[0] >= 1  # type: ignore[index]

    await becomes(is_probed)
    await here.lookup("/x/a")
    await put(there, "/x/a", 3)
    assert await known(here, "/x/a") is None
    assert await here.lookup("/x/a") == manifest(f"{3:032x}")
