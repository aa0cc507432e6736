"""Uploads: who is admitted, how they begin and end, and whose they are."""

from __future__ import annotations

import pytest
import pytest_twisted

from splitd.errors import (
    BadName,
    CatalogReadOnly,
    NotACollection,
    PreconditionFailed,
    SplitdError,
    UploadAborted,
)
from splitd.interfaces.catalog import Admitted
from splitd.interfaces.uploads import Commit, Start
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.holdings import PartCopy
from splitd.model.manifest import Manifest
from splitd.model.properties import LAYOUT, write_layout
from storaged.parts.format import PartId
from tests.catalogs import NEW, NODES, A, B, C, doomed, manifest
from tests.contract.catalogs.front import Front


@pytest_twisted.ensureDeferred
async def test_a_front_that_asks_learns_which_version_a_file_would_replace(front: Front) -> None:
    assert await front.catalog.admit("/f", NEW) == Admitted(None, NEW)
    await front.put("/f", A)
    assert await front.catalog.admit("/f", ALWAYS) == Admitted(manifest(A), ALWAYS)


@pytest.mark.parametrize("condition", [ALWAYS, NEW, Condition(match=("*",)), Condition(collections=("/f",))])
@pytest.mark.parametrize("path", ["/", "/c", "/f", "/new", "/c/new", "/f/x", "/x/y", "x", "/x/"])
@pytest_twisted.ensureDeferred
async def test_what_is_admitted_can_be_committed_and_what_is_not_cannot(
    front: Front, path: str, condition: Condition
) -> None:
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
async def test_nothing_is_admitted_once_nothing_can_be_changed(front: Front) -> None:
    front.place.fail()
    with pytest.raises(CatalogReadOnly):
        await front.catalog.make_collection("/c")
    with pytest.raises(CatalogReadOnly):
        await front.catalog.admit("/f", ALWAYS)


@pytest_twisted.ensureDeferred
async def test_many_uploads_begin_in_one_call_and_end_in_one(front: Front) -> None:
    uploads = [f"{number:032x}" for number in range(100)]
    await front.ledger.begin_all([Start(upload, f"/{upload}", NODES) for upload in uploads])
    assert (await front.statistics()).uploads == 100
    commits = [Commit(f"/{upload}", manifest(upload), NEW) for upload in uploads]
    assert [await committed for committed in front.ledger.commit_all(commits)] == [True] * 100
    assert ((await front.statistics()).uploads, (await front.statistics()).files) == (0, 100)
    again = await front.restart()
    assert [await again.catalog.lookup(f"/{upload}") for upload in uploads] == [manifest(each) for each in uploads]


@pytest_twisted.ensureDeferred
async def test_a_commit_that_fails_is_no_failure_of_the_others_and_its_upload_is_still_under_way(front: Front) -> None:
    uploads = [f"{number:032x}" for number in range(8)]
    await front.catalog.make_collection("/c")
    await front.ledger.begin_all([Start(upload, "/f", NODES) for upload in uploads])
    commits = [
        Commit("/1", manifest(uploads[0]), NEW),
        Commit("/1", manifest(uploads[1]), NEW),
        Commit("/1", manifest(uploads[2]), ALWAYS),
        Commit("/c", manifest(uploads[3]), ALWAYS),
        Commit("/x/y", manifest(uploads[4]), ALWAYS),
        Commit("no path", manifest(uploads[5]), ALWAYS),
        Commit("/2", manifest(A), ALWAYS),
        Commit("/3", manifest(uploads[6]), ALWAYS),
    ]
    outcomes: list[object] = []
    for committed in front.ledger.commit_all(commits):
        try:
            outcomes.append(await committed)
        except SplitdError as problem:
            outcomes.append(type(problem).__name__)
    failures = ["NotAFile", "ParentMissing", "BadName", "UploadAborted"]
    assert outcomes == [True, "PreconditionFailed", False, *failures, True]
    assert await front.names() == ["/", "/1", "/3", "/c"]
    assert (await front.statistics()).uploads == 5
    for upload in (uploads[1], *uploads[3:6]):
        await front.ledger.abort(upload, "refused")
    assert (await front.statistics()).uploads == 1


@pytest_twisted.ensureDeferred
async def test_an_empty_batch_ends_at_once(front: Front) -> None:
    await front.ledger.begin_all([])
    assert list(front.ledger.commit_all([])) == []


@pytest_twisted.ensureDeferred
async def test_a_batch_of_which_one_cannot_begin_fails_and_all_can_be_aborted(front: Front) -> None:
    await front.begin(A, "/f")
    with pytest.raises(ValueError, match=f"upload {A} was begun already"):
        await front.ledger.begin_all([Start(B, "/g", NODES), Start(A, "/f", NODES), Start(C, "/h", NODES)])
    with pytest.raises(BadName):
        await front.ledger.begin_all([Start("d" * 32, "no path", NODES)])
    for upload in (A, B, C, "d" * 32):
        await front.ledger.abort(upload, "not begun")
    assert (await front.statistics()).uploads == 0


@pytest_twisted.ensureDeferred
async def test_an_upload_that_begins_twice_in_a_batch_is_refused_and_harms_nothing(front: Front) -> None:
    with pytest.raises(ValueError, match="twice"):
        await front.ledger.begin_all([Start(A, "/f", NODES), Start(B, "/g", NODES), Start(A, "/h", NODES)])
    for upload in (A, B):
        await front.ledger.abort(upload, "not begun")
    assert (await front.statistics()).uploads == 0
    await front.begin(C, "/f")


