"""What the journalled catalog writes down.  What it promises to others is in tests/contract/catalogs."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted

from splitd.errors import Entangled, NotFound, ParentMissing
from splitd.model.conditions import ALWAYS
from splitd.model.records import JournalOpened, PartsGone, decode_line, encode_line
from storaged.parts.format import PartId
from tests.catalogs import NEW, NODES, A, B, C, doomed, manifest
from tests.fired import fired
from tests.ledger import begin, commit
from tests.unit.catalogs import Front, started


@pytest_twisted.ensureDeferred
async def test_a_new_cluster_gets_an_id_and_keeps_it() -> None:
    front = await Front().start()
    assert await front.catalog.cluster() == "d" * 32
    assert front.folder.lines == [encode_line(1, 0, JournalOpened(1, "d" * 32, 1000))]
    front = await front.restart()
    assert await front.catalog.cluster() == "d" * 32
    assert len(front.folder.lines) == 1


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
async def test_of_two_thousand_who_create_one_name_none_overflows_the_stack() -> None:
    front = await started()
    front.journal.hold()
    racing = [front.put("/f", f"{number:032x}", NEW) for number in range(2000)]
    for lost in racing[1:]:
        lost.addErrback(lambda failure: failure.type)
    front.journal.release()
    assert await racing[0] is True
    assert fired(front.catalog.statistics()).changes == 0


@pytest_twisted.ensureDeferred
async def test_uploads_of_before_a_restart_are_aborted() -> None:
    front = await started()
    await begin(front.catalog.ledger, A, "/f", NODES)
    front = await front.restart()
    assert await front.doomed() == doomed(A)
    assert b'"reason":"splitd was restarted"' in front.folder.lines[-1]


@pytest_twisted.ensureDeferred
async def test_what_changes_nothing_is_not_written() -> None:
    front = await started()
    await front.catalog.ledger.abort(A, "never begun")
    await begin(front.catalog.ledger, B, "/f", NODES)
    await front.catalog.ledger.abort(B, "a reason with a lone surrogate: \ud800")
    lines = len(front.folder.lines)
    await front.catalog.ledger.abort(B, "again")
    await front.confirm(doomed(C))
    await front.catalog.ledger.abort_abandoned()
    assert len(front.folder.lines) == lines
    assert await front.doomed() == doomed(B)


@pytest_twisted.ensureDeferred
async def test_a_tree_is_moved_and_copied_by_one_record_each() -> None:
    front = await started()
    await front.catalog.make_collection("/c")
    await front.put("/c/f", A)
    before = len(front.folder.lines)
    assert await front.catalog.namespace.move("/c", "/e", ALWAYS, overwrite=True) is True
    assert len(front.folder.lines) == before + 1
    assert await front.catalog.namespace.copy("/e", "/c", ALWAYS, deep=True, overwrite=True) is True
    assert len(front.folder.lines) == before + 2


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("source", "target", "error"), [("/x", "/y", NotFound), ("/c", "/x/y", ParentMissing), ("/c", "/c/d", Entangled)]
)
async def test_a_move_or_copy_that_is_refused_is_not_written(source: str, target: str, error: type[Exception]) -> None:
    front = await started()
    await front.catalog.make_collection("/c")
    lines = len(front.folder.lines)
    calls: list[Any] = [
        lambda: front.catalog.namespace.move(source, target, ALWAYS, overwrite=True),
        lambda: front.catalog.namespace.copy(source, target, ALWAYS, deep=True, overwrite=True),
    ]
    for call in calls:
        with pytest.raises(error):
            await call()
    assert len(front.folder.lines) == lines


@pytest_twisted.ensureDeferred
async def test_parts_that_are_not_doomed_on_a_node_are_not_recorded() -> None:
    front = await started()
    await front.put("/f", A)
    await front.put("/g", B)
    await front.catalog.delete("/f", ALWAYS)
    before = len(front.folder.lines)
    await front.catalog.doomed_parts.gone("a", [PartId(B, 0), PartId(A, 1), PartId(C, 0)])
    assert len(front.folder.lines) == before
    await front.catalog.doomed_parts.gone("a", [PartId(B, 0), PartId(A, 0)])
    await front.catalog.doomed_parts.gone("a", [PartId(A, 0)])
    assert [decode_line(line).record for line in front.folder.lines[before:]] == [PartsGone("a", (f"{A}.0",))]


@pytest_twisted.ensureDeferred
async def test_the_parts_of_one_confirmation_share_few_records() -> None:
    front = await started()
    uploads = [f"{number:032x}" for number in range(2500)]
    for upload in uploads:
        await begin(front.catalog.ledger, upload, "/f", ("a",))
        await front.catalog.ledger.abort(upload, "no more")
    before = len(front.folder.lines)
    await front.catalog.doomed_parts.gone("a", [PartId(upload, 0) for upload in uploads])
    assert len(front.folder.lines) - before == 3
    assert fired((await front.restart()).catalog.statistics()).doomed == 0
