"""Uploads in the database, those that can be continued among them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from splitd.catalog.continued import Continued, place_of
from splitd.catalog.continuing import JournalledContinuedUploads
from splitd.catalog.ledger import JournalledUploads, all_of
from splitd.catalog.sql.beginning import Beginning
from splitd.catalog.sql.changes import StoredChanges
from splitd.catalog.sql.rows import name_of
from splitd.catalog.sql.segments import COLUMNS
from splitd.errors import BadName
from splitd.interfaces.continued import ContinuedUpload, Segment
from splitd.interfaces.uploads import Start
from splitd.model.holdings import PartCopy
from storaged.parts.format import PartId

_MOST_DOUBTFUL = 10_000
"""How many uploads are remembered whose beginning failed."""


class StoredUploads(JournalledUploads):
    """Uploads; see `IUploadLedger`."""

    _changes: StoredChanges

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._doubtful: dict[str, None] = {}  # the oldest first

    def begin_all(self, starts: Sequence[Start]) -> Deferred[None]:
        """Record that parts of some uploads may lie on their nodes; see `IUploadLedger.begin_all`."""

        def failed(failure: Failure) -> Failure:
            if failure.check(ValueError, BadName):
                return failure  # it was refused, perhaps because one of them is under way already
            self._doubtful.update(dict.fromkeys(start.upload for start in starts))
            while len(self._doubtful) > _MOST_DOUBTFUL:
                del self._doubtful[next(iter(self._doubtful))]
            return failure

        with self._changes.manner(beginning=Beginning(starts, self._front, self._changes.now_ms)):
            begun = super().begin_all(starts)
        return begun.addErrback(failed)

    def abort_abandoned(self) -> Deferred[int]:
        """Abort the uploads and moves of fronts whose leases have expired; see `IUploadLedger.abort_abandoned`.

        So are uploads of this front whose beginning failed.  If the connection was lost while that was on its way, the
        database may record it later, when their abort has found nothing.
        """
        return Deferred.fromCoroutine(self._abort_abandoned())

    async def _abort_abandoned(self) -> int:
        doubtful = list(self._doubtful)
        begun, gone, copies = await self._changes.read(partial(self._abandoned, doubtful))
        self._changes.refuse_read_only()
        reason = "its front is gone"
        aborted: list[Deferred[Any]] = [self.abort(upload, "its beginning failed") for upload in begun]
        aborted += [self.abort(upload, reason) for upload in gone]
        aborted += [self._part_moves.abort_move(copy, reason) for copy in copies]
        count = await all_of(aborted)
        for upload in begun:
            self._doubtful.pop(upload, None)
        return count

    def _abandoned(self, doubtful: Sequence[str]) -> tuple[list[str], list[str], list[PartCopy]]:
        state: Any = self._state
        gone = "front != %s AND front NOT IN (SELECT id FROM front WHERE expires > now())"
        execute = self._changes.cursor.execute
        uploads = execute(f"SELECT upload FROM upload WHERE {gone}", (self._front,)).fetchall()
        moves = execute(f"SELECT upload, part, node FROM move WHERE {gone}", (self._front,)).fetchall()
        copies = [PartCopy(key.hex(), part, state.parts.node_ids([node])[0]) for key, part, node in moves]
        keys = [bytes.fromhex(each) for each in doubtful]
        begun = execute("SELECT upload FROM upload WHERE upload = ANY(%s)", (keys,)).fetchall() if keys else []
        return [key.hex() for (key,) in begun], [key.hex() for (key,) in uploads], copies

    def orphans(self, node: str, parts: Sequence[PartId]) -> Deferred[list[PartId]]:
        """Choose the parts that have no reason to lie on a node; see `IUploadLedger.orphans`."""

        def choose() -> list[PartId]:
            return [part for part in parts if not self._state.knows(part, node)]

        return self._changes.read(choose, *(part.upload for part in parts))


class StoredContinuedUploads(JournalledContinuedUploads):
    """Uploads that can be continued; see `IContinuedLedger`."""

    _changes: StoredChanges

    def find(self, upload: str) -> Deferred[ContinuedUpload | None]:
        """Look up an upload; see `IContinuedLedger.find`."""

        def find() -> ContinuedUpload | None:
            found = self._state.continued.find(upload)
            return None if found is None else self._show(found)

        return self._changes.read(find)

    def list_segments(self, upload: str, after: int, limit: int) -> Deferred[list[Segment]]:
        """List segments of an upload; see `IContinuedLedger.list_segments`."""

        def find() -> list[Segment]:
            self._find(upload)
            state: Any = self._state
            query = """SELECT number, upload FROM segment WHERE of = %s AND number > %s ORDER BY number LIMIT %s"""
            rows = self._changes.cursor.execute(query, (bytes.fromhex(upload), after, limit)).fetchall()
            state.parts.load(*(key.hex() for _, key in rows))
            return [Segment.of(number, state.parts.known(key.hex())) for number, key in rows]

        return self._changes.read(find)

    def list_uploads(self, prefix: str, after: tuple[str, str], limit: int) -> Deferred[list[ContinuedUpload]]:
        """List uploads; see `IContinuedLedger.list_uploads`."""
        path, *place = max(place_of(prefix, ""), place_of(*after))
        seen = path.encode(errors="surrogatepass"), "".join(place).encode()

        def find() -> list[ContinuedUpload]:
            state: Any = self._state
            query = f"SELECT {COLUMNS} FROM continued WHERE (path, place) > (%s, %s) ORDER BY path, place LIMIT %s"
            rows = self._changes.cursor.execute(query, (*seen, limit)).fetchall()
            shown = [row for row in rows if name_of(row[1]).startswith(prefix)]
            return [self._show(state.stored_continued.take(row)) for row in shown]

        return self._changes.read(find)

    def _numbers_of(self, continued: Continued) -> tuple[int, int]:
        query = "SELECT count(*), coalesce(max(number), 0) FROM segment WHERE of = %s"
        count, last = self._changes.cursor.execute(query, (bytes.fromhex(continued.upload),)).fetchone()
        return count, last
