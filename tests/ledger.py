"""The ledger of uploads, one upload at a time: what most tests need of it."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred

from splitd.interfaces.uploads import Commit, IUploadLedger, Start
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.manifest import Manifest


def begin(ledger: IUploadLedger, upload: str, path: str, nodes: Sequence[str]) -> Deferred[None]:
    """Begin one upload."""
    return ledger.begin_all([Start(upload, path, nodes)])


def commit(ledger: IUploadLedger, path: str, manifest: Manifest, condition: Condition = ALWAYS) -> Deferred[bool]:
    """Commit one upload."""
    [committed] = ledger.commit_all([Commit(path, manifest, condition)])
    return committed
