"""Journals that older versions of splitd wrote, byte by byte, can still be read."""

from __future__ import annotations

from pathlib import Path

import pytest_twisted

from splitd.catalog.journal.memory import MemoryFolder
from splitd.model.manifest import Manifest
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
