"""What the tests of uploads that can be continued are written with."""

from __future__ import annotations

from collections.abc import Sequence

from splitd.interfaces.continued import Completion, IContinuedLedger
from splitd.interfaces.uploads import Commit, IUploadLedger
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.manifest import Manifest
from splitd.model.media import Media
from tests.catalogs import NODES
from tests.ledger import begin


def segment(upload: str, of: str, *, size: int = 10, parity: int = 0, nodes: Sequence[str] = NODES) -> Manifest:
    """A segment, whose note is "note"."""
    return Manifest(upload, size, 5000, 6 - parity, parity, 4, tuple(nodes) if size else (), "note", segment_of=of)


async def put_segment(
    ledger: IUploadLedger, of: str, number: int, upload: str, *, size: int = 10, replaces: str | None = None
) -> bool:
    """Upload a segment; return whether there was none of its number."""
    await begin(ledger, upload, "/of", NODES)
    return await commit_segment(ledger, number, segment(upload, of, size=size), replaces)


async def commit_segment(ledger: IUploadLedger, number: int, manifest: Manifest, replaces: str | None = None) -> bool:
    """Commit a segment whose upload was begun."""
    [committed] = ledger.commit_all([Commit("/of", manifest, ALWAYS, number, replaces)])
    return await committed


async def complete(
    continued: IContinuedLedger,
    upload: str,
    path: str,
    chosen: Sequence[tuple[int, str]],
    *,
    condition: Condition = ALWAYS,
    said: str | Media | None = None,
) -> tuple[Manifest, bool]:
    """Make the file of segments."""
    made = Manifest(upload, 0, 6000, 6, 0, 4, ())
    return await continued.complete(Completion(path, chosen, condition, said, made))
