"""Several fronts change one catalog in a database at the same time."""

from __future__ import annotations

import random
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from splitd.catalog.sql.catalog import StoredCatalog
from splitd.errors import (
    Entangled,
    NameTaken,
    NotFound,
    ParentMissing,
    PreconditionFailed,
    QuotaExceeded,
    SplitdError,
)
from splitd.interfaces.uploads import Commit, Start
from splitd.model.conditions import ALWAYS
from splitd.model.documents import Document
from splitd.model.locks import EXCLUSIVE, Lock
from splitd.model.quotas import Quota
from tests.catalogs import AS_KEY, NEW, NODES, A, B, manifest, walk
from tests.contract.catalogs.both_fronts import Both
from tests.ledger import begin, commit

RACES = 1000
_BATCH = 50
WITHOUT_PARENT = """SELECT count(*) FROM entry e
    WHERE e.parent NOT IN (-1, 0) AND NOT EXISTS (SELECT FROM entry p WHERE p.id = e.parent)"""


def ended(change: Deferred[Any]) -> Deferred[Any]:
    """Fires with the result, or with the kind of a refusal."""

    def refused(failure: Any) -> Any:
        failure.trap(SplitdError)
        return failure.type

    return change.addErrback(refused)


@pytest_twisted.ensureDeferred
async def test_each_of_a_thousand_names_is_created_by_one_front(both: Both) -> None:
    ledgers = [front.ledger for front in both.fronts]
    wins = [0, 0]
    for first in range(0, RACES, _BATCH):
        names = range(first, first + _BATCH)
        uploads = [[f"{front:02x}{number:030x}" for number in names] for front in (0, 1)]
        for ledger, of_front in zip(ledgers, uploads, strict=True):
            await ledger.begin_all([Start(upload, "/f", NODES) for upload in of_front])
        racing = [
            [ended(each) for each in ledger.commit_all([Commit(f"/{each}", manifest(upload), NEW) for each, upload in
                                                        zip(names, of_front, strict=True)])]
            for ledger, of_front in zip(ledgers, uploads, strict=True)
        ]  # fmt: skip
        for number, one, two in zip(names, *racing, strict=True):
            outcomes = [await one, await two]
            assert sorted(map(str, outcomes)) == sorted(map(str, [True, PreconditionFailed]))
            winner = outcomes.index(True)
            wins[winner] += 1
            found = await both.fronts[1 - winner].lookup(f"/{number}")
            assert found == manifest(uploads[winner][number - first])
    assert sum(wins) == RACES


@pytest_twisted.ensureDeferred
async def test_nothing_gets_lost_where_two_fronts_move_make_and_delete_trees(both: Both) -> None:
    chance = random.Random(7)
    names = [f"/x/{a}" for a in "ab"] + [f"/x/{a}/{b}" for a in "ab" for b in "cd"] + ["/x/a/c/e", "/x/b/d/e"]
    put: dict[str, str] = {}

    def change(front: StoredCatalog, number: int) -> Deferred[Any]:
        path, other = chance.choice(names), chance.choice(names)
        match chance.randrange(6):
            case 0:
                return front.make_collection(path)
            case 1:
                return front.namespace.move(path, other, ALWAYS, overwrite=chance.random() < 0.5)
            case 2:
                return front.delete(path, ALWAYS)
            case 3:
                return front.namespace.copy(path, other, ALWAYS, deep=True, overwrite=True)
            case 4:
                return front.keys.delete_key(f"{path}/f", ALWAYS)
            case _:
                upload, target = f"{number:032x}", f"{path}/f"
                put[upload] = target
                front.ledger.begin_all([Start(upload, target, NODES)]).addErrback(lambda _: None)
                [committed] = front.ledger.commit_all([Commit(target, manifest(upload), AS_KEY)])
                return committed

    await both.fronts[0].make_collection("/x")
    changes = [ended(change(both.fronts[number % 2], number)) for number in range(400)]
    refusals = {NotFound, NameTaken, ParentMissing, Entangled, PreconditionFailed}
    outcomes = [await each for each in changes]
    assert {each for each in outcomes if isinstance(each, type)} <= refusals
    assert any(outcome is True for outcome in outcomes)
    assert await walk(both.fronts[0]) == await walk(both.fronts[1])
    listed = {each.upload for each in (await both.fronts[0].keys.list_keys("/x", "", "", "", 1000)).keys} - {""}
    await both.fronts[0].doomed_parts.doomed_nodes()  # which waits until all is doomed
    assert both.rows(WITHOUT_PARENT) == [(0,)]
    gone = {upload.hex() for (upload,) in both.rows("SELECT DISTINCT upload FROM doomed")}
    assert listed | gone == set(put)
    assert not listed & gone


