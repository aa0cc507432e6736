"""The state of a catalog as one transaction sees it: loaded from rows, changed by records, and written to rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import attrs

from splitd.catalog.sql.about import About
from splitd.catalog.sql.branches import StoredBranch
from splitd.catalog.sql.counts import Counts
from splitd.catalog.sql.docrows import DocumentRows
from splitd.catalog.sql.doomed import StoredDoomed
from splitd.catalog.sql.ids import Ids, NodeNumbers
from splitd.catalog.sql.lockrows import SeenLocks, StoredLocks
from splitd.catalog.sql.meters import StoredMeters
from splitd.catalog.sql.names import COLUMNS, Names
from splitd.catalog.sql.parts import PartRows
from splitd.catalog.sql.rows import is_text
from splitd.catalog.sql.segments import StoredContinued
from splitd.catalog.sql.stamps import Touches
from splitd.catalog.sql.trees import StoredTree, copy_tree, take_apart
from splitd.catalog.state import State
from splitd.model.branch import Branch
from splitd.model.manifest import Manifest
from splitd.model.packing import KEY, Packed, Packing
from splitd.model.segments import Segments
from splitd.model.sharing import Shared
from splitd.model.subtrees import Copying

DROPPED_AT_ONCE = 200
"""So many segments are dropped in the transaction that ends them; more are dropped later."""

NAMES_GATE = 0x73706C74
"""The key of the advisory lock that all changes of names share, and that who takes or refreshes a lock has alone."""
DOCUMENTS_GATE = 0x73706C75
"""The key of the one that each change of documents has alone."""


@attrs.define
class Common:
    """What all transactions of a front have in common; several threads share it.

    :ivar folders: rows of collections by their places; see `Chains`.
    :ivar widest: the most parts that a file has had, as far as this front knows.
    :ivar locks: what is known of locks of WebDAV.
    """

    numbers: NodeNumbers = attrs.Factory(NodeNumbers)
    ids: Ids = attrs.Factory(lambda: Ids("entry_ids"))
    serials: Ids = attrs.Factory(lambda: Ids("doomed_serials"))
    folders: dict[str, Sequence[Any]] = attrs.Factory(dict)
    widest: int = 0
    locks: SeenLocks = attrs.Factory(SeenLocks)


class StoredState(State):
    """The state as one transaction sees it.

    :param locks: whether to hold what is loaded until the end of the transaction.
    """

    def __init__(self, cursor: Any, packing: Packing, common: Common, slot: int, *, locks: bool) -> None:
        self._cursor = cursor
        self._common = common
        self._locks = locks
        self.counts = Counts(slot)
        self.packing = packing
        numbers, serials = common.numbers, common.serials
        self.parts = parts = PartRows(cursor, packing, numbers, serials, self.counts, locks=locks)
        self.stored_names = Names(cursor, packing, parts, common.ids, common.folders)
        self.cluster = "loaded"
        self.uploads: Any = parts.uploads
        self.continued = self.stored_continued = StoredContinued(cursor, parts, locks=locks)
        self.doomed: StoredDoomed = parts.doomed
        self.moves = parts.moves
        self.hurt = parts.hurt
        self.restored = None
        self.versions: Any = parts.versions
        self.names: Any = parts.names
        self.parts_on: dict[str, int] = defaultdict(int)
        self.locks = self._stored_locks = StoredLocks(cursor, common.locks)
        self.shared_texts = Shared()
        self.files = 0
        self.bytes_stored = 0
        self.widest = common.widest
        self.copies: dict[str, Copying] = {}
        self.released = self.forgotten = 0
        self.documents = self._document_rows = DocumentRows(cursor)
        self.meters = StoredMeters(self, cursor)
        self.touches = Touches(cursor, slot)
        self._dropped: list[bytes] = []
        self._nodes: tuple[dict[str, None], dict[str, str]] | None = None
        self._nodes_before: tuple[dict[str, None], dict[str, str]] = {}, {}
        self._tree: StoredTree | None = None

    @property
    def tree(self) -> StoredTree:  # type: ignore[override]
        """The names."""
        if self._tree is None:
            self._tree = StoredTree(self.stored_names, self.packing, self._cursor)
        return self._tree

    @property
    def lost(self) -> dict[str, None]:  # type: ignore[override]
        """The nodes that are lost for good, in the order in which they were lost."""
        return self._load_nodes()[0]

    @property
    def disks(self) -> dict[str, str]:  # type: ignore[override]
        """The disk of each node on which all its parts were last looked for."""
        return self._load_nodes()[1]

    def _load_nodes(self) -> tuple[dict[str, None], dict[str, str]]:
        if self._nodes is None:
            rows = self._cursor.execute("SELECT node FROM lost ORDER BY serial").fetchall()
            lost = dict.fromkeys(node for (node,) in rows)
            disks = dict(self._cursor.execute("SELECT node, disk FROM disk").fetchall())
            self._nodes, self._nodes_before = (lost, disks), (dict(lost), dict(disks))
        return self._nodes

    def execute(self, query: str) -> Any:
        """Send a statement; return what its rows can be fetched of."""
        return self._cursor.execute(query)

    def load(self, keys: Iterable[tuple[str, bool]]) -> None:
        """Load what changes touch.

        :param keys: the keys of the changes (see `Changes.make`), and whether something may be removed there.
        """
        self.ask(keys)()
        self.parts.load(*self.stored_names.uploads)  # a change of a file that is there replaces or removes it

    def ask(
        self, keys: Iterable[tuple[str, bool]], *, names_only: bool = False, unlocked: bool = False
    ) -> Callable[[], None]:
        """Ask for what changes or looks touch, without waiting for the last answers.

        :param keys: as for `load`.
        :param names_only: whether no lock of WebDAV is looked at.
        :param unlocked: whether it is enough to find out by the same statement that there are no such locks.
        :return: takes what was asked for; raises `LocksTaken` if they had to be `unlocked`, and may not be.
        """
        keys = list(keys)
        paths = [(key, removes) for key, removes in keys if key.startswith("/") and is_text(key)]
        uploads = [key.partition("/")[0] for key, _ in keys if not key.startswith(("/", "node "))]
        takes: list[Callable[[], None]] = []
        about: About | None = None
        if paths:
            names, touched = self.stored_names, [path for path, _ in paths]
            beside = self._stored_locks.none() if unlocked else None
            takes.append(names.chains.ask(paths, COLUMNS, names.absent, locks=self._locks, about=beside))
            if not (names_only or unlocked):
                about = self._stored_locks.about(touched)
                if self._locks:
                    about = about.and_also(self.meters.about(touched))
        takes.append(self.parts.ask(*uploads, about=about))

        def take() -> None:
            for each in takes:
                each()

        return take

    def load_all(self, cluster: str) -> None:
        """Load all that is about no path and no upload, to look at the whole catalog."""
        self.cluster = cluster
        self._stored_locks.load_all()
        self._document_rows.load_all()
        self.stored_continued.load_all()

    def copy(self, source: str, target: str, time_ms: int, *, deep: bool) -> Iterator[None]:
        """Make the copy that `entry-copied` puts at its target; see `State.copy`."""
        entry = self.tree.find(source)
        if not deep or not isinstance(entry, StoredBranch):
            yield from super().copy(source, target, time_ms, deep=deep)
            return
        id_ = self._common.ids.take(self._cursor)
        self.copies[target] = copy_tree(self.stored_names, self._cursor, entry, id_, time_ms)
        yield

    def shown(self, packed: Packed) -> Manifest:
        """Unpack a manifest, unless it was just packed; see `State.shown`."""
        return self.moves.place(self.stored_names.loaded(packed) or self.packing.unpack(packed))

    def release(self, entry: Packed | Branch | None) -> None:
        """Take an entry that has no name any more; a file is forgotten at once."""
        if isinstance(entry, Branch):
            self.stored_names.trash(entry)
        elif entry is not None:
            for _ in self._forget(entry):
                pass

    def drop(self, segments: Sequence[Packed]) -> None:
        """Take segments that no file and no upload has any more."""
        self._drop_keys([packed[:KEY] for packed in segments])

    def _drop(self, packed: Packed) -> None:
        # A part may have moved between the look at the name and the lock of the version.
        super()._drop(self.versions.find_key(packed[:KEY]) or packed)

    def _drop_all(self, segments: Segments) -> Iterator[None]:
        self._drop_keys(segments.ids())
        return iter(())

    def _drop_keys(self, keys: list[bytes]) -> None:
        if len(keys) > DROPPED_AT_ONCE:
            self._dropped += keys
            return
        self.parts.load(*(key.hex() for key in keys))
        for key in keys:
            packed = self.versions.find_key(key)
            if packed is not None:
                self._drop(packed)

    def drop_some(self) -> bool:
        """Drop some of the segments that were to be dropped later.

        :return: whether there were any.
        """
        query = """DELETE FROM dropped WHERE upload IN (
            SELECT upload FROM dropped LIMIT %s FOR UPDATE SKIP LOCKED) RETURNING upload"""
        rows = self._cursor.execute(query, (DROPPED_AT_ONCE,)).fetchall()
        self._drop_keys([upload for (upload,) in rows])
        return bool(rows)

    def forget_rows(self, rows: list[Sequence[Any]]) -> None:
        """Forget files that have no name any more.

        :param rows: their rows, of the columns `COLUMNS`.
        """
        self.parts.load(*(row[7].hex() for row in rows))
        for row in rows:
            for _ in self._forget(self.packing.pack(self.stored_names.manifest_of(row[7:]))):
                pass

    def flush(self) -> None:
        """Write what was changed."""
        trashed = self.stored_names.flush()
        if trashed:
            take_apart(self._cursor, trashed, self.forget_rows)
        self.stored_continued.flush(self.counts)
        self.parts.flush()
        self._stored_locks.flush()
        self._document_rows.flush(self.counts)
        self.meters.flush()
        self._flush_others()
        self.touches.flush()
        counts = self.counts
        counts.add("files", self.files)
        counts.add("bytes", self.bytes_stored)
        for node, number in self.parts_on.items():
            counts.add(f"parts on {node}", number)
        counts.flush(self._cursor)

    def _flush_others(self) -> None:
        execute = self._cursor.execute
        if self._dropped:
            query = "INSERT INTO dropped SELECT unnest(%s::bytea[]) ON CONFLICT DO NOTHING"
            execute(query, (self._dropped,))
        lost, disks = self._nodes or ({}, {})
        for node in lost.keys() - self._nodes_before[0].keys():
            execute("INSERT INTO lost (node) VALUES (%s) ON CONFLICT DO NOTHING", (node,))
        for node, disk in disks.items():
            if self._nodes_before[1].get(node) != disk:
                query = "INSERT INTO disk VALUES (%s, %s) ON CONFLICT (node) DO UPDATE SET disk = excluded.disk"
                execute(query, (node, disk))
        if self.widest > self._common.widest:
            execute("UPDATE catalog SET widest = greatest(widest, %s)", (self.widest,))
