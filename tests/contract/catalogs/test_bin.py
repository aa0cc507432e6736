"""The bin: what is deleted lies there with all that it had, and is restored or purged in one step."""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from splitd.errors import BadName, CatalogReadOnly, Locked, NameTaken, NotFound, PreconditionFailed
from splitd.interfaces.keys import KeyCopy
from splitd.interfaces.names import AskedLayout
from splitd.model.binned import BIN, Binned, first_key
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.holdings import PartCopy
from splitd.model.manifest import Manifest
from splitd.model.properties import LAYOUT, PropertyChanges, write_layout
from storaged.parts.format import PartId
from tests.catalogs import A, B, C, doomed
from tests.contract.catalogs.front import Front
from tests.contract.catalogs.locking import holding, lock
from tests.doomed import confirm_all

NAMES = ["/", "/c", "/c/d", "/c/f", "/g"]


def shown(names: list[str]) -> list[str]:
    """The names that lie elsewhere than in the bin."""
    return [name for name in names if not name.startswith("/.splitd")]


async def names(front: Front) -> list[str]:
    return shown(await front.names())


async def listed(front: Front, limit: int = 2) -> list[str]:
    """The old paths of all that is in the bin, page by page."""
    found: list[Binned] = []
    while True:
        page = await front.bin.page(found[-1].key if found else "", limit)
        found += page
        if len(page) < limit:
            return [each.path for each in found]


@pytest_twisted.ensureDeferred
async def test_a_tree_is_deleted_and_restored_with_all_that_it_had(furnished: Front) -> None:
    """The file in it has its version, its headers, its time and its properties as before."""
    await furnished.namespace.change_properties("/c/f", PropertyChanges({"a": "<a/>"}, ()), ALWAYS)
    await furnished.namespace.change_properties("/c", PropertyChanges({"b": "<b/>"}, ()), ALWAYS)
    before = await furnished.walk()
    binned = await furnished.bin.put("/c", ALWAYS, "anna")
    assert (binned.path, binned.user, binned.is_collection, binned.bytes, binned.files) == ("/c", "anna", True, 10, 1)
    assert binned.deleted_ms == 1000
    assert await names(furnished) == ["/", "/g"]
    again = await furnished.restart()
    assert await again.bin.find(binned.key) == binned
    assert await again.bin.page("", 9) == [binned]
    await again.bin.restore(binned, "/c")
    last = await again.restart()
    after = {path: entry for path, entry in (await last.walk()).items() if not path.startswith("/.splitd")}
    assert after.keys() == before.keys()
    assert {path: after[path] for path in after if path != "/"} == {path: before[path] for path in after if path != "/"}
    details = await last.namespace.details(["/c/f", "/c"])
    assert [dict(each.properties) for each in details] == [{"a": "<a/>"}, {"b": "<b/>"}]
    assert await last.bin.page("", 9) == []
    assert await last.bin.find(binned.key) is None
    assert await last.doomed() == {}


@pytest_twisted.ensureDeferred
async def test_what_is_in_the_bin_is_counted_and_purged_once(furnished: Front) -> None:
    binned = await furnished.bin.put("/c", ALWAYS, "")
    assert (await furnished.statistics()).files == 2
    assert await furnished.doomed() == {}
    assert await furnished.bin.purge(binned) is True
    assert await furnished.bin.purge(binned) is False
    assert await furnished.doomed() == doomed(A)
    await confirm_all(furnished.doomed_parts)
    again = await furnished.restart()
    assert (await again.statistics()).files == 1
    assert await again.names() == ["/", "/.splitd", BIN, "/g"]
    with pytest.raises(NotFound, match="/c: it is not in the bin any more"):
        await again.bin.restore(binned, "/c")


