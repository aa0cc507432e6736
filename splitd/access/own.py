"""Keys and tokens that people make for themselves, and take back.  The catalog keeps them."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Sequence

import attrs
import msgspec
from cachetools import LRUCache
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from splitd.access.grants import Principal
from splitd.access.identities import Identities
from splitd.access.logins import Logins, OwnHolder
from splitd.access.remembered import Remembered, spreads_in_s
from splitd.access.secrets import OWN_KEY_PREFIX, OWN_TOKEN_PREFIX, Seal
from splitd.errors import DocumentChanged
from splitd.interfaces.documents import IDocuments
from splitd.model.documents import Document
from storaged.system.clocks import WallClock

KEY, TOKEN = "own-key", "own-token"
KINDS = (KEY, TOKEN)

MOST = 100
"""The most keys of a user, and the most tokens."""

_DAY_MS = 24 * 3600 * 1000
_PAGE = 1000
_REMEMBERED = 10_000


class Own(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key or a token, as its document keeps it.

    :param label: what its owner calls it.
    :param made_ms: when it was made, milliseconds since 1970.
    :param allow: the rights that it has at most.
    :param path: the path that it is good for, and all below it.
    :param secret: that of a key, sealed; empty for a token, which is found by its digest.
    :param by_issuer: whether its owner may do what they may by what the issuer said of them.
    :param used_ms: when it was used last, to a day; 0 for never.
    """

    label: str
    made_ms: int
    allow: list[str]
    path: str = "/"
    secret: str = ""
    by_issuer: bool = False
    used_ms: int = 0


@attrs.frozen
class Made:
    """A key or a token that has just been made.

    :param secret: the secret of the key, or the token; nothing keeps it so that it can be shown again.
    """

    document: Document
    secret: str = attrs.field(repr=False)


def read_own(document: Document) -> Own:
    """Return the key or the token that a document keeps."""
    return msgspec.json.decode(document.body, type=Own)


_KEY = re.compile(rf"\A{OWN_KEY_PREFIX}[A-Z2-7]{{16}}\Z")


def is_key_id(name: str) -> bool:
    """Return whether a key that somebody has made can have this id."""
    return _KEY.match(name) is not None


def token_key(token: bytes) -> str:
    """Return the key of a token's document."""
    return hashlib.sha256(token).hexdigest()


