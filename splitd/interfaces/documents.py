"""The interface of the catalog for small documents that are no files."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import Interface

from splitd.model.documents import Document


class IDocuments(Interface):
    """Small documents: what people make for themselves, and what must survive a restart and a takeover.

    A document has a kind, a key that is its own within the kind, an owner, and a body of at most `MAX_BODY` bytes.  It
    may have a time at which it ends: from then on it is found no more, and its room is used again.  Times are those of
    `WallClock.steady_ms`.  Changes of one document take turns; a change keeps the rules of `ICatalog` for changes.
    Nothing here is encrypted: a secret is kept as its digest.
    """

    def put(document: Document, expected: int | None = None, most: int | None = None) -> Deferred[Document]:
        """Keep a document, in place of the one with this kind and key.

        :param document: its revision does not matter.
        :param expected: the revision that must be replaced; 0 if there must be none with this kind and key; None if it
            does not matter.
        :param most: how many documents of this kind the owner may have, this one included; None for any number.
        :return: a Deferred that fires with the document, with its new revision, when it would survive a power cut.
        :raise DocumentChanged: there is another revision than the expected one.
        :raise TooManyDocuments: the owner has the most already.
        :raise ValueError: `check_document` refuses it.
        :raise CatalogReadOnly: the catalog cannot be written.
        """

    def find(kind: str, key: str) -> Deferred[Document | None]:
        """Look up a document.

        :return: a Deferred that fires with it; None if there is none.
        """

    def delete(kind: str, key: str, expected: int | None = None) -> Deferred[bool]:
        """Delete a document.

        :param expected: the revision that must be there; None if it does not matter.
        :return: a Deferred that fires with whether there was one, when its end would survive a power cut.
        :raise DocumentChanged: there is another revision than the expected one.
        :raise CatalogReadOnly: the catalog cannot be written.
        """

    def stamp(kind: str, key: str) -> object | None:
        """Return what stands for the present revision of a document, without a turn: as long as it is equal, `find`
        finds the same, but for what has expired meanwhile.

        :return: None if the catalog must be asked.
        """

    def page(kind: str, owner: str | None, after: str, limit: int) -> Deferred[list[Document]]:
        """List a page of the documents of a kind, in the order of their keys by code point.

        Its cost depends on `limit`, and on how many have expired since the last `put`.

        :param owner: list only those of this user; None for those of all users.
        :param after: the key of the last document of the page before; empty for the first page.
        :param limit: how many at most.
        :return: a Deferred that fires with the documents.
        """