@pytest_twisted.ensureDeferred
async def test_of_two_that_restore_the_same_one_wins(furnished: Front) -> None:
    binned = await furnished.bin.put("/c", ALWAYS, "")
    furnished.place.hold()
    both = [furnished.bin.restore(binned, target) for target in ("/one", "/two")]
    furnished.place.release()
    results = [await outcome(each) for each in both]
    assert results.count(None) == 1
    assert [type(each) for each in results if each is not None] == [NotFound]
    winner = ("/one", "/two")[results.index(None)]
    assert await names(furnished) == sorted(["/", "/g", winner, f"{winner}/d", f"{winner}/f"])


async def outcome(change: Deferred[None]) -> Exception | None:
    try:
        await change
    except NotFound as problem:
        return problem
    return None


@pytest_twisted.ensureDeferred
async def test_a_purge_and_a_restore_at_the_same_time_lose_nothing_and_keep_nothing_twice(furnished: Front) -> None:
    binned = await furnished.bin.put("/c", ALWAYS, "")
    furnished.place.hold()
    purged, restored = furnished.bin.purge(binned), furnished.bin.restore(binned, "/c")
    furnished.place.release()
    won, lost = await purged, await outcome(restored)
    assert won is (lost is not None)
    assert await names(furnished) == (["/", "/g"] if won else NAMES)
    assert await furnished.doomed() == (doomed(A) if won else {})


@pytest_twisted.ensureDeferred
async def test_missing_collections_are_made_again_as_if_somebody_had_made_them(furnished: Front) -> None:
    """They stay when what was restored is deleted."""
    file = await furnished.bin.put("/c/f", ALWAYS, "")
    await furnished.catalog.delete("/c", ALWAYS)
    await furnished.bin.restore(file, "/c/f")
    assert await names(furnished) == ["/", "/c", "/c/f", "/g"]
    await furnished.catalog.delete("/c/f", ALWAYS)
    assert await names(await furnished.restart()) == ["/", "/c", "/g"]


@pytest_twisted.ensureDeferred
async def test_nothing_is_restored_over_what_is_there(furnished: Front) -> None:
    tree, file = await furnished.bin.put("/c", ALWAYS, ""), await furnished.bin.put("/g", ALWAYS, "")
    await furnished.put("/c", C)
    with pytest.raises(NameTaken, match="/c is there already"):
        await furnished.bin.restore(tree, "/c")
    with pytest.raises(NameTaken, match="/c is a file, and /c/x would lie in it"):
        await furnished.bin.restore(file, "/c/x")
    for target in ("/", "relative", "/.splitd/x", "/a//b"):
        with pytest.raises((NameTaken, BadName)):
            await furnished.bin.restore(tree, target)
    await furnished.bin.restore(tree, "/other/c")
    assert await names(furnished) == ["/", "/c", "/other", "/other/c", "/other/c/d", "/other/c/f"]
    assert await listed(furnished) == ["/g"]


@pytest_twisted.ensureDeferred
async def test_a_path_that_would_be_too_long_is_refused(furnished: Front) -> None:
    await furnished.catalog.delete("/c", ALWAYS)
    folder = "/c"
    await furnished.catalog.make_collection(folder)
    for _ in range(16):
        folder += "/" + "x" * 250
        await furnished.catalog.make_collection(folder)
    last = folder + "/" + "y" * (4095 - len(folder))  # the longest path that there may be
    await furnished.put(last, C)
    binned = await furnished.bin.put("/c", ALWAYS, "")
    with pytest.raises(BadName, match="4096 bytes below /ccc"):
        await furnished.bin.restore(binned, "/ccc")
    await furnished.bin.restore(binned, "/c")
    found = await furnished.catalog.lookup(last)
    assert isinstance(found, Manifest)
    assert found.upload == C