class OwnCredentials:
    """The keys and tokens that people have made for themselves.

    One that is known costs the catalog nothing: it is remembered as long as it is surely there.

    :param documents: where they are kept.
    :param identities: tells what their owners may do.
    :param seal: seals the secrets of keys.
    :param wall: tells what time it is.
    """

    _log = Logger()

    def __init__(
        self, documents: IDocuments, remembered: Remembered, identities: Identities, seal: Seal, wall: WallClock
    ) -> None:
        self._documents = documents
        self._remembered = remembered
        self._identities = identities
        self._seal = seal
        self._wall = wall
        self._holders: LRUCache[tuple[str, str], tuple[Document, Principal, OwnHolder]] = LRUCache(_REMEMBERED)
        self._noted: LRUCache[tuple[str, str], int] = LRUCache(_REMEMBERED)

    @property
    def spreads_in_s(self) -> float:
        """After how many seconds every front knows that a key was taken back."""
        return spreads_in_s(self._documents)

    async def make(self, kind: str, owner: str, own: Own, ends_ms: int) -> Made:
        """Make a key or a token.

        :param own: what it shall be; its secret does not matter.
        :param ends_ms: when it ends, by `WallClock.steady_ms`; 0 for never.
        :raise TooManyDocuments: the user has `MOST`.
        :raise CatalogReadOnly: the catalog cannot be written.
        """
        if kind == KEY:
            name = OWN_KEY_PREFIX + base64.b32encode(secrets.token_bytes(10)).decode()
            secret = secrets.token_urlsafe(30)
            own = msgspec.structs.replace(own, secret=self._seal.seal(name, secret))
        else:
            secret = OWN_TOKEN_PREFIX + secrets.token_urlsafe(32)
            name = token_key(secret.encode())
        document = Document(kind, name, owner, msgspec.json.encode(own).decode(), ends_ms)
        return Made(await self._documents.put(document, expected=0, most=MOST), secret)

    async def page(self, kind: str, owner: str | None, after: str, limit: int) -> Sequence[Document]:
        """List keys or tokens; see `IDocuments.page`."""
        return await self._documents.page(kind, owner, after, limit)

    async def find_any(self, name: str) -> Document | None:
        """Return the key or the token of an id; None if there is none."""
        for kind in KINDS:
            found = await self._documents.find(kind, name)
            if found is not None:
                return found
        return None

    async def take_back(self, document: Document) -> None:
        """Delete a key or a token.  It is good for nothing any more, after `spreads_in_s` at any other front."""
        await self._documents.delete(document.kind, document.key)

    # Requests

    def known_token(self, logins: Logins, token: str) -> OwnHolder | None:
        """Return whose a token is, by its digest, if that is known; else None."""
        return self.known(logins, TOKEN, token)[0]

    async def find_token(self, logins: Logins, token: str) -> OwnHolder | None:
        """Return whose a token is, by its digest; None if there is none."""
        return await self.find(logins, TOKEN, token)

    def known(self, logins: Logins, kind: str, name: str) -> tuple[OwnHolder | None, bool]:
        """Return whose a key or a token is, without asking the catalog.

        :return: the holder, None if there is none who may do something; and whether that is known.
        """
        document, is_known = self._remembered.known(kind, name)
        if document is None:
            return None, is_known
        before = self._holders.get((kind, name))
        by_issuer = read_own(document).by_issuer if before is None else before[2].by_issuer
        principal, is_known = self._identities.known(logins, document.owner, by_issuer=by_issuer)
        if principal is None:
            return None, is_known
        return self._holder(document, principal), True

    async def find(self, logins: Logins, kind: str, name: str) -> OwnHolder | None:
        """Return whose a key or a token is; None if there is none, or if its owner may do nothing here any more."""
        document = await self._remembered.find(kind, name)
        if document is None:
            return None
        principal = await self._identities.find(logins, document.owner, by_issuer=read_own(document).by_issuer)
        return None if principal is None else self._holder(document, principal)

    def _holder(self, document: Document, owner: Principal) -> OwnHolder:
        place = document.kind, document.key
        before = self._holders.get(place)
        if before is not None and before[0].revision == document.revision and before[1] is owner:
            self._use(document, before[2].used_ms)
            return before[2]
        own = read_own(document)
        grants = owner.grants.narrowed(own.path, frozenset(own.allow))
        principal = Principal(owner.name, grants, owner.claims, own=document.key)
        if before is not None and before[1] is owner and before[2].principal.grants.is_same(grants):
            principal = before[2].principal  # only the day of its last use is another one
        try:
            secret = self._seal.open(document.key, own.secret) if own.secret else ""
        except ValueError:
            secret = ""
        holder = OwnHolder(principal, secret, document.expires_ms, own.by_issuer, own.used_ms)
        if secret or not own.secret:  # the cluster key that opens it may come back
            self._holders[place] = document, owner, holder
        self._use(document, own.used_ms)
        return holder

    def _use(self, document: Document, used_ms: int) -> None:
        now_ms, place = self._wall.now_ms(), (document.kind, document.key)
        if now_ms >= max(used_ms, self._noted.get(place, 0)) + _DAY_MS:
            self._noted[place] = now_ms
            own = msgspec.structs.replace(read_own(document), used_ms=now_ms)
            changed = attrs.evolve(document, body=msgspec.json.encode(own).decode())
            # It may fail: another front notes it, the key was taken back, nothing can be written.
            self._documents.put(changed, expected=document.revision).addErrback(lambda _: None)

    def reseal(self) -> Deferred[Sequence[str]]:
        """Seal the secrets of all keys anew that were not sealed under the first cluster key.

        :return: a Deferred that fires with the ids of those that no present cluster key opens; they stay as they are,
            since their cluster key may come back.
        """
        return Deferred.fromCoroutine(self._reseal_all())

    async def _reseal_all(self) -> Sequence[str]:
        after, count, lost = "", 0, list[str]()
        while page := await self._documents.page(KEY, None, after, _PAGE):
            for document in page:
                try:
                    count += await self._reseal(document)
                except ValueError:
                    lost.append(document.key)
            after = page[-1].key
        if count:
            self._log.info("{count} keys of users are sealed anew, under the first cluster key", count=count)
        return lost

    async def _reseal(self, document: Document | None) -> bool:
        """Seal the secret of one key anew, if that is needed; return whether it was.

        :raise ValueError: no present cluster key opens it.
        """
        while document is not None:
            own, name = read_own(document), document.key
            if self._seal.is_newest(name, own.secret):
                return False
            secret = self._seal.seal(name, self._seal.open(name, own.secret))
            body = msgspec.json.encode(msgspec.structs.replace(own, secret=secret)).decode()
            try:
                await self._documents.put(attrs.evolve(document, body=body), expected=document.revision)
                return True
            except DocumentChanged:  # its use was noted meanwhile; the old cluster key may be gone soon
                document = await self._documents.find(KEY, name)
        return False
