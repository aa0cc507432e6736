"""Journals that older versions of splitd wrote, byte by byte, can still be read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest_twisted
from twisted.logger import capturedLogs
from twisted.python.threadpool import ThreadPool

from splitd.catalog.effects import apply
from splitd.catalog.imaging import Restorer
from splitd.catalog.journal.file import FileJournal
from splitd.catalog.journal.memory import MemoryFolder
from splitd.catalog.state import State
from splitd.model.manifest import Manifest
from splitd.model.segments import SegmentRef
from storaged.system.filesystem import OSFilesystem
from tests.fired import fired
from tests.unit.catalogs import Front

GOLDEN = Path(__file__).parent / "golden"


def folder(name: str) -> MemoryFolder:
    return MemoryFolder((GOLDEN / name).read_bytes().splitlines(keepends=True))


@pytest_twisted.ensureDeferred
async def test_what_was_under_way_before_fronts_had_ids_is_that_of_a_front_that_is_gone() -> None:
    front = await Front(folder("journal-before-fronts.jsonl")).start()
    file = await front.catalog.lookup("/b")
    assert isinstance(file, Manifest)
    assert (file.content_type, file.nodes) == ("image/jpeg", ("n7", "n2", "n3", "n4", "n5", "n6"))
    assert fired(front.catalog.statistics()).files == 2
    assert await front.catalog.nodes() == {f"n{number}" for number in range(1, 9)}
    assert await front.catalog.ledger.abort_abandoned() == 2
    assert fired(front.catalog.statistics()).uploads == 0
    assert (await front.doomed())["n8"] == [f"{'a' * 32}.1"]
    assert (await front.doomed())["n1"] == [f"{'a' * 32}.0", f"{'e' * 32}.0"]


@pytest_twisted.ensureDeferred
async def test_a_snapshot_from_before_there_were_keys_is_read_though_its_image_is_too_old(
    tmp_path: Path, pool: ThreadPool
) -> None:
    from twisted.internet import reactor

    shutil.copytree(GOLDEN / "snapshot-before-keys", tmp_path / "journal")
    journal = FileJournal(str(tmp_path / "journal"), OSFilesystem(), pool, reactor)
    state = State()
    with capturedLogs() as events:
        await journal.replay(lambda record: apply(state, record), Restorer(state))
    await journal.close()
    assert any("its format has version 1" in (event.get("reason") or "") for event in events)
    photos = [f"/photos/{name}" for name in ("2025", "2025/b", "a", "a.jpg", "empty")]
    assert sorted(path for path, _ in state.tree.walk()) == ["/copy", "/photos", "/photos-2", *photos]
    assert [name for name, _ in state.tree.page("/", "", 9)] == ["copy", "photos", "photos-2"]
    assert list(state.tree.properties("/photos")) == ["{urn:x}a"]
    assert [lock.path for lock in state.locks] == ["/photos/2025"]
    assert state.shared == {"a" * 32: 2}


@pytest_twisted.ensureDeferred
async def test_files_of_segments_and_uploads_to_be_continued_are_read() -> None:
    front = await Front(folder("journal-with-segments.jsonl")).start()
    file = await front.catalog.lookup("/b/x")
    assert isinstance(file, Manifest)
    assert (file.upload, file.size, file.media.language) == ("c" * 32, 9_000_018, "de")
    refs = [("1" * 32, 9_000_000, 1), ("2" * 32, 0, 2), ("4" * 32, 18, 5)]
    assert list(file.segments) == [SegmentRef(*ref) for ref in refs]
    copy = await front.catalog.lookup("/b/y/z")
    assert isinstance(copy, Manifest)
    assert (copy.content_type, copy.packed_segments) == ("text/plain", file.packed_segments)
    [version] = await front.catalog.versions.find_all(["4" * 32])
    assert version is not None
    assert (version.segment_of, version.said, version.nodes[7]) == ("c" * 32, "5d41402a etag", "n8")
    [upload] = await front.catalog.continued.list_uploads("/", ("", ""), 9)
    assert (upload.upload, upload.path, upload.last, upload.size) == ("d" * 32, "/b/w", 10_000, 5)
    assert {part.partition(".")[0] for part in (await front.doomed())["n1"]} == {"2" * 32, "3" * 32, "6" * 32}
    assert fired(front.catalog.statistics()).uploads == 0
