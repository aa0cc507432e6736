"""The rows of doomed parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from splitd.catalog.doomed import DoomedEntry, DoomedParts
from splitd.catalog.sql.counts import Counts
from splitd.catalog.sql.ids import Ids
from splitd.catalog.sql.rows import array
from splitd.model.holdings import PartCopy
from storaged.parts.format import PartId


class StoredDoomed(DoomedParts):
    """The doomed parts of the uploads that a transaction is about.

    :param load: loads those of an upload.
    :param serials: gives numbers to entries.
    """

    def __init__(self, load: Callable[[str], None], serials: Ids, cursor: Any) -> None:
        # Not what `DoomedParts` has, whose mapping for millions takes longer to make than all else of a transaction.
        self._entries = {}
        self._blocks, self._queues, self._counts = {}, {}, {}
        self._serial = self._parts = self._copies = self.ended = 0
        self._load = load
        self._serials = serials
        self._cursor = cursor
        self._rows: dict[tuple[str, int, int], tuple[str, bool]] = {}
        self._before = 0

    def know(self, rows: Sequence[tuple[str, int, int, str, bool]]) -> None:
        """Take note of rows, in the order of serials and parts: node, serial, part, upload, whether it is a copy."""
        entries: dict[tuple[int, str], list[tuple[str, int]]] = {}
        copies = set()
        for node, serial, part, upload, is_copy in rows:
            self._rows[node, serial, part] = upload, is_copy
            entries.setdefault((serial, upload), []).append((node, part))
            if is_copy:
                copies.add((serial, upload))
        for (serial, upload), parts in entries.items():
            is_copy = (serial, upload) in copies
            first = parts[0][1] if is_copy else 0
            nodes = [""] * (parts[-1][1] + 1 - first)
            for node, part in parts:
                nodes[part - first] = node
            pending = sum(1 << (part - first) for _, part in parts)
            entry = DoomedEntry(serial, upload, first, tuple(nodes), is_copy, pending)
            self._entries[PartCopy(upload, first, nodes[0]) if is_copy else upload] = entry
        self._before += len(entries)

    def __iter__(self) -> Iterator[DoomedEntry]:
        """Iterate over the entries that are loaded; see `DoomedParts`."""
        return iter(self._entries.values())

    def sort(self) -> None:
        """Bring the entries into the order in which their parts became doomed."""
        self._entries = dict(sorted(self._entries.items(), key=lambda each: each[1].serial))

    def __contains__(self, key: str | PartCopy) -> bool:
        """Whether an upload as a whole, or a copy, has parts to delete."""
        self._load(key if isinstance(key, str) else key.upload)
        return key in self._entries

    def has(self, node: str, part: PartId) -> bool:
        """Whether a part is to be deleted from a node."""
        self._load(part.upload)
        return self._find(node, part) is not None

    def _add(self, key: str | PartCopy, upload: str, first: int, nodes: tuple[str, ...], *, is_copy: bool) -> None:
        if key in self:
            self.drop(key)
        pending = sum(1 << bit for bit, node in enumerate(nodes) if node)
        serial = self._serials.take(self._cursor)
        self._entries[key] = DoomedEntry(serial, upload, first, nodes, is_copy, pending)

    def confirm(self, node: str, part: PartId) -> None:
        """Note that a part is deleted from a node.  Does nothing if it is not doomed there."""
        self._load(part.upload)
        found = self._find(node, part)
        if found is None:
            return
        key, entry, bit = found
        entry.pending &= ~(1 << bit)
        if not entry.pending:
            self.drop(key)

    def drop(self, key: str | PartCopy) -> None:
        """Note that all parts of an upload, or a copy, are deleted from their nodes.  They must be doomed."""
        del self._entries[key]
        self.ended += 1

    def flush(self, cursor: Any, numbers_of: Callable[[Iterable[str]], list[int]], counts: Counts) -> None:
        """Write what was changed."""
        rows = {
            (node, entry.serial, entry.first + bit): (entry.upload, entry.is_copy)
            for entry in self._entries.values()
            for bit, node in enumerate(entry.nodes)
            if entry.pending >> bit & 1
        }
        gone, new = self._rows.keys() - rows.keys(), rows.keys() - self._rows.keys()
        if gone:
            query = """DELETE FROM doomed d USING unnest(%s::smallint[], %s::bigint[], %s::smallint[])
                AS gone(node, serial, part)
                WHERE d.node = gone.node AND d.serial = gone.serial AND d.part = gone.part"""
            places = sorted(gone)
            columns = [each[1] for each in places], [each[2] for each in places]
            cursor.execute(query, (array(numbers_of(node for node, _, _ in places)), *map(array, columns)))
        if new:
            # Not when the transaction began: it may have waited for a long time, and others looked meanwhile.
            query = """INSERT INTO doomed (node, serial, part, upload, is_copy, at)
                SELECT *, clock_timestamp()
                FROM unnest(%s::smallint[], %s::bigint[], %s::smallint[], %s::bytea[], %s::boolean[])"""
            places = sorted(new, key=lambda each: (each[1], each[2]))
            columns = [each[1] for each in places], [each[2] for each in places]
            uploads, copies = [bytes.fromhex(rows[each][0]) for each in places], [rows[each][1] for each in places]
            parts = numbers_of(node for node, _, _ in places), *columns, uploads, copies
            cursor.execute(query, [array(column) for column in parts])
        for sign, some in ((1, new), (-1, gone)):
            for node, _, _ in some:
                counts.add(f"doomed on {node}", sign)
        counts.add("doomed", len(self._entries) - self._before)
        counts.add("ended", self.ended)
