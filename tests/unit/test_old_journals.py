"""Journals that older versions of splitd wrote, byte by byte, can still be read."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_twisted

from splitd.catalog.effects import apply
from splitd.catalog.journal.image import ImageReader, ImageUnusable
from splitd.catalog.journal.memory import MemoryFolder
from splitd.catalog.state import State
from splitd.model.manifest import Manifest
from splitd.model.records import SnapshotEnded, decode_line
from storaged.system.filesystem import OSFilesystem
from tests.fired import fired
from tests.unit.catalogs import Front

OLD_IMAGE = "image-before-keys"
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


def test_a_snapshot_from_before_there_were_keys_is_read_and_its_image_is_not() -> None:
    with pytest.raises(ImageUnusable, match="its format has version 1"):
        next(ImageReader(OSFilesystem(), str(GOLDEN / OLD_IMAGE)).frames())
    state = State()
    [file] = (GOLDEN / OLD_IMAGE).glob("*.jsonl")
    for line in file.read_bytes().splitlines(keepends=True):
        record = decode_line(line).record
        if not isinstance(record, SnapshotEnded):
            apply(state, record)
    names = [
        "/copy",
        "/photos",
        "/photos-2",
        "/photos/2025",
        "/photos/2025/b",
        "/photos/a",
        "/photos/a.jpg",
        "/photos/empty",
    ]
    assert sorted(path for path, _ in state.tree.walk()) == names
    assert [name for name, _ in state.tree.page("/", "", 9)] == ["copy", "photos", "photos-2"]
    assert list(state.tree.properties("/photos")) == ["{urn:x}a"]
    assert state.shared == {"a" * 32: 2}
