"""What a cancelled change means: nothing is taken back, and what was not judged yet is not made."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred

from splitd.errors import NameTaken
from splitd.model.conditions import ALWAYS
from splitd.model.holdings import PartCopy
from splitd.model.manifest import Manifest
from splitd.model.properties import PropertyChanges
from splitd.model.tree import Collection
from storaged.parts.format import PartId
from tests.catalogs import NODES, A, B, C, doomed, manifest
from tests.contract.catalogs.front import Front
from tests.contract.catalogs.locking import holding, lock

NOTE = PropertyChanges({"a": "<a/>"}, ())
TO_G, TO_H = PartCopy(A, 2, "g"), PartCopy(A, 3, "h")

CHANGES: dict[str, Callable[[Front], Deferred[Any]]] = {
    "commit": lambda front: front.commit("/c/new", manifest(C)),
    "make": lambda front: front.catalog.make_collection("/c/new"),
    "delete": lambda front: front.catalog.delete("/c/d", ALWAYS),
    "move": lambda front: front.namespace.move("/c/d", "/e", ALWAYS, overwrite=True),
    "copy": lambda front: front.namespace.copy("/c", "/e", ALWAYS, deep=True, overwrite=True),
    "note": lambda front: front.namespace.change_properties("/c/d", NOTE, ALWAYS),
    "lock": lambda front: lock(front, "/c/d", "urn:2"),
    "refresh": lambda front: front.locks.refresh("/g", 500_000, holding("urn:1")),
    "unlock": lambda front: front.locks.unlock("/g", "urn:1", ALWAYS),
}

PART_CHANGES: dict[str, Callable[[Front], Deferred[Any]]] = {
    "begin a move": lambda front: front.part_moves.begin_move(TO_H),
    "commit a move": lambda front: front.part_moves.commit_move(TO_G),
    "lose": lambda front: front.heal_ledger.lose("b", [PartId(A, 1)], "no more"),
}


async def prepared(front: Front) -> None:
    """An upload, a move and a lock that changes are about."""
    await front.begin(C, "/c/new")
    await front.part_moves.begin_move(TO_G)
    await lock(front, "/g", "urn:1")


async def seen(front: Front) -> Any:
    """What there is to see of a catalog."""
    names = await front.walk()
    parts = [PartId(A, index) for index in range(6)]
    orphans = [await front.ledger.orphans(node, parts) for node in "abcdefgh"]
    return names, await front.namespace.details(list(names)), orphans, await front.doomed(), await front.statistics()


async def cancel_in_its_turn(front: Front, first: Callable[[], Deferred[Any]], change: Callable[[], Any]) -> None:
    """Cancel a change that waits for its turn behind the first one, which is made."""
    front.place.hold()
    made = first()
    await front.place.held()
    waits = change()
    assert not waits.called
    waits.cancel()
    with pytest.raises(CancelledError):
        await waits
    front.place.release()
    await made


@pytest.mark.parametrize("change", CHANGES)
@pytest_twisted.ensureDeferred
async def test_a_change_that_is_cancelled_while_it_waits_for_its_turn_is_not_made(
    furnished: Front, change: str
) -> None:
    await prepared(furnished)
    before = await seen(furnished)
    await cancel_in_its_turn(
        furnished,
        lambda: furnished.namespace.change_properties("/", PropertyChanges({}, ("none",)), ALWAYS),
        lambda: CHANGES[change](furnished),
    )
    assert await seen(furnished) == before
    await CHANGES[change](furnished)  # nobody waits for the cancelled one
    assert await seen(furnished) != before


@pytest.mark.parametrize("change", PART_CHANGES)
@pytest_twisted.ensureDeferred
async def test_a_change_of_a_part_that_is_cancelled_while_it_waits_for_its_turn_is_not_made(
    furnished: Front, change: str
) -> None:
    await prepared(furnished)
    await cancel_in_its_turn(
        furnished,
        lambda: furnished.heal_ledger.lose("a", [PartId(A, 0)], "the disk is gone"),
        lambda: PART_CHANGES[change](furnished),
    )
    found = await furnished.catalog.lookup("/c/f")
    assert isinstance(found, Manifest)
    assert found.nodes == ("", *NODES[1:])
    assert await furnished.ledger.orphans("h", [PartId(A, 3)]) == [PartId(A, 3)]
    before = await seen(furnished)
    await PART_CHANGES[change](furnished)  # nobody waits for the cancelled one
    assert await seen(furnished) != before


@pytest_twisted.ensureDeferred
async def test_those_behind_a_cancelled_change_keep_their_places(front: Front) -> None:
    for upload in (A, B, C):
        await front.begin(upload, "/f")
    front.place.hold()
    first, second, third = (front.commit("/f", manifest(upload)) for upload in (A, B, C))
    await front.place.held()
    second.cancel()
    with pytest.raises(CancelledError):
        await second
    front.place.release()
    assert await first is True
    assert await third is False
    assert await front.doomed() == doomed(A)
    await front.ledger.abort(B, "cancelled")
    assert (await front.statistics()).uploads == 0


@pytest_twisted.ensureDeferred
async def test_a_change_that_was_judged_before_it_is_cancelled_is_made_or_not_and_the_next_one_knows(
    front: Front,
) -> None:
    front.place.hold()
    made = front.catalog.make_collection("/c")
    await front.place.held()
    made.cancel()
    with pytest.raises(CancelledError):
        await made
    after = front.catalog.make_collection("/c")
    front.place.release()
    with suppress(NameTaken):  # the cancelled one was made
        await after
    found = await front.catalog.lookup("/c")
    assert isinstance(found, Collection)
    assert await (await front.restart()).catalog.lookup("/c") == found


@pytest_twisted.ensureDeferred
async def test_a_batch_of_which_one_commit_is_cancelled_commits_the_others(front: Front) -> None:
    for upload in (A, B):
        await front.begin(upload, "/f")
    front.place.hold()
    one, two = front.commit("/a", manifest(A)), front.commit("/b", manifest(B))
    await front.place.held()
    one.cancel()
    with pytest.raises(CancelledError):
        await one
    front.place.release()
    assert await two is True
    await front.ledger.abort(A, "the client left")
    names = await front.names()
    assert (await front.doomed() == {}) is ("/a" in names)
    assert "/b" in names


@pytest_twisted.ensureDeferred
async def test_uploads_whose_begin_was_cancelled_can_be_aborted(front: Front) -> None:
    front.place.hold()
    made = front.catalog.make_collection("/c")
    await front.place.held()
    begun = front.begin(A, "/f")
    begun.addErrback(lambda failure: failure.trap(CancelledError))
    begun.cancel()
    aborted = front.ledger.abort(A, "the client left")
    front.place.release()
    await made
    await aborted
    assert (await front.statistics()).uploads == 0
