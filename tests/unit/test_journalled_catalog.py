from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from splitd.errors import (
    BadName,
    CatalogReadOnly,
    NameTaken,
    NotACollection,
    NotAFile,
    NotFound,
    ParentMissing,
    PreconditionFailed,
    SplitdError,
    UploadAborted,
)
from splitd.interfaces.catalog import Admitted, ICatalog
from splitd.interfaces.uploads import IUploadLedger
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.holdings import PartCopy
from splitd.model.records import JournalOpened, encode_line
from splitd.model.tree import Collection
from storaged.parts.format import PartId
from tests.fired import fired
from tests.ledger import begin, commit
from tests.unit.catalogs import NEW, NODES, A, B, C, Front, doomed, manifest, started, walk


def test_it_provides_what_it_says() -> None:
    catalog = Front().catalog
    verifyObject(ICatalog, catalog)
    verifyObject(IUploadLedger, catalog.ledger)


@pytest_twisted.ensureDeferred
async def test_a_new_cluster_gets_an_id_and_keeps_it() -> None:
    front = Front()
    await front.start()
    assert await front.catalog.cluster() == "d" * 32
    assert front.folder.lines == [encode_line(1, 0, JournalOpened(1, "d" * 32, 1000))]
    front = await front.restart()
    assert await front.catalog.cluster() == "d" * 32
    assert len(front.folder.lines) == 1


@pytest_twisted.ensureDeferred
async def test_a_file_is_seen_once_it_is_committed() -> None:
    front = await started()
    assert await front.catalog.lookup("/f") is None
    assert await front.put("/f", A) is True
    assert await front.catalog.lookup("/f") == manifest(A)
    assert await front.put("/f", B) is False
    assert await front.catalog.lookup("/f") == manifest(B)


@pytest_twisted.ensureDeferred
async def test_no_change_is_seen_before_its_sync() -> None:
    front = await started()
    await front.put("/old", A)
    front.journal.hold()
    changes: list[Deferred[Any]] = [front.put("/f", B)]
    changes += [front.catalog.make_collection("/c"), front.catalog.delete("/old", ALWAYS)]
    assert list(await walk(front.catalog)) == ["/", "/old"]
    assert await front.doomed() == {}
    assert not any(change.called for change in changes)
    front.journal.release()
    assert all(change.called for change in changes)
    assert sorted(await walk(front.catalog)) == ["/", "/c", "/f"]
    assert await front.doomed() == doomed(A)


@pytest_twisted.ensureDeferred
async def test_of_many_who_create_one_name_exactly_one_wins() -> None:
    front = await started()
    front.journal.hold()
    racing = [front.put("/f", f"{number:032x}", NEW) for number in range(2000)]
    front.journal.release()
    assert await racing[0] is True
    for lost in racing[1:]:
        with pytest.raises(PreconditionFailed, match="/f: If-None-Match does not hold"):
            await lost
    assert await front.catalog.lookup("/f") == manifest(f"{0:032x}")
    assert fired(front.catalog.statistics()).changes == 0


@pytest_twisted.ensureDeferred
async def test_a_condition_is_judged_against_what_was_committed_just_before() -> None:
    front = await started()
    await front.put("/f", A)
    front.journal.hold()
    same = Condition(match=(manifest(A).etag,))
    first, second = front.put("/f", B, same), front.put("/f", C, same)
    front.journal.release()
    assert await first is False
    with pytest.raises(PreconditionFailed, match="/f: If-Match does not hold"):
        await second
    assert await front.catalog.lookup("/f") == manifest(B)


@pytest_twisted.ensureDeferred
async def test_files_in_one_collection_share_a_sync() -> None:
    front = await started()
    uploads = [f"{number:032x}" for number in range(100)]
    for upload in uploads:
        await begin(front.catalog.ledger, upload, f"/{upload}", NODES)
    before = len(front.folder.lines)
    front.journal.hold()
    changes = [commit(front.catalog.ledger, f"/{upload}", manifest(upload), NEW) for upload in uploads]
    assert len(front.folder.lines) == before + 100  # all are handed to the journal: nobody waits for another
    front.journal.release()
    assert all(change.called for change in changes)
    assert fired(front.catalog.statistics()).files == 100


@pytest_twisted.ensureDeferred
async def test_a_file_waits_for_the_collection_that_is_being_made() -> None:
    front = await started()
    front.journal.hold()
    made, put = front.catalog.make_collection("/c"), front.put("/c/f", A)
    front.journal.release()
    await made
    assert await put is True


