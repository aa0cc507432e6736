"""A file may be put without asking the database, where a front knows the collections: then the commit judges all."""

from __future__ import annotations

import re

import pytest
import pytest_twisted
from twisted.internet.defer import gatherResults

from splitd.catalog.sql.catalog import StoredCatalog
from splitd.errors import BadName, Locked, NotAFile, ParentMissing, UploadAborted
from splitd.interfaces.catalog import Admitted
from splitd.interfaces.uploads import Commit
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.locks import EXCLUSIVE, Lock
from splitd.model.properties import LAYOUT, PropertyChanges, write_layout
from splitd.model.quotas import Quota
from tests.catalogs import AS_KEY, NEW, NODES, A, B, C, manifest
from tests.contract.catalogs.both_fronts import Both
from tests.ledger import begin

D = "d" * 32


async def ask_for(front: StoredCatalog, path: str, layout: str) -> None:
    """Let a collection ask for a layout; for none if it is empty."""
    changes = PropertyChanges({LAYOUT: write_layout(layout)}, ()) if layout else PropertyChanges({}, (LAYOUT,))
    await front.namespace.change_properties(path, changes, ALWAYS)


async def put(front: StoredCatalog, path: str, upload: str) -> bool:
    """Put a file as one that may be put at once."""
    admitted = front.admit_at_once(path, ALWAYS)
    assert admitted is not None
    assert admitted.is_assumed
    await begin(front.ledger, upload, path, NODES)
    [committed] = front.ledger.commit_all([Commit(path, manifest(upload), ALWAYS, asked=admitted.layout)])
    return await committed


@pytest_twisted.ensureDeferred
async def test_a_file_may_be_put_at_once_where_the_front_has_put_one_before(both: Both) -> None:
    one, two = both.fronts
    await one.make_collection("/c")
    assert one.admit_at_once("/c/a", ALWAYS) is None
    await both.put(0, "/c/f", A)
    assert one.admit_at_once("/c/a", ALWAYS) == Admitted(None, ALWAYS, "", is_assumed=True)
    assert one.admit_at_once("/c/a", AS_KEY) == Admitted(None, AS_KEY, "", is_assumed=True)
    assert two.admit_at_once("/c/a", ALWAYS) is None
    assert await put(one, "/c/a", B)
    assert not await put(one, "/c/f", C)
    assert await two.lookup("/c/a") == manifest(B)
    assert await two.lookup("/c/f") == manifest(C)


@pytest.mark.parametrize(
    ("path", "condition"),
    [
        ("/unknown/f", ALWAYS),
        ("/c/f/", AS_KEY),
        ("/.splitd/f", ALWAYS),
        ("/c/g", NEW),
        ("/c/g", Condition(match=("*",))),
        ("/c/g", Condition(unmodified_since_s=1)),
        ("/c/g", Condition(collections=("/c/g",))),
    ],
)
@pytest_twisted.ensureDeferred
async def test_the_database_is_asked_where_something_may_speak_against_a_file(
    both: Both, path: str, condition: Condition
) -> None:
    await both.fronts[0].make_collection("/c")
    await both.put(0, "/c/f", A)
    assert both.fronts[0].admit_at_once(path, condition) is None


@pytest_twisted.ensureDeferred
async def test_what_is_no_path_is_refused_at_once(both: Both) -> None:
    await both.put(0, "/f", A)
    with pytest.raises(BadName):
        both.fronts[0].admit_at_once("/..", ALWAYS)


@pytest_twisted.ensureDeferred
async def test_the_database_is_asked_where_there_are_quotas(both: Both) -> None:
    front = both.fronts[0]
    await both.put(0, "/f", A)
    assert front.admit_at_once("/g", ALWAYS) is not None
    await front.quotas.set_quotas([Quota(10**6, ("/",))])
    assert front.admit_at_once("/g", ALWAYS) is None


@pytest_twisted.ensureDeferred
async def test_the_database_is_asked_after_a_lock_of_another_front_has_refused_a_file(both: Both) -> None:
    one, two = both.fronts
    await both.put(0, "/f", A)
    await two.locks.lock(Lock("/f", "urn:1", EXCLUSIVE, False, "", 1000, 2**52), ALWAYS, manifest(C))
    with pytest.raises(Locked):
        await put(one, "/f", B)
    assert one.admit_at_once("/g", ALWAYS) is None


