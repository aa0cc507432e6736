"""Sessions of people who logged in with a form: what the cookie of a browser stands for."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable

import attrs
import msgspec
from cachetools import LRUCache

from splitd.access.grants import Claims
from splitd.access.remembered import LOOKED_S, spreads_in_s
from splitd.errors import TooManyDocuments
from splitd.interfaces.documents import IDocuments
from splitd.model.documents import Document
from storaged.system.clocks import WallClock

LASTS_S = 24 * 3600
"""How long a session lasts at most."""

IDLE_S = 4 * 3600
"""How long a session lasts without a request; after a start of the front, since then."""

MOST = 100
"""The most sessions of a user; one more ends the one that began first."""

_KIND = "session"
_DONE = "login-done"
_REMEMBERED = 10_000
_PAGE = 100


@attrs.define(eq=False)
class Session:
    """What a cookie stands for.

    :param user: who has logged in.
    :param stamp: stands for the user's password, or the token that they have logged in with: a session ends with it.
    :param csrf: what a request that changes something must send along; a page of another site cannot know it.
    :param used_ms: when the last request came; all times are those of `WallClock.steady_ms`.
    :param looked_ms: when the catalog had it.
    :param seen: what stood for it then; see `IDocuments.stamp`.
    :param ends_ms: when it ends at the latest.
    :param claims: what the issuer said of the user, if they logged in there; None if they did not.
    :param hint: what ends their session at the issuer, sealed; empty if it is not known.
    """

    user: str
    stamp: str
    csrf: str
    used_ms: int
    looked_ms: int
    seen: object
    ends_ms: int
    claims: Claims | None = None
    hint: str = ""


class _Issued(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of the document of a session that began at the issuer."""

    issuer: str
    groups: list[str]
    hint: str = ""


