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
