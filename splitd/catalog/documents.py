"""The small documents of the journalled catalog."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred, execute, fail
from zope.interface import implementer

from splitd.catalog.changes import Changes
from splitd.catalog.state import State
from splitd.errors import DocumentChanged, TooManyDocuments
from splitd.interfaces.documents import IDocuments
from splitd.model import records
from splitd.model.documents import Document, check_document
from splitd.model.records import Record


@implementer(IDocuments)
class JournalledDocuments:
    """Small documents, recorded in a journal.

    :param state: the state that the journal's records result in; only `changes` changes it.
    """

    def __init__(self, state: State, changes: Changes) -> None:
        self._state = state
        self._changes = changes

    def put(self, document: Document, expected: int | None = None, most: int | None = None) -> Deferred[Document]:
        """Keep a document; see `IDocuments.put`."""
        kind, key, owner = document.kind, document.key, document.owner

        def judge() -> tuple[Record, Document]:
            now_ms, documents = self._changes.lock_ms(), self._state.documents
            present = documents.find(kind, key, now_ms)
            _refuse_other(kind, key, present, expected)
            is_more = present is None or present.owner != owner
            if is_more and most is not None and len(documents.page(kind, owner, "", most, now_ms)) == most:
                raise TooManyDocuments(f"{owner or 'nobody'} has {most} documents of the kind {kind} already")
            # After a restart, the time is higher than the revisions of documents that have been dropped.
            made = attrs.evolve(document, revision=max(documents.last + 1, now_ms))
            return records.DocumentPut(**attrs.asdict(made), time_ms=now_ms), made

        try:
            check_document(document)
        except ValueError:
            return fail()
        return self._changes.make(judge, *_keys(kind, key), f"owner/{kind}/{owner}", durable=True)

    def find(self, kind: str, key: str) -> Deferred[Document | None]:
        """Look up a document; see `IDocuments.find`."""
        return execute(self._state.documents.find, kind, key, self._changes.lock_ms())

    def delete(self, kind: str, key: str, expected: int | None = None) -> Deferred[bool]:
        """Delete a document; see `IDocuments.delete`."""

        def judge() -> tuple[Record | None, bool]:
            present = self._state.documents.find(kind, key, self._changes.lock_ms())
            _refuse_other(kind, key, present, expected)
            return (None, False) if present is None else (records.DocumentDeleted(kind, key), True)

        return self._changes.make(judge, *_keys(kind, key), durable=True)

    def stamp(self, kind: str, key: str) -> object | None:
        """Return what stands for the present revision of a document; see `IDocuments.stamp`."""
        return self._state.documents.revision(kind, key)

    def page(self, kind: str, owner: str | None, after: str, limit: int) -> Deferred[list[Document]]:
        """List documents; see `IDocuments.page`."""
        return execute(self._state.documents.page, kind, owner, after, limit, self._changes.lock_ms())


def _keys(kind: str, key: str) -> tuple[str]:
    return (f"document/{kind}/{key}",)


def _refuse_other(kind: str, key: str, present: Document | None, expected: int | None) -> None:
    """Refuse a change if there is another revision than the expected one.

    :raise DocumentChanged: there is.
    """
    found = 0 if present is None else present.revision
    if expected is not None and found != expected:
        raise DocumentChanged(f"the {kind} {key} has changed: revision {found} is there, not {expected}")
