"""Each test gets a front on each kind of catalog, one after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.python.threadpool import ThreadPool

from tests.catalogs import A, B
from tests.contract.catalogs.both_fronts import Both
from tests.contract.catalogs.front import Front, Opened, furnish
from tests.contract.catalogs.places import PLACES, Place
from tests.postgres import postgres


@pytest_twisted.async_yield_fixture(params=PLACES)
async def place(request: pytest.FixtureRequest, tmp_path: Path, pool: ThreadPool) -> AsyncIterator[Place]:
    """Where a catalog is kept that nobody has opened yet."""
    opened = Opened(PLACES[request.param](tmp_path, pool))
    yield opened
    await opened.close()


@pytest_twisted.async_fixture
async def front(place: Place) -> Front:
    """A front with a new catalog; its time is 1 s after 1970."""
    place.clock.advance(1.0)
    return await Front.start(place)


@pytest_twisted.async_fixture
async def furnished(front: Front) -> Front:
    """A front with some names: see `furnish`."""
    await furnish(front, A, B)
    return front


@pytest_twisted.async_yield_fixture
async def both() -> AsyncIterator[Both]:
    """Two fronts on one catalog in a database."""
    both = Both([], postgres().new_schema())
    both.fronts = [both.new_front(number) for number in (1, 2)]
    try:
        for front in both.fronts:
            await front.start()
        yield both
    finally:
        for front in both.fronts:
            await front.close()
