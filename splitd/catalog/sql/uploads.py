"""Uploads in the database, those that can be continued among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from cachetools import LRUCache
from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from splitd.catalog.continued import Continued, place_of
from splitd.catalog.continuing import JournalledContinuedUploads
from splitd.catalog.ledger import JournalledUploads, all_of
from splitd.catalog.moving import JournalledPartMoves
from splitd.catalog.sql.beginning import Beginning
from splitd.catalog.sql.changes import StoredChanges
from splitd.catalog.sql.placing import is_plain
from splitd.catalog.sql.rows import name_of, refuse_unindexed
from splitd.catalog.sql.segments import COLUMNS
from splitd.catalog.state import State
from splitd.errors import BadName, CatalogReadOnly, MoveRefused, SplitdError, UploadAborted
from splitd.interfaces.continued import ContinuedUpload, Segment
from splitd.interfaces.uploads import Commit, Start
from splitd.model.holdings import PartCopy
from splitd.model.media import Media
from storaged.parts.format import PartId

_MOST_DOUBTFUL = 10_000
"""How many uploads and moves are remembered whose beginning failed."""
_MOST_REFUSED = 1_000
"""How many paths are remembered at which files were refused."""
_Key = TypeVar("_Key", str, PartCopy)


class Doubtful(Generic[_Key]):
    """What may be under way though its beginning failed, the oldest first.

    :param refusals: the errors by which a beginning is refused, perhaps because it is under way already.
    """

    def __init__(self, *refusals: type[Exception]) -> None:
        self._refusals = refusals
        self._keys: dict[_Key, None] = {}

    def __iter__(self) -> Iterator[_Key]:
        return iter(list(self._keys))

    def __contains__(self, key: _Key) -> bool:
        return key in self._keys

    def failed(self, failure: Failure, keys: Iterable[_Key]) -> Failure:
        """Take note that a beginning failed."""
        if not failure.check(*self._refusals):
            self.note(keys)
        return failure

    def note(self, keys: Iterable[_Key]) -> None:
        """Take note of what may be under way."""
        self._keys.update(dict.fromkeys(keys))
        while len(self._keys) > _MOST_DOUBTFUL:
            self.ended(next(iter(self._keys)))

    def ended(self, key: _Key) -> None:
        """Take note that one is not under way any more, or begins again."""
        self._keys.pop(key, None)


class StoredPartMoves(JournalledPartMoves):
    """Moves of parts; see `IPartMoves`.

    :ivar doubtful: the moves whose beginning failed.
    """

    def __init__(self, state: State, changes: StoredChanges, front: str) -> None:
        super().__init__(state, changes, front)
        self.doubtful: Doubtful[PartCopy] = Doubtful(MoveRefused)

    def begin_move(self, copy: PartCopy) -> Deferred[None]:
        """Record that a copy of a part may lie on another node; see `IPartMoves.begin_move`."""
        doubtful = self.doubtful
        was_doubtful = copy in doubtful
        doubtful.ended(copy)

        def failed(failure: Failure) -> Failure:
            if was_doubtful and failure.check(MoveRefused):  # perhaps because of what the database has recorded late
                doubtful.note([copy])
            return doubtful.failed(failure, [copy])

        return super().begin_move(copy).addErrback(failed)


class StoredUploads(JournalledUploads):
    """Uploads; see `IUploadLedger`."""

    _changes: StoredChanges
    _part_moves: StoredPartMoves

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._doubtful: Doubtful[str] = Doubtful(ValueError, BadName)
        self._refused: LRUCache[str, None] = LRUCache(_MOST_REFUSED)

    def begin_all(self, starts: Sequence[Start]) -> Deferred[None]:
        """Record that parts of some uploads may lie on their nodes; see `IUploadLedger.begin_all`."""
        with self._changes.manner(beginning=Beginning(starts, self._front, self._changes.now_ms)):
            begun = super().begin_all(starts)
        return begun.addErrback(self._doubtful.failed, [start.upload for start in starts])

    def _commit(self, commit: Commit) -> Deferred[bool]:
        with self._changes.manner(placing=commit if is_plain(commit) else None):
            committed = super()._commit(commit)
        path = commit.path
        if commit.asked is not None or path in self._refused:
            committed.addCallbacks(self._note_stored, self._note_refused, (path,), errbackArgs=(commit,))
        return committed

    def _note_stored(self, created: bool, path: str) -> bool:
        self._refused.pop(path, None)
        return created

    def _note_refused(self, failure: Failure, commit: Commit) -> Failure:
        is_final = failure.check(SplitdError) and not failure.check(UploadAborted, CatalogReadOnly)
        if commit.asked is not None and is_final:
            self._refused[commit.path] = None
        return failure

    def has_refused(self, path: str) -> bool:
        """Whether a file that was stored on an assumption was refused at a path, and none was put there since."""
        return path in self._refused

    def abort_abandoned(self) -> Deferred[int]:
        """Abort the uploads and moves of fronts whose leases have expired; see `IUploadLedger.abort_abandoned`.

        So are those of this front whose beginning failed.  If the connection was lost while that was on its way, the
        database may record it later, when their abort has found nothing.
        """
        return Deferred.fromCoroutine(self._abort_abandoned())

    async def _abort_abandoned(self) -> int:
        uploads, copies = list(self._doubtful), list(self._part_moves.doubtful)
        begun, moving, gone, left = await self._changes.read(partial(self._abandoned, uploads, copies))
        self._changes.refuse_read_only()
        moving = [copy for copy in moving if copy in self._part_moves.doubtful]  # else it has begun again meanwhile
        failed, reason = "its beginning failed", "its front is gone"
        aborted: list[Deferred[Any]] = [self.abort(upload, failed) for upload in begun]
        aborted += [self._part_moves.abort_move(copy, failed) for copy in moving]
        aborted += [self.abort(upload, reason) for upload in gone]
        aborted += [self._part_moves.abort_move(copy, reason) for copy in left]
        count = await all_of(aborted)
        for upload in begun:
            self._doubtful.ended(upload)
        for copy in moving:
            self._part_moves.doubtful.ended(copy)
        return count

    def _abandoned(
        self, uploads: Sequence[str], copies: Sequence[PartCopy]
    ) -> tuple[list[str], list[PartCopy], list[str], list[PartCopy]]:
        """Find the uploads and moves among doubtful ones that are under way, and those of fronts that are gone."""
        gone = "front != %s AND front NOT IN (SELECT id FROM front WHERE expires > now())"
        execute = self._changes.cursor.execute
        left = execute(f"SELECT upload FROM upload WHERE {gone}", (self._front,)).fetchall()
        moves = execute(f"SELECT upload, part, node FROM move WHERE {gone}", (self._front,)).fetchall()
        begun, moving = list[tuple[bytes]](), list[Any]()
        if uploads:
            keys = [bytes.fromhex(each) for each in uploads]
            begun = execute("SELECT upload FROM upload WHERE upload = ANY(%s)", (keys,)).fetchall()
        if copies:
            keys = [bytes.fromhex(copy.upload) for copy in copies]
            query = "SELECT upload, part, node FROM move WHERE upload = ANY(%s) AND front = %s"
            moving = execute(query, (keys, self._front)).fetchall()
        doubtful = set(copies)
        in_doubt = [copy for copy in self._copies(moving) if copy in doubtful]
        return _hexed(begun), in_doubt, _hexed(left), self._copies(moves)

    def _copies(self, rows: Sequence[Any]) -> list[PartCopy]:
        state: Any = self._state
        return [PartCopy(key.hex(), part, state.parts.node_ids([node])[0]) for key, part, node in rows]

    def orphans(self, node: str, parts: Sequence[PartId]) -> Deferred[list[PartId]]:
        """Choose the parts that have no reason to lie on a node; see `IUploadLedger.orphans`."""

        def choose() -> list[PartId]:
            return [part for part in parts if not self._state.knows(part, node)]

        return self._changes.read(choose, *(part.upload for part in parts))


def _hexed(rows: Sequence[tuple[bytes]]) -> list[str]:
    return [key.hex() for (key,) in rows]


class StoredContinuedUploads(JournalledContinuedUploads):
    """Uploads that can be continued; see `IContinuedLedger`."""

    _changes: StoredChanges

    def begin(self, upload: str, path: str, said: str | Media) -> Deferred[None]:
        """Record that an upload was begun; see `IContinuedLedger.begin`."""
        try:
            refuse_unindexed(path)
        except BadName:
            return fail()
        return super().begin(upload, path, said)

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
