"""Small documents in the database."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from splitd.catalog.documents import JournalledDocuments
from splitd.catalog.sql.changes import StoredChanges
from splitd.model.documents import Document


class StoredDocuments(JournalledDocuments):
    """Small documents; see `IDocuments`.  Their changes are made one at a time, by all fronts together."""

    _changes: StoredChanges

    def put(self, document: Document, expected: int | None = None, most: int | None = None) -> Deferred[Document]:
        """Keep a document; see `IDocuments.put`."""
        with self._changes.manner(documents=True):
            return super().put(document, expected, most)

    def delete(self, kind: str, key: str, expected: int | None = None) -> Deferred[bool]:
        """Delete a document; see `IDocuments.delete`."""
        with self._changes.manner(documents=True):
            return super().delete(kind, key, expected)

    def find(self, kind: str, key: str) -> Deferred[Document | None]:
        """Look up a document; see `IDocuments.find`."""
        return self._changes.read(lambda: self._state.documents.find(kind, key, self._changes.lock_ms()))

    def stamp(self, kind: str, key: str) -> object | None:  # noqa: ARG002 - as the interface says
        """Return None: another front may have changed it; see `IDocuments.stamp`."""
        return None

    def page(self, kind: str, owner: str | None, after: str, limit: int) -> Deferred[list[Document]]:
        """List documents; see `IDocuments.page`."""

        def page() -> list[Document]:
            return self._state.documents.page(kind, owner, after, limit, self._changes.lock_ms())

        return self._changes.read(page)