class Sessions:
    """The sessions that have begun and not ended.  They survive restarts and takeovers.

    The catalog keeps a hash of each cookie only.

    :param documents: where they are kept.
    :param wall: tells when they expire.
    """

    def __init__(self, documents: IDocuments, wall: WallClock) -> None:
        self._documents = documents
        self._wall = wall
        self._known: LRUCache[str, Session] = LRUCache(_REMEMBERED)

    async def begin(self, user: str, stamp: str) -> tuple[str, Session]:
        """Begin a session.

        :param user: has proven who they are.
        :return: the value of the cookie, and the session.
        :raise CatalogReadOnly: the catalog cannot be written.
        """
        return await self._begin(user, stamp, LASTS_S)

    async def begin_issued(
        self, claims: Claims, login: str, lasts_s: float, keeps_s: float, hint: str
    ) -> tuple[str, Session]:
        """Begin a session of somebody who has logged in at the issuer.

        :param claims: what it says of them.
        :param login: names the login, which begins one session only, whatever is sent again.
        :param lasts_s: how long the session lasts at most.
        :param keeps_s: how long somebody could send the login again.
        :param hint: what ends their session at the issuer, sealed.
        :return: the value of the cookie, and the session.
        :raise DocumentChanged: the login has begun a session before.
        :raise CatalogReadOnly: the catalog cannot be written.
        """
        ends_ms = self._wall.steady_ms() + int(keeps_s * 1000)
        await self._documents.put(Document(_DONE, _digest(login), claims.user, "", ends_ms), expected=0)
        body = msgspec.json.encode(_Issued(claims.issuer, sorted(claims.groups), hint)).decode()
        return await self._begin(claims.user, body, lasts_s)

    async def _begin(self, user: str, body: str, lasts_s: float) -> tuple[str, Session]:
        cookie, now_ms = secrets.token_urlsafe(32), self._wall.steady_ms()
        document = Document(_KIND, _digest(cookie), user, body, now_ms + int(lasts_s * 1000))
        await self._put(document)
        return cookie, self._remember(cookie, document, now_ms, self._documents.stamp(_KIND, document.key))

    async def _put(self, document: Document) -> None:
        while True:
            try:
                await self._documents.put(document, expected=0, most=MOST)
                return
            except TooManyDocuments:  # again, if somebody else has begun one meanwhile
                await self._end_oldest(document.owner)

    def known(self, cookie: str) -> Session | None:
        """Return the session of a cookie, if the catalog need not be asked; else None."""
        now_ms, digest = self._wall.steady_ms(), _digest(cookie)
        session = self._known.get(digest)
        if session is None or self._has_ended(session, now_ms) or self._may_have_ended(session, digest, now_ms):
            return None
        session.used_ms = now_ms
        return session

    def _may_have_ended(self, session: Session, digest: str, now_ms: int) -> bool:
        stamp = self._documents.stamp(_KIND, digest)
        return now_ms >= session.looked_ms + LOOKED_S * 1000 if stamp is None else stamp != session.seen

    @property
    def spreads_in_s(self) -> float:
        """After how many seconds every front knows that a session has ended."""
        return spreads_in_s(self._documents)

    async def find(self, cookie: str) -> Session | None:
        """Return the session of a cookie; None if it never began, or has ended."""
        known = self.known(cookie)
        if known is not None:
            return known
        digest, now_ms = _digest(cookie), self._wall.steady_ms()
        before = self._known.pop(digest, None)
        if before is not None and self._has_ended(before, now_ms):
            await self._documents.delete(_KIND, digest)
            return None
        seen = self._documents.stamp(_KIND, digest)
        document = await self._documents.find(_KIND, digest)
        return None if document is None else self._remember(cookie, document, now_ms, seen)

    async def end(self, cookie: str) -> None:
        """End the session of a cookie, if there is one."""
        await self._end(_digest(cookie))

    async def end_all(self, user: str) -> int:
        """End all sessions of a user.

        :return: how many there were.
        """
        return await self._end_where(user, lambda _: True)

    async def end_others(self, claims: Claims) -> int:
        """End the sessions of somebody for which the issuer has said something else of them than now.

        :return: how many there were.
        """
        return await self._end_where(claims.user, lambda document: _claims_of(document) not in {None, claims})

    async def _end_oldest(self, user: str) -> None:
        present = await self._of(user)
        if present:
            # Nothing changes a session, so revisions are in the order in which they began.
            await self._end(min(present, key=lambda document: document.revision).key)

    async def _end_where(self, user: str, is_over: Callable[[Document], bool]) -> int:
        return sum([await self._end(document.key) for document in await self._of(user) if is_over(document)])

    async def _of(self, user: str) -> list[Document]:
        found, after = list[Document](), ""
        while page := await self._documents.page(_KIND, user, after, _PAGE):
            found += page
            after = page[-1].key
        return found

    async def _end(self, digest: str) -> bool:
        self._known.pop(digest, None)
        return await self._documents.delete(_KIND, digest)

    def _remember(self, cookie: str, document: Document, now_ms: int, seen: object) -> Session:
        user, body = document.owner, document.body
        session = Session(user, body, _csrf(cookie), now_ms, now_ms, seen, document.expires_ms)
        session.claims = _claims_of(document)
        if session.claims is not None:
            session.stamp, session.hint = "", msgspec.json.decode(body, type=_Issued).hint
        self._known[document.key] = session
        return session

    @staticmethod
    def _has_ended(session: Session, now_ms: int) -> bool:
        return now_ms >= min(session.ends_ms, session.used_ms + IDLE_S * 1000)


def _claims_of(document: Document) -> Claims | None:
    """Return what the issuer said when a session began; None if it began with a password."""
    if not document.body.startswith("{"):
        return None
    issued = msgspec.json.decode(document.body, type=_Issued)
    return Claims(issued.issuer, document.owner, frozenset(issued.groups))


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "surrogateescape")).hexdigest()


def _csrf(cookie: str) -> str:
    """Return the token of a session: it follows from the cookie, which scripts cannot read, and does not tell it."""
    return hashlib.sha256(b"csrf " + cookie.encode("utf-8", "surrogateescape")).hexdigest()[:40]
