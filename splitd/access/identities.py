"""What an issuer of OpenID Connect said last of people: what they have made here is judged by it."""

from __future__ import annotations

import msgspec

from splitd.access.grants import Claims, Principal
from splitd.access.logins import Logins
from splitd.access.remembered import Remembered
from splitd.errors import Forbidden
from splitd.interfaces.documents import IDocuments
from splitd.model.documents import Document
from storaged.system.clocks import WallClock

_KIND = "identity"
_DAY_MS = 24 * 3600 * 1000


class _Told(msgspec.Struct, frozen=True):
    issuer: str
    groups: list[str]


class Identities:
    """The claims of people, as of their last login.

    :param documents: where they are kept.
    :param remembered: looks them up.
    :param wall: tells how long they are believed.
    """

    def __init__(self, documents: IDocuments, remembered: Remembered, wall: WallClock) -> None:
        self._documents = documents
        self._remembered = remembered
        self._wall = wall

    async def note(self, claims: Claims, days: int) -> None:
        """Note what the issuer says of somebody who has just proven it.

        :param days: for how long it is believed; 0 for not at all.
        """
        if days:
            body = msgspec.json.encode(_Told(claims.issuer, sorted(claims.groups))).decode()
            ends_ms = self._wall.steady_ms() + days * _DAY_MS
            await self._documents.put(Document(_KIND, claims.user, claims.user, body, ends_ms))

    async def seen(self, claims: Claims, principal: Principal | None, days: int) -> None:
        """Note what the issuer says of somebody who has just logged in there; what they have made is judged by it.

        :param principal: what they may do here by it; None for nothing.
        """
        # Also of those of whom the users' file says all by now: what they made before was made by the issuer's word.
        if principal is not None and days:
            await self.note(claims, days)
        else:
            await self._documents.delete(_KIND, claims.user)

    async def keep(self, principal: Principal, days: int) -> bool:
        """Note by what somebody may do what they make here.

        :return: whether that is what the issuer says of them, and not the users' file alone.
        :raise Forbidden: it is not believed when they are away.
        """
        if principal.claims is None:
            return False
        if not days:
            raise Forbidden("those whom only the issuer names make nothing here that lasts")
        await self.note(principal.claims, days)
        return True

    def known(self, logins: Logins, name: str, *, by_issuer: bool) -> tuple[Principal | None, bool]:
        """Return who has a name, without asking the catalog; see `find`.

        :return: the principal, None if nobody has it; and whether that is known.
        """
        if not by_issuer:
            return logins.named(name), True
        document, is_known = self._remembered.known(_KIND, name)
        return (None if document is None else logins.of_claims(_read(document))), is_known

    async def find(self, logins: Logins, name: str, *, by_issuer: bool) -> Principal | None:
        """Return who has a name, which proves nothing about who asks; None if nobody has it.

        :param by_issuer: whether what the issuer said of them counts.
        """
        if not by_issuer:
            return logins.named(name)
        document = await self._remembered.find(_KIND, name)
        return None if document is None else logins.of_claims(_read(document))


def _read(document: Document) -> Claims:
    told = msgspec.json.decode(document.body, type=_Told)
    return Claims(told.issuer, document.owner, frozenset(told.groups))
