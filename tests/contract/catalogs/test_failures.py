"""Once a change cannot be made durable, nothing changes any more, and all can be read."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from splitd.errors import CatalogReadOnly
from splitd.model.conditions import ALWAYS
from tests.catalogs import A, B, C, manifest
from tests.contract.catalogs.front import Front


@pytest_twisted.ensureDeferred
async def test_after_a_failure_nothing_changes_and_all_can_be_read(front: Front) -> None:
    await front.put("/f", A)
    for upload, path in ((B, "/g"), (C, "/h")):
        await front.begin(upload, path)
    front.place.fail()
    with pytest.raises(CatalogReadOnly):
        await front.catalog.make_collection("/c")
    changes: list[Deferred[Any]] = [
        front.commit("/g", manifest(B)),
        front.catalog.delete("/f", ALWAYS),
        front.catalog.make_collection("/d"),
        front.namespace.move("/f", "/g", ALWAYS, overwrite=True),
        front.begin("d" * 32, "/i"),
        front.ledger.abort(C, "after the failure"),
    ]
    for change in changes:
        with pytest.raises(CatalogReadOnly):
            await change
    assert await front.walk() == {"/": await front.catalog.lookup("/"), "/f": manifest(A)}
    assert ((await front.statistics()).changes, (await front.statistics()).uploads) == (0, 2)


@pytest_twisted.ensureDeferred
async def test_all_that_wait_for_the_one_that_fails_fail_with_it(front: Front) -> None:
    await front.begin(A, "/c/f")
    front.place.fail()
    changes: list[Deferred[Any]] = [
        front.catalog.make_collection("/c"),
        front.commit("/c/f", manifest(A)),
        front.catalog.delete("/c", ALWAYS),
    ]
    for change in changes:
        with pytest.raises(CatalogReadOnly):
            await change
    assert await front.names() == ["/"]