@pytest_twisted.ensureDeferred
async def test_the_last_deletion_comes_first(furnished: Front) -> None:
    for number in range(5):
        furnished.clock.advance(1.0)
        await furnished.put(f"/{number}", f"{number}" * 32)
        await furnished.bin.put(f"/{number}", ALWAYS, "")
    assert await listed(furnished) == ["/4", "/3", "/2", "/1", "/0"]
    assert await listed(await furnished.restart(), limit=9) == ["/4", "/3", "/2", "/1", "/0"]
    old = await furnished.bin.page(first_key(4000), 9)
    assert [(each.path, each.deleted_ms) for each in old] == [("/2", 4000), ("/1", 3000), ("/0", 2000)]


@pytest_twisted.ensureDeferred
async def test_the_same_path_is_in_the_bin_as_often_as_it_was_deleted(furnished: Front) -> None:
    first = await furnished.bin.put("/g", ALWAYS, "")
    await furnished.put("/g", C)
    second = await furnished.bin.put("/g", ALWAYS, "")
    assert first.key != second.key
    await furnished.bin.restore(first, "/g")
    found = await furnished.catalog.lookup("/g")
    assert isinstance(found, Manifest)
    assert found.upload == B
    assert await furnished.bin.page("", 9) == [second]


@pytest_twisted.ensureDeferred
async def test_conditions_and_locks_are_judged_as_for_a_deletion(furnished: Front) -> None:
    await lock(furnished, "/c/f", "urn:1")
    with pytest.raises(Locked):
        await furnished.bin.put("/c", ALWAYS, "")
    with pytest.raises(PreconditionFailed):
        await furnished.bin.put("/g", Condition(match=('"other"',)), "")
    for path in ("/", "/none", "/.splitd", BIN, f"{BIN}/x"):
        with pytest.raises((BadName, NotFound)):
            await furnished.bin.put(path, ALWAYS, "")
    assert await furnished.bin.page("", 9) == []
    binned = await furnished.bin.put("/c", holding("urn:1", path="/c/f"), "")
    await furnished.catalog.make_collection("/c")
    await lock(furnished, "/c", "urn:2", deep=True)
    with pytest.raises(Locked):
        await furnished.bin.restore(binned, "/c/new/c")
    await furnished.locks.unlock("/c", "urn:2", ALWAYS)
    await furnished.bin.restore(binned, "/c/new/c")
    assert [list(each.locks) for each in await furnished.namespace.details(["/c/new/c/f"])] == [[]]


@pytest_twisted.ensureDeferred
async def test_no_change_of_a_client_reaches_what_is_in_the_bin(furnished: Front) -> None:
    binned = await furnished.bin.put("/g", ALWAYS, "")
    path = binned.lies_at
    changes = (
        lambda: furnished.catalog.delete(path, ALWAYS),
        lambda: furnished.catalog.make_collection(f"{BIN}/x"),
        lambda: furnished.catalog.admit(path, ALWAYS),
        lambda: furnished.namespace.move(path, "/g", ALWAYS, overwrite=True),
        lambda: furnished.namespace.copy(path, "/g", ALWAYS, deep=True, overwrite=True),
        lambda: furnished.namespace.move("/c", path, ALWAYS, overwrite=True),
        lambda: furnished.namespace.change_properties(path, PropertyChanges({"a": "<a/>"}, ()), ALWAYS),
        lambda: furnished.keys.delete_key(path, ALWAYS),
        lambda: furnished.keys.copy_key(KeyCopy(path, "/c/x")),
        lambda: furnished.keys.delete_empty(BIN, ALWAYS),
        lambda: lock(furnished, f"{BIN}/new", "urn:3"),
    )
    for change in changes:
        with pytest.raises(BadName, match="what the server needs for itself"):
            await change()
    await furnished.bin.restore(binned, "/g")
    assert await names(furnished) == NAMES


@pytest_twisted.ensureDeferred
async def test_implied_collections_go_and_come_with_their_keys(furnished: Front) -> None:
    await furnished.put_key("/c/p/q/key", C)
    binned = await furnished.bin.put("/c/p/q/key", ALWAYS, "")
    assert await names(furnished) == NAMES
    await furnished.bin.restore(binned, "/c/p/q/key")
    assert await names(furnished) == [*NAMES[:-1], "/c/p", "/c/p/q", "/c/p/q/key", "/g"]


