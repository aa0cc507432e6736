"""Uploads whose abort the catalog refuses for a while are aborted once it takes that."""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from splitd.catalog.journal.memory import MemoryJournal
from splitd.catalog.journalled import JournalledCatalog
from splitd.errors import CatalogReadOnly, CatalogSuspended
from splitd.interfaces.uploads import IUploadLedger
from splitd.uploads.aborts import LaterAborts
from tests.catalogs import NODES, A, B, manifest
from tests.clocks import wall_of
from tests.doomed import doomed_parts
from tests.ledger import begin, commit


class Ledger:
    """The ledger of a catalog in memory, whose aborts may fail.

    :ivar problem: the error with which they fail; None if they do not.
    :ivar asked: the uploads that were to be aborted.
    """

    def __init__(self, ledger: IUploadLedger) -> None:
        self._ledger = ledger
        self.problem: Exception | None = None
        self.asked: list[str] = []
        self.begin_all, self.commit_all = ledger.begin_all, ledger.commit_all

    def abort(self, upload: str, reason: str) -> Deferred[None]:
        self.asked.append(upload)
        return self._ledger.abort(upload, reason) if self.problem is None else fail(self.problem)


class Place:
    """Uploads under way in a catalog in memory."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.catalog = JournalledCatalog(MemoryJournal(), wall_of(self.clock), self.clock, front="front")
        self.ledger = Ledger(self.catalog.ledger)
        self.woken = 0
        self.aborts = LaterAborts(self.ledger, self._wake, self.clock)

    def _wake(self) -> None:
        self.woken += 1

    async def start(self) -> Place:
        await self.catalog.start()
        for upload in (A, B):
            await begin(self.aborts, upload, f"/{upload}", NODES)
        return self

    async def under_way(self) -> int:
        return (await self.catalog.statistics()).uploads


@pytest_twisted.ensureDeferred
async def test_uploads_are_aborted_as_soon_as_something_can_be_changed_again() -> None:
    here = await Place().start()
    here.ledger.problem = CatalogSuspended("no lease")
    for upload in (A, B):
        with pytest.raises(CatalogSuspended):
            await here.aborts.abort(upload, "the client has left")
    here.clock.advance(1)
    assert (await here.under_way(), here.woken) == (2, 0)
    here.ledger.problem = None
    here.clock.advance(1)
    assert (await here.under_way(), here.woken) == (0, 2)
    assert set(await doomed_parts(here.catalog.doomed_parts)) == set(NODES)
    asked = list(here.ledger.asked)
    here.clock.advance(10)
    assert here.ledger.asked == asked


@pytest_twisted.ensureDeferred
async def test_an_upload_that_was_committed_after_all_is_left_alone() -> None:
    here = await Place().start()
    here.ledger.problem = CatalogSuspended("no lease")
    with pytest.raises(CatalogSuspended):
        await here.aborts.abort(A, "the client has left")
    assert await commit(here.aborts, "/file", manifest(A))
    here.ledger.problem = None
    here.clock.advance(1)
    assert await here.catalog.lookup("/file") == manifest(A)
    assert await doomed_parts(here.catalog.doomed_parts) == {}


@pytest_twisted.ensureDeferred
async def test_nothing_is_repeated_once_the_journal_has_failed_or_the_front_stops() -> None:
    here = await Place().start()
    for end in (CatalogReadOnly("the disk is broken"), None):
        here.ledger.problem = CatalogSuspended("no lease")
        with pytest.raises(CatalogSuspended):
            await here.aborts.abort(A, "the client has left")
        if end is None:
            await here.aborts.stop()
        here.ledger.problem = end
        here.clock.advance(1)
        asked = list(here.ledger.asked)
        here.clock.advance(10)
        assert here.ledger.asked == asked
    assert await here.under_way() == 2
