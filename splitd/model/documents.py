"""Small documents that are no files: what people make for themselves, such as logins and links.  Pure."""

from __future__ import annotations

import re

import attrs
from sortedcontainers import SortedList

MAX_BODY = 16 * 1024
"""The most bytes of a body, in UTF-8."""
MAX_KEY = 255
"""The most characters of a key, and of an owner."""

_KIND = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")


@attrs.frozen
class Document:
    """A small document.

    :param kind: what it is, as "login": up to 32 characters of a-z, 0-9 and "-".
    :param key: its name; no other document of the kind has it.
    :param owner: the user whom it belongs to; empty for nobody in particular.
    :param body: its text, whose meaning its kind defines.
    :param expires_ms: when it ends, in milliseconds since 1970; 0 for never.
    :param revision: a number that grows with each change of the document.
    """

    kind: str
    key: str
    owner: str
    body: str
    expires_ms: int = 0
    revision: int = 0

    def has_expired(self, now_ms: int) -> bool:
        """Whether it has ended."""
        return 0 < self.expires_ms <= now_ms


def check_document(document: Document) -> None:
    """Refuse a document that cannot be kept.

    :raise ValueError: its kind is none, a text is too long or cannot be encoded in UTF-8, its key is empty, or a number
        is negative.
    """
    if not _KIND.match(document.kind):
        raise ValueError(f"{document.kind[:40]!r} is not a kind of document")
    if not 0 < len(document.key) <= MAX_KEY:
        raise ValueError(f"a key of {len(document.key)} characters: 1 to {MAX_KEY} are allowed")
    if len(document.owner) > MAX_KEY:
        raise ValueError(f"an owner of {len(document.owner)} characters: {MAX_KEY} are allowed")
    try:
        (document.key + document.owner).encode()
        size = len(document.body.encode())
    except UnicodeEncodeError as problem:
        raise ValueError(f"a lone surrogate at character {problem.start}") from problem
    if size > MAX_BODY:
        raise ValueError(f"a body of {size} bytes: {MAX_BODY} are allowed")
    if document.expires_ms < 0:
        raise ValueError("the time at which it ends is negative")


class Documents:
    """All small documents.

    A document that has expired is found no more, and is dropped by the next `put`.  So what is kept depends on nothing
    but the calls of `put` and `remove`, with their times.

    :ivar last: the highest revision of a document so far.
    """

    def __init__(self) -> None:
        self._documents: dict[tuple[str, str], Document] = {}
        self._order: SortedList = SortedList()
        self._owned: SortedList = SortedList()
        self._ends: SortedList = SortedList()
        self.last = 0

    def __len__(self) -> int:
        return len(self._documents)

    def all(self) -> list[Document]:
        """Return all documents, those that have expired and are not dropped yet as well."""
        return [self._documents[each] for each in self._order]

    def revision(self, kind: str, key: str) -> int:
        """Return the revision of a document, which may have expired; 0 if there is none."""
        found = self._documents.get((kind, key))
        return 0 if found is None else found.revision

    def find(self, kind: str, key: str, now_ms: int) -> Document | None:
        """Return a document; None if there is none, or if it has expired."""
        found = self._documents.get((kind, key))
        return None if found is None or found.has_expired(now_ms) else found

    def put(self, document: Document, now_ms: int) -> None:
        """Add a document, in place of the one with this kind and key, and drop those that have expired before."""
        while self._ends and self._ends[0][0] <= now_ms:
            self.remove(*self._ends[0][1:])
        self.remove(document.kind, document.key)
        kind, key = document.kind, document.key
        self._documents[kind, key] = document
        self._order.add((kind, key))
        self._owned.add((kind, document.owner, key))
        if document.expires_ms:
            self._ends.add((document.expires_ms, kind, key))
        self.last = max(self.last, document.revision)

    def remove(self, kind: str, key: str) -> None:
        """Drop a document, if there is such a one."""
        found = self._documents.pop((kind, key), None)
        if found is None:
            return
        self._order.remove((kind, key))
        self._owned.remove((kind, found.owner, key))
        if found.expires_ms:
            self._ends.remove((found.expires_ms, kind, key))

    def page(self, kind: str, owner: str | None, after: str, limit: int, now_ms: int) -> list[Document]:
        """List documents of a kind in the order of their keys; expired ones are left out.

        :param owner: list only what belongs to this user; None for all.
        :param after: the key of the last document of the page before; empty for the first page.
        :param limit: how many at most.
        """
        order, start = (self._order, (kind,)) if owner is None else (self._owned, (kind, owner))
        found: list[Document] = []
        for each in order.irange((*start, after), inclusive=(False, True)):
            if each[:-1] != start or len(found) == limit:
                break
            document = self._documents[kind, each[-1]]
            if not document.has_expired(now_ms):
                found.append(document)
        return found