@pytest_twisted.ensureDeferred
async def test_a_file_is_not_put_into_a_collection_that_is_being_deleted() -> None:
    front = await started()
    await front.catalog.make_collection("/c")
    front.journal.hold()
    deleted, put = front.catalog.delete("/c", ALWAYS), front.put("/c/f", A)
    front.journal.release()
    await deleted
    with pytest.raises(ParentMissing, match="there is no collection /c"):
        await put
    assert fired(front.catalog.statistics()).uploads == 1


@pytest_twisted.ensureDeferred
async def test_a_collection_takes_with_it_the_file_that_was_on_its_way() -> None:
    front = await started()
    await front.catalog.make_collection("/c")
    front.journal.hold()
    put, deleted = front.put("/c/f", A), front.catalog.delete("/c", ALWAYS)
    front.journal.release()
    await put
    await deleted
    assert await front.doomed() == doomed(A)


@pytest_twisted.ensureDeferred
async def test_the_replaced_version_is_doomed_until_its_parts_are_gone() -> None:
    front = await started()
    await front.put("/f", A)
    await front.put("/f", B)
    assert await front.doomed() == doomed(A)
    front = await front.restart()
    assert await front.doomed() == doomed(A)
    await front.confirm(doomed(A))
    assert await front.doomed() == {}
    front = await front.restart()
    assert await front.doomed() == {}


@pytest_twisted.ensureDeferred
async def test_deleting_a_collection_dooms_all_under_it() -> None:
    front = await started()
    await front.catalog.make_collection("/c")
    await front.catalog.make_collection("/c/d")
    await front.put("/c/d/f", A)
    await front.put("/c/g", B)
    await front.put("/h", C)
    await front.catalog.delete("/c", ALWAYS)
    assert await front.doomed() in (doomed(A, B), doomed(B, A))
    assert list(await walk(front.catalog)) == ["/", "/h"]


@pytest_twisted.ensureDeferred
async def test_doomed_parts_are_listed_oldest_first_and_no_more_than_asked_for() -> None:
    front = await started()
    for upload in (C, A, B):
        await begin(front.catalog.ledger, upload, "/f", NODES)
        await front.catalog.ledger.abort(upload, "the client left")
    page = await front.catalog.doomed_parts.doomed_on("b", "", 2)
    assert page.parts == [PartId(C, 1), PartId(A, 1)]
    assert await front.doomed() == doomed(C, A, B)


@pytest_twisted.ensureDeferred
async def test_uploads_of_before_a_restart_are_aborted() -> None:
    front = await started()
    await begin(front.catalog.ledger, A, "/f", NODES)
    assert fired(front.catalog.statistics()).uploads == 1
    front = await front.restart()
    assert fired(front.catalog.statistics()).uploads == 0
    assert await front.doomed() == doomed(A)
    assert b'"reason":"splitd was restarted"' in front.folder.lines[-1]
    with pytest.raises(UploadAborted, match=f"upload {A} is not under way"):
        await commit(front.catalog.ledger, "/f", manifest(A), ALWAYS)


@pytest_twisted.ensureDeferred
async def test_what_the_front_itself_has_under_way_is_not_abandoned() -> None:
    front = await Front(front="front 1").start()
    await front.put("/f", A)
    await begin(front.catalog.ledger, B, "/g", NODES)
    await front.catalog.part_moves.begin_move("/f", PartCopy(A, 0, "g"))
    await front.journal.close()
    again = await Front(front.folder, "front 1").start()
    assert await again.catalog.ledger.abort_abandoned() == 0
    await again.catalog.part_moves.commit_move("/f", PartCopy(A, 0, "g"))
    assert await commit(again.catalog.ledger, "/g", manifest(B))
    assert await (await again.restart()).catalog.ledger.abort_abandoned() == 0


@pytest_twisted.ensureDeferred
async def test_an_upload_may_be_aborted_again_and_never_begun() -> None:
    front = await started()
    await front.catalog.ledger.abort(A, "never begun")
    await begin(front.catalog.ledger, B, "/f", NODES)
    await front.catalog.ledger.abort(B, "a reason with a lone surrogate: \ud800")
    lines = len(front.folder.lines)
    await front.catalog.ledger.abort(B, "again")
    await front.confirm(doomed(C))
    assert len(front.folder.lines) == lines
    assert await front.doomed() == doomed(B)


