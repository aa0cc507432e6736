"""The records of locks.  Pure."""

from __future__ import annotations

from typing import Literal

from splitd.model.locks import EXCLUSIVE, Lock
from splitd.model.manifest import Manifest
from splitd.model.records import LockTaken


def lock_taken(lock: Lock, file: Manifest | None = None, *, implies: bool = False) -> LockTaken:
    """Make the record of a lock."""
    scope: Literal["exclusive", "shared"] = "exclusive" if lock.scope == EXCLUSIVE else "shared"
    return LockTaken(
        lock.path,
        lock.token,
        scope,
        "infinity" if lock.deep else "0",
        lock.owner,
        lock.taken_ms,
        lock.expires_ms,
        file,
        lock.user,
        implies,
    )
