"""The pairs of keys by which requests are signed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs

from splitd.access.grants import RIGHTS, Grants, Principal
from splitd.access.logins import Logins, OwnHolder
from splitd.access.own import KEY, OwnCredentials, is_key_id


@attrs.frozen
class AccessKey:
    """A pair of keys.

    :param secret: what it signs with.
    :param principal: the one whose it is.
    """

    secret: str = attrs.field(repr=False)
    principal: Principal


class IAccessKeys(Protocol):
    """The keys that are good now."""

    @property
    def generation(self) -> object:
        """Stands for the present keys: another object after each change."""

    @property
    def anonymous(self) -> Principal:
        """The one who sends a request without a signature."""

    def find(self, access_key: str) -> AccessKey | None:
        """Return a pair of keys by its id; None if there is none.

        :raise NotLooked: the catalog must be asked.
        """

    async def look(self, access_key: str) -> IAccessKeys:
        """Ask the catalog for a pair of keys; return the keys, of which `find` knows this pair for sure."""


class NotLooked(Exception):
    """The catalog must be asked for a pair of keys: `look`, and then find it again.

    :ivar access_key: its id.
    """

    def __init__(self, access_key: str) -> None:
        super().__init__(access_key)
        self.access_key = access_key


class UserKeys:
    """The keys of the users.

    :param logins: returns the logins of the present users.
    :param unseal: returns the secret of a key, given its id and the sealed secret, or raises `ValueError`.
    :param own: finds the keys that users have made for themselves; None if there are none.
    """

    def __init__(
        self, logins: Callable[[], Logins], unseal: Callable[[str, str], str], own: OwnCredentials | None = None
    ) -> None:
        self._own = own
        self._logins = logins
        self._unseal = unseal
        self._opened: dict[str, AccessKey] = {}
        self._opened_of: object = None

    @property
    def generation(self) -> object:
        """Stands for the present users: another object after each change of their file."""
        return self._logins()

    @property
    def anonymous(self) -> Principal:
        """The one who sends a request without a signature: they may do what everybody may."""
        return self._logins().anonymous

    def find(self, access_key: str) -> AccessKey | None:
        """Return a pair of keys by its id; None if there is none, or if it was sealed under another cluster key.

        :raise NotLooked: the catalog must be asked.
        """
        logins = self._logins()
        if self._own is not None and is_key_id(access_key):
            holder, is_known = self._own.known(logins, KEY, access_key)
            if not is_known:
                raise NotLooked(access_key)
            return _pair_of(holder)
        if self._opened_of is not logins:
            self._opened, self._opened_of = {}, logins
        found = self._opened.get(access_key)
        if found is None and (sealed := logins.find_key(access_key)) is not None:
            principal, secret = sealed
            try:
                found = self._opened[access_key] = AccessKey(self._unseal(access_key, secret), principal)
            except ValueError:
                return None
        return found

    async def look(self, access_key: str) -> IAccessKeys:
        """Ask the catalog for a pair of keys that its user has made."""
        holder = None if self._own is None else await self._own.find(self._logins(), KEY, access_key)
        return _Looked(self, access_key, _pair_of(holder))


def _pair_of(holder: OwnHolder | None) -> AccessKey | None:
    return None if holder is None or not holder.secret else AccessKey(holder.secret, holder.principal)


@attrs.frozen
class _Looked:
    """Keys of which one was looked up just now: the catalog need not be asked again, whatever it changes meanwhile."""

    _keys: IAccessKeys
    _access_key: str
    _found: AccessKey | None

    @property
    def generation(self) -> object:
        return self._keys.generation

    @property
    def anonymous(self) -> Principal:
        return self._keys.anonymous

    def find(self, access_key: str) -> AccessKey | None:
        return self._found if access_key == self._access_key else self._keys.find(access_key)

    async def look(self, access_key: str) -> IAccessKeys:
        return await self._keys.look(access_key)


class OneKey:
    """The only key of a store without users.  It is good for everything, and nothing is allowed without it.

    :param access_key: its id.
    """

    def __init__(self, access_key: str, secret: str) -> None:
        self._access_key = access_key
        self._key = AccessKey(secret, Principal("splitd", Grants([("/", frozenset(RIGHTS))])))
        self.anonymous = Principal("", Grants([]))
        self.generation: object = self

    def find(self, access_key: str) -> AccessKey | None:
        """Return the key if this is its id; else None."""
        return self._key if access_key == self._access_key else None

    async def look(self, access_key: str) -> IAccessKeys:  # noqa: ARG002 - there is no other key
        """Return the same: there is no other key."""
        return self