@pytest.mark.parametrize("path", ["/f", "/g"], ids=["of a file", "free"])
@pytest_twisted.ensureDeferred
async def test_the_database_is_asked_no_more_once_a_front_has_seen_that_there_are_no_locks(
    both: Both, path: str
) -> None:
    one, two = both.fronts
    await both.put(0, "/f", A)
    await one.locks.lock(Lock("/f", "urn:1", EXCLUSIVE, False, "", 1000, 2**52), ALWAYS, manifest(C))
    assert one.admit_at_once("/g", ALWAYS) is None
    await one.admit("/g", ALWAYS)
    assert one.admit_at_once("/g", ALWAYS) is None
    await two.locks.unlock("/f", "urn:1", ALWAYS)
    await one.admit(path, ALWAYS)
    assert one.admit_at_once("/g", ALWAYS) is not None


@pytest.mark.parametrize("path", ["/c/d/new", "/c/d/f"], ids=["new", "replaced"])
@pytest.mark.parametrize("where", ["/c/d", "/c", "/"])
@pytest_twisted.ensureDeferred
async def test_a_file_is_refused_once_after_another_front_has_let_its_collection_ask_for_a_layout(
    both: Both, where: str, path: str
) -> None:
    one, two = both.fronts
    for folder in ("/c", "/c/d"):
        await one.make_collection(folder)
    await both.put(0, "/c/d/f", A)
    for layout, refused, stored in (("4+2", B, C), ("", C, D)):
        await ask_for(two, where, layout)
        before = await two.lookup(path)
        with pytest.raises(UploadAborted, match=re.escape(f"layout {layout or 'of the server'} by now")):
            await put(one, path, refused)
        assert await two.lookup(path) == before
        await one.ledger.abort(refused, "it was refused")
        both.rows("DELETE FROM doomed")
        admitted = one.admit_at_once(path, ALWAYS)
        assert admitted == Admitted(None, ALWAYS, layout, is_assumed=True)
        await put(one, path, stored)
        await two.delete(path, ALWAYS)
        both.rows("DELETE FROM doomed")


@pytest_twisted.ensureDeferred
async def test_other_properties_of_a_collection_refuse_nothing(both: Both) -> None:
    one, two = both.fronts
    await both.put(0, "/f", A)
    await two.namespace.change_properties("/", PropertyChanges({"{x:}y": "<y xmlns='x:'/>"}, ()), ALWAYS)
    assert await put(one, "/a", B)
    assert await put(one, "/b", C)


@pytest_twisted.ensureDeferred
async def test_a_file_is_refused_where_another_front_has_deleted_the_collection(both: Both) -> None:
    one, two = both.fronts
    await one.make_collection("/c")
    await both.put(0, "/c/f", A)
    await two.delete("/c", ALWAYS)
    with pytest.raises(ParentMissing):
        await put(one, "/c/a", B)
    assert one.admit_at_once("/c/b", ALWAYS) is None


@pytest_twisted.ensureDeferred
async def test_a_collection_that_is_found_missing_beside_removals_is_not_known_any_more(both: Both) -> None:
    one, two = both.fronts
    for folder in ("/c", "/d"):
        await one.make_collection(folder)
    for path, upload in (("/c/f", A), ("/d/f", C), ("/d/g", D)):
        await both.put(0, path, upload)
    await two.delete("/c", ALWAYS)
    await begin(one.ledger, B, "/c/a", NODES)
    removed = [one.delete("/d/f", ALWAYS)]  # perhaps its batch has begun before the others come
    [committed] = one.ledger.commit_all([Commit("/c/a", manifest(B), ALWAYS, asked="")])
    removed.append(one.delete("/d/g", ALWAYS))
    with pytest.raises(ParentMissing):
        await committed
    await gatherResults(removed)
    assert one.admit_at_once("/c/b", ALWAYS) is None
    assert one.admit_at_once("/d/b", ALWAYS) is not None


@pytest_twisted.ensureDeferred
async def test_the_database_is_asked_where_a_file_was_refused_until_one_is_stored_there(both: Both) -> None:
    one, two = both.fronts
    await both.put(0, "/f", A)
    await two.make_collection("/c")
    with pytest.raises(NotAFile):
        await put(one, "/c", B)
    assert one.admit_at_once("/c", ALWAYS) is None
    assert one.admit_at_once("/d", ALWAYS) is not None
    await two.delete("/c", ALWAYS)
    await both.put(0, "/c", C)
    assert one.admit_at_once("/c", ALWAYS) is not None
