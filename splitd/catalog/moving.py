"""The moves of parts of the journalled catalog."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import implementer

from splitd.catalog.changes import Changes, printable
from splitd.catalog.state import State
from splitd.errors import MoveRefused
from splitd.interfaces.parts import IPartMoves
from splitd.model import records
from splitd.model.holdings import PartCopy
from splitd.model.manifest import Manifest
from splitd.model.records import Record


@implementer(IPartMoves)
class JournalledPartMoves:
    """Moves of parts, recorded in a journal.

    :param state: the state that the journal's records result in; only `changes` changes it.
    :param front: the id of the front that uses it.
    """

    def __init__(self, state: State, changes: Changes, front: str) -> None:
        self._state = state
        self._changes = changes
        self._front = front

    def begin_move(self, copy: PartCopy) -> Deferred[None]:
        """Record that a copy of a part may lie on another node; see `IPartMoves.begin_move`."""

        def judge() -> tuple[Record, None]:
            manifest = self._moving(copy)
            if copy.node in manifest.nodes:
                raise MoveRefused(f"a part of upload {copy.upload} lies on node {copy.node} already")
            if copy.index >= len(manifest.nodes):
                raise MoveRefused(f"upload {copy.upload} has no part {copy.index}")
            if copy.node in self._state.lost:
                raise MoveRefused(f"node {copy.node} is lost")
            try:
                self._state.moves.refuse_start(copy)
            except ValueError as problem:
                raise MoveRefused(str(problem)) from problem
            return records.PartMoveStarted(*copy, self._changes.now_ms(), self._front), None

        return self._changes.make(judge, copy.upload, durable=False)

    def commit_move(self, copy: PartCopy) -> Deferred[None]:
        """Make the copy the part; see `IPartMoves.commit_move`."""

        def judge() -> tuple[Record, None]:
            manifest = self._moving(copy)
            source = manifest.nodes[copy.index] if copy.index < len(manifest.nodes) else ""
            try:
                self._state.moves.refuse_commit(copy, source, manifest)
            except ValueError as problem:
                raise MoveRefused(str(problem)) from problem
            return records.PartMoved(copy.upload, copy.index, source, copy.node), None

        return self._changes.make(judge, copy.upload, durable=True)

    def _moving(self, copy: PartCopy) -> Manifest:
        """Find the version that a part to be moved belongs to."""
        found = self._state.version(copy.upload)
        if found is None:
            raise MoveRefused(f"no file is of upload {copy.upload} any more")
        return found

    def abort_move(self, copy: PartCopy, reason: str) -> Deferred[None]:
        """End a move that will not be committed; see `IPartMoves.abort_move`."""

        def judge() -> tuple[Record | None, None]:
            if copy not in self._state.moves.under_way:
                return None, None
            return records.PartMoveAborted(*copy, printable(reason), self._changes.now_ms()), None

        return self._changes.make(judge, copy.upload, durable=False)