@pytest_twisted.ensureDeferred
async def test_what_is_put_into_a_collection_that_has_just_become_empty_is_kept(both: Both) -> None:
    await both.fronts[0].make_collection("/x")
    await both.put(0, "/x/a/b/f", A, AS_KEY)
    await begin(both.fronts[0].ledger, B, "/x/a/g", NODES)
    while both.fronts:
        await both.fronts.pop().close()
    again = both.new_front(1)
    both.fronts.append(again)
    # What waits when the front starts is made in one transaction.
    deleted = again.keys.delete_key("/x/a/b/f", ALWAYS)
    stored = commit(again.ledger, "/x/a/g", manifest(B), AS_KEY)
    await again.start()
    assert await deleted
    assert await stored
    assert both.rows(WITHOUT_PARENT) == [(0,)]
    assert await again.keys.find_key("/x/a/g") == manifest(B)
    assert await again.keys.find_key("/x/a/b/f") is None


@pytest_twisted.ensureDeferred
async def test_a_lock_of_one_front_holds_for_the_other(both: Both) -> None:
    one, two = both.fronts
    await one.make_collection("/c")
    requested = Lock("/c", "urn:1", EXCLUSIVE, True, "", 1000, 2**52)
    empty = manifest(A, size=0, nodes=())
    for front in both.fronts:
        await front.admit("/c/f", ALWAYS)
    taking = [ended(one.locks.lock(requested, ALWAYS, empty)), ended(two.locks.lock(
        attrs.evolve(requested, token="urn:2"), ALWAYS, empty))]  # fmt: skip
    outcomes = [await each for each in taking]
    assert outcomes.count(False) == 1
    for front in both.fronts:
        with pytest.raises(SplitdError, match="a lock on /c forbids it"):
            await front.make_collection("/c/d")
        with pytest.raises(SplitdError, match="a lock on /c forbids it"):
            await front.admit("/c/f", ALWAYS)


@pytest_twisted.ensureDeferred
async def test_two_fronts_do_not_exceed_a_quota_together(both: Both) -> None:
    await both.fronts[0].make_collection("/q")
    for front in both.fronts:
        await front.quotas.set_quotas([Quota("/q", ("/q",), files=10)])
    racing = [
        ended(Deferred.fromCoroutine(both.put(number % 2, f"/q/{number}", f"{number:032x}"))) for number in range(30)
    ]
    outcomes = [await each for each in racing]
    assert outcomes.count(True) == 10
    [use] = await both.fronts[1].quotas.usage()
    assert use.files == 10


@pytest_twisted.ensureDeferred
async def test_two_fronts_do_not_begin_more_uploads_together_than_a_quota_allows_files(both: Both) -> None:
    for front in both.fronts:
        await front.quotas.set_quotas([Quota("/q", ("/q",), files=10)])
    racing = [ended(both.fronts[number % 2].continued.begin(f"{number:032x}", "/q/f", "")) for number in range(30)]
    outcomes = [await each for each in racing]
    assert outcomes.count(None) == 10
    assert outcomes.count(QuotaExceeded) == 20
    await both.fronts[0].continued.begin(A, "/r", "")
    assert await both.fronts[1].continued.abort(f"{outcomes.index(None):032x}", "")
    await both.fronts[0].continued.begin(B, "/q/g", "")


@pytest_twisted.ensureDeferred
async def test_what_has_expired_leaves_no_rows(both: Both) -> None:
    one, two = both.fronts
    await one.make_collection("/a")
    both.rows("""INSERT INTO lock (token, path, place, scope, deep, owner, taken_ms, expires_ms, holder, serial)
        VALUES ('old', '/b', '/b', 'exclusive', false, '', 0, 1000, '', 1)""")
    empty = manifest(A, size=0, nodes=())
    await two.locks.lock(Lock("/a", "urn:1", EXCLUSIVE, False, "", 10_000_000, 2**52), ALWAYS, empty)
    assert both.rows("SELECT token FROM lock") == [("urn:1",)]
    both.rows("""INSERT INTO document (kind, key, owner, body, expires_ms, revision)
        SELECT 'login', convert_to(number::text, 'UTF8'), '', '', 1, number FROM generate_series(1, 900) AS number""")
    for number in range(2):
        await one.documents.put(Document("login", f"new {number}", "", ""))
    assert both.rows("SELECT count(*) FROM document") == [(2,)]


@pytest_twisted.ensureDeferred
async def test_a_front_whose_clock_is_ahead_drops_no_lock_of_others(both: Both) -> None:
    one, two = both.fronts
    for path in ("/a", "/b"):
        await one.make_collection(path)
    empty = manifest(A, size=0, nodes=())
    await one.locks.lock(Lock("/a", "urn:1", EXCLUSIVE, False, "", 0, 2**42), ALWAYS, empty)
    await two.locks.lock(Lock("/b", "urn:2", EXCLUSIVE, False, "", 2**43, 2**44), ALWAYS, empty)
    assert both.rows("SELECT token FROM lock ORDER BY token") == [("urn:1",), ("urn:2",)]