@pytest_twisted.ensureDeferred
async def test_uploads_that_are_aborted_while_their_batch_is_written_are_aborted_after_it(front: Front) -> None:
    begun = front.ledger.begin_all([Start(A, "/f", NODES), Start(B, "/g", NODES)])
    aborted = front.ledger.abort(A, "the client has left")
    await begun
    await aborted
    assert (await front.statistics()).uploads == 1
    assert await front.doomed() == doomed(A)


@pytest_twisted.ensureDeferred
async def test_an_upload_may_be_aborted_again_and_never_begun(front: Front) -> None:
    await front.ledger.abort(A, "never begun")
    await front.begin(B, "/f")
    await front.ledger.abort(B, "a reason with a lone surrogate: \ud800")
    await front.ledger.abort(B, "again")
    assert await front.doomed() == doomed(B)
    assert await (await front.restart()).doomed() == doomed(B)


@pytest_twisted.ensureDeferred
async def test_an_abort_while_the_commit_is_under_way_changes_nothing(front: Front) -> None:
    await front.begin(A, "/f")
    front.place.hold()
    put, aborted = front.commit("/f", manifest(A)), front.ledger.abort(A, "too late")
    front.place.release()
    assert await put is True
    await aborted
    assert await front.catalog.lookup("/f") == manifest(A)
    assert await front.doomed() == {}


@pytest_twisted.ensureDeferred
async def test_parts_on_nodes_that_were_not_noted_are_refused(front: Front) -> None:
    await front.begin(A, "/f")
    with pytest.raises(ValueError, match=f"upload {A} was begun on"):
        await front.commit("/f", manifest(A, nodes=tuple("abcdeX")))


@pytest_twisted.ensureDeferred
async def test_the_parts_begun_for_a_file_that_is_empty_in_the_end_are_doomed(front: Front) -> None:
    await front.begin(A, "/f")
    await front.commit("/f", manifest(A, size=0, nodes=()))
    assert await front.doomed() == doomed(A)
    assert isinstance(await (await front.restart()).catalog.lookup("/f"), Manifest)


@pytest_twisted.ensureDeferred
async def test_a_front_that_starts_aborts_what_one_that_is_gone_left_under_way(front: Front) -> None:
    await front.put("/f", A)
    await front.begin(B, "/g")
    await front.part_moves.begin_move(copy := PartCopy(A, 2, "g"))
    await front.seams.close()
    again = await Front.start(front.place, 2)
    assert (await again.statistics()).uploads == 1
    assert await again.ledger.abort_abandoned() == 2
    assert (await again.statistics()).uploads == 0
    assert await again.doomed() == doomed(B) | {"g": [f"{A}.2"]}
    with pytest.raises(UploadAborted, match=f"upload {B} is not under way"):
        await again.commit("/g", manifest(B))
    await again.part_moves.abort_move(copy, "again")
    assert await (await again.restart()).doomed() == doomed(B) | {"g": [f"{A}.2"]}


@pytest_twisted.ensureDeferred
async def test_what_the_front_itself_has_under_way_is_not_abandoned(front: Front) -> None:
    await front.put("/f", A)
    await front.begin(B, "/g")
    await front.part_moves.begin_move(copy := PartCopy(A, 0, "g"))
    assert await front.ledger.abort_abandoned() == 0
    again = await front.reopen()
    assert await again.ledger.abort_abandoned() == 0
    await again.part_moves.commit_move(copy)
    assert await again.commit("/g", manifest(B))
    assert await (await again.restart()).ledger.abort_abandoned() == 0


@pytest_twisted.ensureDeferred
async def test_a_part_is_an_orphan_where_it_has_no_reason_to_lie(front: Front) -> None:
    await front.put("/f", A)
    await front.begin(B, "/g")
    await front.begin(C, "/h")
    await front.ledger.abort(C, "doomed")
    nobodys = PartId("d" * 32, 0)
    parts = [nobodys, *(PartId(upload, index) for upload in (A, B, C) for index in (0, 1, 6))]
    assert await front.ledger.orphans("a", parts) == [part for part in parts if part.index or part == nobodys]
    assert await front.ledger.orphans("z", parts) == parts
    again = await front.restart()
    assert await again.ledger.orphans("a", parts) == [part for part in parts if part.index or part == nobodys]


@pytest_twisted.ensureDeferred
async def test_a_file_is_refused_if_its_collection_asks_for_another_layout_than_it_was_cut_by(front: Front) -> None:
    await front.catalog.make_collection("/c", properties={LAYOUT: write_layout("4+2")})
    for path, asked in (("/f", "4+2"), ("/c/f", ""), ("/c/f", "6+0")):
        await front.begin(A, path)
        with pytest.raises(UploadAborted, match="by now"):
            await front.ledger.commit_all([Commit(path, manifest(A), ALWAYS, asked=asked)])[0]
        await front.ledger.abort(A, "it was refused")
        await front.confirm(await front.doomed())
    for path, asked, upload in (("/f", "", A), ("/c/f", "4+2", B), ("/c/f", "4+2", C)):
        await front.begin(upload, path)
        await front.ledger.commit_all([Commit(path, manifest(upload), ALWAYS, asked=asked)])[0]
    assert await front.catalog.lookup("/c/f") == manifest(C)