@pytest_twisted.ensureDeferred
async def test_a_collection_beside_a_file_of_its_name_comes_back_beside_it(furnished: Front) -> None:
    await furnished.put_key("/c/f/inside", C)
    binned = await furnished.bin.put("/c/f/", ALWAYS, "")
    assert await names(furnished) == NAMES
    await furnished.bin.restore(binned, binned.path)
    found = await furnished.catalog.lookup("/c/f/inside")
    assert isinstance(found, Manifest)
    file = await furnished.catalog.lookup("/c/f")
    assert isinstance(file, Manifest)
    assert file.upload == A


@pytest_twisted.ensureDeferred
async def test_a_file_in_the_bin_has_the_layout_that_its_collection_asks_for(furnished: Front) -> None:
    changes = PropertyChanges({LAYOUT: write_layout("4+2")}, ())
    await furnished.namespace.change_properties("/c", changes, ALWAYS)
    inner = await furnished.bin.put("/c/d", ALWAYS, "")
    assert await furnished.namespace.asked_layout(inner.lies_at) == AskedLayout("4+2", "/c")
    outer = await furnished.bin.put("/c", ALWAYS, "")
    assert await furnished.namespace.asked_layout(outer.lies_at) == AskedLayout("4+2", outer.lies_at)
    assert await furnished.namespace.asked_layout(inner.lies_at) == AskedLayout()


@pytest_twisted.ensureDeferred
async def test_a_part_of_a_file_in_the_bin_is_known_moved_and_missed(furnished: Front) -> None:
    """As that of any other file: it is no orphan, a copy on another node takes its place, and a lost one is healed."""
    binned = await furnished.bin.put("/c", ALWAYS, "")
    assert [found and found.upload for found in await furnished.versions.find_all([A])] == [A]
    assert list(await furnished.ledger.orphans("a", [PartId(A, 0), PartId(C, 0)])) == [PartId(C, 0)]
    copy = PartCopy(A, 0, "z")
    await furnished.part_moves.begin_move(copy)
    await furnished.part_moves.commit_move(copy)
    await furnished.bin.restore(binned, "/c")
    found = await furnished.catalog.lookup("/c/f")
    assert isinstance(found, Manifest)
    assert found.nodes[0] == "z"


@pytest_twisted.ensureDeferred
async def test_a_copy_in_the_bin_keeps_the_parts_of_the_version(furnished: Front) -> None:
    await furnished.namespace.copy("/g", "/copy", ALWAYS, deep=True, overwrite=False)
    binned = await furnished.bin.put("/copy", ALWAYS, "")
    await furnished.catalog.delete("/g", ALWAYS)
    again = await furnished.restart()
    assert await again.doomed() == {}
    await again.bin.purge(binned)
    assert await again.doomed() == doomed(B)


@pytest_twisted.ensureDeferred
async def test_it_is_in_the_bin_when_that_is_durable(furnished: Front) -> None:
    furnished.place.hold()
    waiting = furnished.bin.put("/c", ALWAYS, "")
    await furnished.place.held()
    assert await furnished.bin.page("", 9) == []
    assert await names(furnished) == NAMES
    furnished.place.release()
    binned = await waiting
    assert await furnished.bin.page("", 9) == [binned]


@pytest_twisted.ensureDeferred
async def test_a_catalog_that_cannot_be_written_changes_nothing(furnished: Front) -> None:
    binned = await furnished.bin.put("/g", ALWAYS, "")
    furnished.place.fail()
    for change in (
        lambda: furnished.bin.put("/c", ALWAYS, ""),
        lambda: furnished.bin.restore(binned, "/g"),
        lambda: furnished.bin.purge(binned),
    ):
        with pytest.raises(CatalogReadOnly):
            await change()
