"""The rows of uploads that can be continued."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

import msgspec

from splitd.catalog.continued import Continued, ContinuedUploads, place_of
from splitd.catalog.sql.counts import Counts
from splitd.catalog.sql.parts import PartRows
from splitd.model.media import Media
from splitd.model.packing import KEY, Packed
from splitd.model.paths import place_of as plain_place_of

_said = msgspec.json.Decoder(str | Media)
COLUMNS = "upload, path, said, began_ms, touched_ms, size"
"""The columns of an upload."""


class StoredSegments(MutableMapping[int, Packed]):
    """The segments of an upload by their numbers, as far as they were asked for."""

    def __init__(self, cursor: Any, of: bytes, parts: PartRows) -> None:
        self._cursor = cursor
        self._of = of
        self._parts = parts
        self._all = False
        self._known: dict[int, Packed | None] = {}
        self.changed: set[int] = set()

    def load(self) -> None:
        """Load all of them."""
        if not self._all:
            self._all = True
            query = "SELECT number, upload FROM segment WHERE of = %s ORDER BY number"
            self._take(self._cursor.execute(query, (self._of,)).fetchall())

    def _take(self, rows: list[tuple[int, bytes]]) -> None:
        self._parts.load(*(upload.hex() for _, upload in rows))
        for number, upload in rows:
            self._known.setdefault(number, self._parts.versions.find_key(upload))

    def _find(self, number: int) -> Packed | None:
        if number not in self._known and not self._all:
            query = "SELECT number, upload FROM segment WHERE of = %s AND number = %s"
            self._take(self._cursor.execute(query, (self._of, number)).fetchall())
            self._known.setdefault(number, None)
        return self._known.get(number)

    def __getitem__(self, number: int) -> Packed:
        found = self._find(number)
        if found is None:
            raise KeyError(number)
        return found

    def __setitem__(self, number: int, packed: Packed) -> None:
        self._find(number)
        self._known[number] = packed
        self.changed.add(number)

    def __delitem__(self, number: int) -> None:
        raise NotImplementedError("segments go with their upload only")

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __iter__(self) -> Iterator[int]:
        self.load()
        return iter(sorted(number for number, packed in self._known.items() if packed is not None))


class StoredContinued(ContinuedUploads):
    """The uploads that can be continued and that a transaction is about.

    :param locks: whether to hold their rows until the end of the transaction.
    """

    def __init__(self, cursor: Any, parts: PartRows, *, locks: bool) -> None:
        super().__init__()
        self._cursor = cursor
        self._parts = parts
        self._locking = " FOR UPDATE" if locks else ""
        self._looked: set[str] = set()
        self._before: dict[str, tuple[int, int]] = {}
        self._gone: set[str] = set()

    def _load(self, upload: str) -> None:
        if upload in self._looked or upload in self._parts.not_continued:
            return
        self._looked.add(upload)
        try:
            key = bytes.fromhex(upload)
        except ValueError:
            return
        query = f"SELECT {COLUMNS} FROM continued WHERE upload = %s{self._locking}"
        row = self._cursor.execute(query, (key,)).fetchone()
        if row is not None:
            found = self.take(row)
            self._before[upload] = found.touched_ms, found.size

    def load_all(self) -> None:
        """Load all uploads."""
        for row in self._cursor.execute(f"SELECT {COLUMNS} FROM continued ORDER BY began_ms, upload").fetchall():
            self.take(row)

    def take(self, row: Any) -> Continued:
        """Return the upload that a row of `COLUMNS` describes."""
        key, path, said, began_ms, touched_ms, size = row
        segments: Any = StoredSegments(self._cursor, key, self._parts)
        found = Continued(key.hex(), path.decode(), _said.decode(said), began_ms, touched_ms, size, segments)
        self._uploads[found.upload] = found
        self._order.add(found)
        self.size += size
        return found

    def __contains__(self, upload: str) -> bool:
        self._load(upload)
        return upload in self._uploads

    def find(self, upload: str) -> Continued | None:
        """Return the upload with this id; None if there is none."""
        self._load(upload)
        return self._uploads.get(upload)

    def begin(self, upload: str, path: str, said: str | Media, time_ms: int) -> None:
        """Add an upload; see `ContinuedUploads.begin`."""
        self._load(upload)
        super().begin(upload, path, said, time_ms)

    def put(self, upload: str, number: int, packed: Packed, time_ms: int) -> Packed | None:
        """Add a segment to an upload; see `ContinuedUploads.put`."""
        self._load(upload)
        return super().put(upload, number, packed, time_ms)

    def below(self, path: str) -> int:
        """Return the bytes of segments at a path and below it; see `ContinuedUploads.below`."""
        return self._count("coalesce(sum(size), 0)::bigint", path) + super().below(path)

    def count_below(self, path: str) -> int:
        """Return how many uploads are for a path and below it; see `ContinuedUploads.count_below`."""
        return self._count("count(*)", path) + super().count_below(path)

    def _count(self, what: str, path: str) -> int:
        """Count in the rows; what the transaction has changed is not written yet."""
        place = plain_place_of(path).encode()
        query = f"SELECT {what} FROM continued WHERE path IN (%s, %s) OR (path >= %s AND path < %s)"
        found = self._cursor.execute(query, (place, place + b"/", place + b"/", place + b"0")).fetchone()[0]
        return int(found)

    def end(self, upload: str) -> Continued | None:
        """Remove and return an upload; None if there is none with this id."""
        self._load(upload)
        found = super().end(upload)
        if found is not None and isinstance(found.segments, StoredSegments):
            found.segments.load()
        if upload in self._before:
            self._gone.add(upload)
        return found

    def flush(self, counts: Counts) -> None:
        """Write what was changed."""
        execute = self._cursor.execute
        for upload in sorted(self._gone):
            execute("DELETE FROM segment WHERE of = %s", (bytes.fromhex(upload),))
            execute("DELETE FROM continued WHERE upload = %s", (bytes.fromhex(upload),))
        for upload, each in self._uploads.items():
            key = bytes.fromhex(upload)
            if upload not in self._before:
                path, *place = place_of(each.path, upload)
                row = (key, path.encode(), "".join(place).encode(), msgspec.json.encode(each.said), each.began_ms)
                query = "INSERT INTO continued VALUES (%s, %s, %s, %s, %s, %s, %s)"
                execute(query, (*row, each.touched_ms, each.size))
            elif self._before[upload] != (each.touched_ms, each.size):
                query = "UPDATE continued SET touched_ms = %s, size = %s WHERE upload = %s"
                execute(query, (each.touched_ms, each.size, key))
            self._flush_segments(key, each)
        counts.add("continued", len(self._uploads) - len(self._before))
        counts.add("continued bytes", self.size - sum(size for _, size in self._before.values()))

    def _flush_segments(self, key: bytes, each: Continued) -> None:
        changed = each.segments.changed if isinstance(each.segments, StoredSegments) else set(each.segments)
        for number in sorted(changed):
            query = """INSERT INTO segment VALUES (%s, %s, %s)
                ON CONFLICT (of, number) DO UPDATE SET upload = excluded.upload"""
            self._cursor.execute(query, (key, number, each.segments[number][:KEY]))
