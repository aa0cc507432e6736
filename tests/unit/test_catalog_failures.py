"""The journal under the catalog fails, or is not what it should be."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from splitd.catalog.journal.memory import MemoryFolder
from splitd.errors import (
    CatalogReadOnly,
    JournalDamaged,
)
from splitd.model.conditions import ALWAYS
from splitd.model.records import CollectionMade, JournalOpened, encode_line
from tests.catalogs import NODES, A, B, manifest, walk
from tests.fired import fired
from tests.ledger import begin
from tests.unit.catalogs import Front, started


@pytest_twisted.ensureDeferred
async def test_after_a_failed_append_nothing_changes_and_all_can_be_read() -> None:
    front = await started()
    await front.put("/f", A)
    front.journal.hold()
    waiting: list[Deferred[Any]] = [
        front.put("/g", B),
        front.catalog.delete("/g", ALWAYS),
        front.catalog.make_collection("/g/h"),
    ]
    front.journal.fail_next("no space left")
    waiting.append(front.catalog.make_collection("/c"))
    waiting.append(front.catalog.ledger.abort(B, "after the failure"))
    for change in waiting:
        with pytest.raises(CatalogReadOnly, match="no space left"):
            await change
    assert list(await walk(front.catalog)) == ["/", "/f"]
    assert fired(front.catalog.statistics()).changes == 0


@pytest_twisted.ensureDeferred
async def test_where_the_journal_cannot_be_written_the_files_can_be_read() -> None:
    front = await started()
    await front.put("/f", A)
    await begin(front.catalog.ledger, B, "/g", NODES)
    await front.journal.close()
    front = Front(front.folder)
    front.journal.fail_next("no space left")
    await front.start()
    assert await front.catalog.lookup("/f") == manifest(A)
    with pytest.raises(CatalogReadOnly, match="no space left"):
        await front.catalog.delete("/f", ALWAYS)


@pytest_twisted.ensureDeferred
async def test_a_cluster_that_cannot_be_written_down_does_not_begin() -> None:
    front = Front()
    front.journal.fail_next("no space left")
    with pytest.raises(CatalogReadOnly, match="no space left"):
        await front.start()
    assert await front.catalog.cluster() == ""


@pytest_twisted.ensureDeferred
async def test_a_journal_that_contradicts_itself_is_damaged() -> None:
    folder = MemoryFolder(
        [encode_line(1, 0, JournalOpened(1, "d" * 32, 1)), encode_line(2, 1, CollectionMade("/a/b", 1))]
    )
    with pytest.raises(JournalDamaged, match="line 2: collection-made /a/b: there is no collection /a"):
        await Front(folder).start()