@pytest_twisted.ensureDeferred
async def test_an_abort_while_the_commit_waits_for_its_sync_changes_nothing() -> None:
    front = await started()
    front.journal.hold()
    put, aborted = front.put("/f", A), front.catalog.ledger.abort(A, "too late")
    front.journal.release()
    assert await put is True
    await aborted
    assert await front.catalog.lookup("/f") == manifest(A)
    assert await front.doomed() == {}


@pytest_twisted.ensureDeferred
async def test_parts_on_nodes_that_were_not_noted_are_refused() -> None:
    front = await started()
    await begin(front.catalog.ledger, A, "/f", NODES)
    with pytest.raises(ValueError, match=f"upload {A} was begun on"):
        await commit(front.catalog.ledger, "/f", manifest(A, nodes=tuple("abcdeX")), ALWAYS)
    with pytest.raises(ValueError, match=f"upload {A} was begun already"):
        await begin(front.catalog.ledger, A, "/f", NODES)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("path", "error"),
    [("/", NotAFile), ("/c", NotAFile), ("/f/x", ParentMissing), ("/x/y", ParentMissing), ("x", BadName)],
)
async def test_a_file_goes_only_where_a_file_can_be(path: str, error: type[Exception]) -> None:
    front = await started()
    await front.catalog.make_collection("/c")
    await front.put("/f", A)
    await begin(front.catalog.ledger, B, "/f", NODES)
    with pytest.raises(error):
        await commit(front.catalog.ledger, path, manifest(B), Condition(match=("nothing",)))


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("path", "error"),
    [("/", NameTaken), ("/c", NameTaken), ("/f", NameTaken), ("/f/x", ParentMissing), ("/x/y", ParentMissing)],
)
async def test_a_collection_is_made_only_where_nothing_is(path: str, error: type[Exception]) -> None:
    front = await started()
    await front.catalog.make_collection("/c")
    await front.put("/f", A)
    with pytest.raises(error):
        await front.catalog.make_collection(path)


@pytest_twisted.ensureDeferred
async def test_a_collection_tells_when_it_was_made() -> None:
    front = await started()
    front.clock.advance(7.25)
    assert await front.catalog.make_collection("/c") == Collection(8250, 8250)
    assert await front.catalog.lookup("/c") == Collection(8250, 8250)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("path", "condition", "error"),
    [
        ("/", ALWAYS, BadName),
        ("/x", ALWAYS, NotFound),
        ("/x", Condition(match=("*",)), NotFound),
        ("/f", Condition(match=('"other"',)), PreconditionFailed),
        ("/c", NEW, PreconditionFailed),
    ],
)
async def test_what_cannot_be_deleted_stays(path: str, condition: Condition, error: type[Exception]) -> None:
    front = await started()
    await front.catalog.make_collection("/c")
    await front.put("/f", A)
    before = await walk(front.catalog)
    with pytest.raises(error):
        await front.catalog.delete(path, condition)
    assert await walk(front.catalog) == before


@pytest_twisted.ensureDeferred
async def test_who_is_admitted_learns_which_version_a_file_would_replace() -> None:
    front = await started()
    assert await front.catalog.admit("/f", NEW) == Admitted(None, NEW)
    await front.put("/f", A)
    assert await front.catalog.admit("/f", ALWAYS) == Admitted(manifest(A), ALWAYS)


@pytest.mark.parametrize("condition", [ALWAYS, NEW, Condition(match=("*",)), Condition(collections=("/f",))])
@pytest.mark.parametrize("path", ["/", "/c", "/f", "/new", "/c/new", "/f/x", "/x/y", "x", "/x/"])
@pytest_twisted.ensureDeferred
async def test_who_is_admitted_may_commit_and_who_is_not_hears_why(path: str, condition: Condition) -> None:
    front = await started()
    await front.catalog.make_collection("/c")
    await front.put("/f", A)
    outcomes = []
    for call in (lambda: front.catalog.admit(path, condition), lambda: front.put(path, B, condition)):
        try:
            await call()
        except SplitdError as problem:
            outcomes.append(type(problem))
        else:
            outcomes.append(None)
    admitted, committed = outcomes
    if admitted in {PreconditionFailed, NotACollection}:  # these are named first
        assert committed is not None
    else:
        assert admitted is committed


@pytest_twisted.ensureDeferred
async def test_nobody_is_admitted_once_nothing_can_be_changed() -> None:
    front = await started()
    front.journal.fail_next("the disk is full")
    with pytest.raises(CatalogReadOnly):
        await front.catalog.make_collection("/c")
    with pytest.raises(CatalogReadOnly, match="the disk is full"):
        await front.catalog.admit("/f", ALWAYS)
