"""Small documents that are looked up with many requests: remembered as long as they are surely the same."""

from __future__ import annotations

import attrs
from cachetools import LRUCache

from splitd.interfaces.documents import IDocuments
from splitd.model.documents import Document
from storaged.system.clocks import WallClock

LOOKED_S = 2
"""How long a document is believed if nothing tells whether it has changed: another front may have changed it."""

_MOST = 10_000
_MOST_ABSENT = 1000


@attrs.frozen
class _Look:
    document: Document | None
    stamp: object
    at_ms: int


class Remembered:
    """Looks up small documents, and remembers them.

    :param documents: where they are kept.
    :param wall: tells when they expire.
    """

    def __init__(self, documents: IDocuments, wall: WallClock) -> None:
        self._documents = documents
        self._wall = wall
        self._found: LRUCache[tuple[str, str], _Look] = LRUCache(_MOST)
        self._absent: LRUCache[tuple[str, str], _Look] = LRUCache(
            _MOST_ABSENT
        )  # guesses push out nothing that is there

    def known(self, kind: str, key: str) -> tuple[Document | None, bool]:
        """Return a document without asking the catalog.

        :return: the document, None if there is none; and whether that is known.
        """
        place = kind, key
        look = self._found.get(place) or self._absent.get(place)
        if look is None:
            return None, False
        now_ms, stamp = self._wall.steady_ms(), self._documents.stamp(kind, key)
        if now_ms >= look.at_ms + LOOKED_S * 1000 if stamp is None else stamp != look.stamp:
            return None, False
        document = look.document
        return (None if document is None or document.has_expired(now_ms) else document), True

    async def find(self, kind: str, key: str) -> Document | None:
        """Return a document; None if there is none."""
        document, is_known = self.known(kind, key)
        if is_known:
            return document
        stamp, at_ms = self._documents.stamp(kind, key), self._wall.steady_ms()
        document = await self._documents.find(kind, key)
        table, other = (self._found, self._absent) if document is not None else (self._absent, self._found)
        other.pop((kind, key), None)
        table[kind, key] = _Look(document, stamp, at_ms)
        return document


def spreads_in_s(documents: IDocuments) -> float:
    """Return after how many seconds every front knows of a change that was acknowledged; 0 if they know it then."""
    return LOOKED_S if documents.stamp("any", "any") is None else 0
