"""The rows of small documents."""

from __future__ import annotations

from typing import Any

from splitd.catalog.sql.counts import Counts
from splitd.catalog.sql.rows import array, array_of_texts
from splitd.model.documents import Document, Documents

_MOST_DROPPED = 500
"""How many documents that have expired one `put` drops; the next one drops more."""
_COLUMNS = "kind, key, owner, body, expires_ms, revision"


class DocumentRows(Documents):
    """The documents that one transaction is about."""

    def __init__(self, cursor: Any) -> None:
        super().__init__()
        self._cursor = cursor
        self._last: int | None = None
        self._loaded: dict[tuple[str, str], Document] = {}

    @property
    def last(self) -> int:
        """The highest revision of a document so far."""
        if self._last is None:
            self._last = self._cursor.execute("SELECT revision FROM catalog").fetchone()[0]
        return self._last or 0

    @last.setter
    def last(self, revision: int) -> None:
        self._last = revision or None

    def find(self, kind: str, key: str, now_ms: int) -> Document | None:
        """Return a document; see `Documents.find`."""
        self._take("kind = %s AND key = %s", kind, _name(key))
        return super().find(kind, key, now_ms)

    def put(self, document: Document, now_ms: int) -> None:
        """Add a document; see `Documents.put`."""
        self._take("kind = %s AND key = %s", document.kind, _name(document.key))
        self._take("expires_ms > 0 AND expires_ms <= %s ORDER BY expires_ms LIMIT %s", now_ms, _MOST_DROPPED)
        super().put(document, now_ms)

    def page(self, kind: str, owner: str | None, after: str, limit: int, now_ms: int) -> list[Document]:
        """List documents; see `Documents.page`."""
        of_owner, values = ("", ()) if owner is None else (" AND owner = %s", (_name(owner),))
        where = f"kind = %s AND key > %s{of_owner} AND (expires_ms = 0 OR expires_ms > %s) ORDER BY kind, key LIMIT %s"
        self._take(where, kind, _name(after), *values, now_ms, limit)
        return super().page(kind, owner, after, limit, now_ms)

    def load_all(self) -> None:
        """Load all documents."""
        self._take("TRUE ORDER BY revision")

    def _take(self, where: str, *values: Any) -> None:
        for row in self._cursor.execute(f"SELECT {_COLUMNS} FROM document WHERE {where}", values).fetchall():
            kind, key, owner, body, expires_ms, revision = row
            place = kind, key.decode()
            if place not in self._loaded:
                found = Document(*place, owner.decode(), body.decode(), expires_ms, revision)
                self._loaded[place] = found
                last = self._last
                super().put(found, 0)
                self._last = last

    def flush(self, counts: Counts) -> None:
        """Write what was changed."""
        execute = self._cursor.execute
        gone = sorted(self._loaded.keys() - self._documents.keys())
        if gone:
            query = """DELETE FROM document d USING unnest(%s::text[], %s::bytea[]) AS gone(kind, key)
                WHERE d.kind = gone.kind AND d.key = gone.key"""
            kinds, keys = zip(*gone, strict=True)
            execute(query, (array_of_texts(kinds), array([_name(key) for key in keys])))
        for place, document in self._documents.items():
            if self._loaded.get(place) is not document:
                row = document.kind, _name(document.key), _name(document.owner), document.body.encode()
                execute(_PUT, (*row, document.expires_ms, document.revision))
                execute("UPDATE catalog SET revision = greatest(revision, %s)", (document.revision,))
        counts.add("documents", len(self._documents) - len(self._loaded))


_PUT = f"""INSERT INTO document ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (kind, key) DO UPDATE SET owner = excluded.owner, body = excluded.body,
        expires_ms = excluded.expires_ms, revision = excluded.revision"""


def _name(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
