"""Finds out whose credentials a request has."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, time
from functools import partial
from typing import Protocol

import attrs
from cachetools import LRUCache
from twisted.internet.defer import Deferred

from splitd.access.attempts import Attempts, Tell, tell_nobody
from splitd.access.credentials import Credentials, parse_credentials
from splitd.access.entries import TokenEntry, UsersEntries
from splitd.access.grants import Claims, Principal
from splitd.access.oidc.issuer import Issuer
from splitd.access.oidc.tokens import Identity
from splitd.access.secrets import TOKEN_PREFIX, hash_token, proves_password
from splitd.access.sessions import Session
from splitd.errors import BadCredentials, TooManyLogins
from storaged.system.clocks import WallClock
from storaged.system.parallel import InThread

REMEMBERED_S = 300.0
"""How long credentials that were proven are not proven again, since they were last used."""

_OF_TOKEN = "token "  # noqa: S105 - not a secret
_MOST_REMEMBERED = 4096
_MOST_AT_ONCE = 32
"""Passwords that may wait to be proven: each takes about a tenth of a second of a core."""


@attrs.frozen
class OwnHolder:
    """Whose a key or a token is that somebody has made for themselves.

    :param principal: what they may do with it.
    :param secret: that of a key; empty for a token, or if the cluster key under which it was sealed is gone.
    :param ends_ms: when it ends, by `WallClock.steady_ms`; 0 for never.
    :param by_issuer: whether they may do what they may by what an issuer said of them.
    :param used_ms: when it was used last.
    """

    principal: Principal
    secret: str = attrs.field(repr=False)
    ends_ms: int
    by_issuer: bool
    used_ms: int


class IOwnTokens(Protocol):
    """The tokens that people have made for themselves."""

    def known_token(self, logins: Logins, token: str) -> OwnHolder | None:
        """Return whose a token is, by its digest, if that is known; else None."""

    async def find_token(self, logins: Logins, token: str) -> OwnHolder | None:
        """Return whose a token is, by its digest; None if there is none."""


@attrs.define
class _Proven:
    """Whose credentials were proven.

    :param own: the digest of a token that its user has made, which may be taken back at any time; else empty.
    """

    principal: Principal
    until: float
    ends: float
    own: str = ""


@attrs.frozen(eq=False)
class Known:
    """Whose credentials a connection has sent last; memory holds no password here either.

    :param logins: those that have proven them.
    :param digest: of the `Authorization` header.
    """

    logins: Logins
    digest: bytes
    proven: _Proven

    @property
    def principal(self) -> Principal:
        """Who they are."""
        return self.proven.principal


@attrs.frozen
class _Holder:
    user: str
    token: TokenEntry


class Logins:
    """The logins of one version of `users.yaml`.

    What was proven is remembered for some minutes by a digest under a random key: memory holds no password, and the
    next request with the same header costs some microseconds.

    :param entries: the users.
    :param in_thread: runs the slow proof of a password.
    :param seconds: returns the time, in seconds, by a clock that nobody sets.
    :param wall: tells when tokens expire.
    :param proves: the slow proof of a password, by its hash or None.
    :param issuer: proves the tokens of an issuer of OpenID Connect; None if there is none.
    :param own: finds the tokens that people have made for themselves; None if there are none.
    :param tell_attempt: tells other processes of logins; see `Attempts`.
    :ivar refused: how many logins were refused.
    """

    def __init__(
        self,
        entries: UsersEntries,
        in_thread: InThread,
        seconds: Callable[[], float],
        wall: WallClock,
        proves: Callable[[bytes, str | None], bool] = proves_password,
        issuer: Issuer | None = None,
        own: IOwnTokens | None = None,
        tell_attempt: Tell = tell_nobody,
    ) -> None:
        self._own = own
        self._proves = proves
        self._issuer = issuer
        self._oidc = None if issuer is None else issuer.entry
        self._entries = entries
        self._users = entries.users
        self._in_thread = in_thread
        self._seconds = seconds
        self._wall = wall
        self._issued: LRUCache[tuple[str, frozenset[str]], Principal] = LRUCache(_MOST_REMEMBERED)
        self._principals = {name: Principal(name, entries.grants_of(name)) for name in entries.users}
        self._tokens = {
            token.hash: _Holder(name, token) for name, user in entries.users.items() for token in user.tokens
        }
        self._keys = {key.id: (name, key.secret) for name, user in entries.users.items() for key in user.keys}
        self.anonymous = Principal("", entries.grants_of(""))
        self.attempts = Attempts(seconds, entries.users, tell_attempt)
        self.refused = 0
        self._keyed = hashlib.blake2s(
            key=secrets.token_bytes(32)
        )  # it is copied, which is cheaper than to be made anew
        self._proven: LRUCache[bytes, _Proven] = LRUCache(_MOST_REMEMBERED)
        self._wrong: LRUCache[bytes, str] = LRUCache(_MOST_REMEMBERED)
        self._waiting: dict[bytes, list[Deferred[Principal]]] = {}

    def known(self, header: bytes, before: Known | None = None) -> Known | None:
        """Return whose credentials an `Authorization` header holds, if that was proven some minutes ago; else None.

        :param before: what this returned for the last request on the connection; it saves the look-up.
        """
        digest, now = self._digest(header), self._seconds()
        is_same = before is not None and before.logins is self and before.digest == digest
        if before is None or not is_same or now >= before.proven.until:
            proven = self._proven.get(digest)
            if proven is None or now >= proven.until:
                return None
            before = Known(self, digest, proven)
        if before.proven.own and not self._holds(before.proven):
            return None
        before.proven.until = min(now + REMEMBERED_S, before.proven.ends)
        return before

    def _holds(self, proven: _Proven) -> bool:
        """Return whether a token is still there that its user has made."""
        holder = None if self._own is None else self._own.known_token(self, proven.own)
        return holder is not None and holder.principal is proven.principal

    def named(self, name: str) -> Principal | None:
        """Return the user of a name, which proves nothing about who asks; None if there is none."""
        return self._principals.get(name)

    def of_user(self, name: str, stamp: str) -> Principal | None:
        """Return who has a name and, as a proof from before, a stamp; None if no user has both."""
        if not stamp.startswith(_OF_TOKEN):
            return self._principals.get(name) if self.stamp(name) == stamp else None
        holder = self._tokens.get(stamp.removeprefix(_OF_TOKEN))
        is_good = holder is not None and holder.user == name and self._left_s(holder.token) > 0
        return self._principals[name] if is_good else None

    def of_session(self, session: Session) -> Principal | None:
        """Return whose a session is; None if it has ended with what its user logged in with."""
        if session.claims is None:
            return self.of_user(session.user, session.stamp)
        oidc = self._oidc
        return None if oidc is None or oidc.sign_in is None else self.of_claims(session.claims)

    def stamp(self, name: str, secret: str = "") -> str:
        """Return what stands for what a user has logged in with, as long as that is good.

        :param secret: a token of the user; anything else stands for their password.
        """
        if secret.startswith(TOKEN_PREFIX):
            return _OF_TOKEN + hash_token(secret.encode())
        user = self._users.get(name)
        hashed = "" if user is None else user.password or ""
        return hashlib.sha256(f"{name} {hashed}".encode()).hexdigest()

    def find_key(self, key_id: str) -> tuple[Principal, str] | None:
        """Return whose a pair of keys is, and its secret, which is sealed; None if there is none."""
        found = self._keys.get(key_id)
        return None if found is None else (self._principals[found[0]], found[1])

    def _digest(self, header: bytes) -> bytes:
        digest = self._keyed.copy()
        digest.update(header)
        return digest.digest()

    async def prove(self, header: str, address: str) -> Principal:
        """Find out whose credentials an `Authorization` header holds.

        :param address: where the request comes from.
        :raise BadCredentials: they are not good, or cannot be read.
        :raise TooManyLogins: too many logins have failed, or are in progress.
        :raise LoginUnavailable: the issuer of a token cannot be asked for its keys now.
        """
        digest = self._digest(header.encode("utf-8", "surrogateescape"))
        if digest in self._waiting:  # many connections of a program begin at the same time
            waiting: Deferred[Principal] = Deferred()
            self._waiting[digest].append(waiting)
            return await waiting
        if digest in self._wrong:  # a program with an old password says it again and again, and guesses nothing
            self.refused += 1
            raise BadCredentials(self._wrong[digest])
        credentials = parse_credentials(header)
        if credentials is None:
            self.refused += 1
            raise BadCredentials("the Authorization header cannot be used: send Basic or Bearer credentials")
        if credentials.is_jwt or credentials.is_own:
            # Nobody guesses these, so nobody is slowed: many users behind one address come with tokens that expired.
            prove = self._prove_issued if credentials.is_jwt else self._prove_own
            return await prove(credentials, digest)
        self._begin(address, credentials.user)
        self._waiting[digest] = []
        try:
            principal, ends = await self._prove(credentials)
        except BadCredentials as problem:
            self.refused += 1
            self._wrong[digest] = str(problem)
            for each in self._waiting.pop(digest):
                each.errback(BadCredentials(str(problem)))
            raise
        except BaseException:
            self.attempts.called_off(address, credentials.user)
            for each in self._waiting.pop(digest):
                each.errback(TooManyLogins("the login broke off", 1))
            raise
        self.attempts.succeeded(address, credentials.user)
        self._proven[digest] = _Proven(principal, min(self._seconds() + REMEMBERED_S, ends), ends)
        for each in self._waiting.pop(digest):
            each.callback(principal)
        return principal

    async def _prove_issued(self, credentials: Credentials, digest: bytes) -> Principal:
        try:
            identity = await self._identify(credentials.secret.decode("ascii"))
            principal = self._principal_of(identity)
        except BadCredentials:
            self.refused += 1
            raise
        # It is proven again after some minutes: its key may have been withdrawn.
        left_s = min(REMEMBERED_S, identity.ends_s - self._wall.now_ms() / 1000)
        ends = self._seconds() + left_s
        self._proven[digest] = _Proven(principal, ends, ends)
        return principal

    async def _identify(self, token: str) -> Identity:
        if self._issuer is None:
            raise BadCredentials("the token is wrong")
        return await self._issuer.identify(token)

    def _principal_of(self, identity: Identity) -> Principal:
        found = self.of_claims(self.claims_of(identity))
        if found is None:
            raise BadCredentials("the token is good, but its user is not known here, and in no group that is")
        return found

    def claims_of(self, identity: Identity) -> Claims:
        """Return what counts here of what the issuer says of somebody."""
        oidc = self._oidc
        known = frozenset(identity.groups & self._entries.groups.keys())
        return Claims("" if oidc is None else oidc.issuer, identity.user, known)

    def of_claims(self, claims: Claims) -> Principal | None:
        """Return somebody of whom the issuer has said something, now or before; None if they may do nothing here, or if
        another issuer is believed.
        """
        oidc, name = self._oidc, claims.user
        if oidc is None or oidc.issuer != claims.issuer:
            return None
        groups = frozenset(claims.groups & self._entries.groups.keys())
        user = self._users.get(name)
        if user is None and not groups:
            return None
        if user is not None and groups <= set(user.groups):
            return self._principals[name]
        found = self._issued.get((name, groups))
        if found is None:
            told = Claims(oidc.issuer, name, groups)
            found = self._issued[name, groups] = Principal(name, self._entries.grants_of(name, groups), told)
        return found

    @property
    def have_passwords(self) -> bool:
        """Whether a user can log in by a password."""
        return any(user.password is not None for user in self._users.values())

    def _begin(self, address: str, user: str) -> None:
        if len(self._waiting) >= _MOST_AT_ONCE:
            raise TooManyLogins("too many logins are in progress", 1)
        wait_s = self.attempts.begin(address, user)
        if wait_s:
            self.refused += 1
            raise TooManyLogins("too many logins have failed", wait_s)

    async def _prove(self, credentials: Credentials) -> tuple[Principal, float]:
        """Return the user, and until when that is true at most, by the clock."""
        if credentials.secret.startswith(TOKEN_PREFIX.encode()):
            return self._prove_token(credentials)
        user = self._users.get(credentials.user)
        hashed = None if user is None else user.password
        if not await self._in_thread(partial(self._proves, credentials.secret, hashed)):
            raise BadCredentials("the name or the password is wrong")
        return self._principals[credentials.user], float("inf")

    async def _prove_own(self, credentials: Credentials, digest: bytes) -> Principal:
        token = hashlib.sha256(credentials.secret).hexdigest()
        holder = None if self._own is None else await self._own.find_token(self, token)
        if holder is None or credentials.user not in {"", holder.principal.name}:
            self.refused += 1
            raise BadCredentials("the token is wrong, has ended, or was taken back")
        left_s = (holder.ends_ms - self._wall.steady_ms()) / 1000 if holder.ends_ms else float("inf")
        now_s = self._seconds()
        self._proven[digest] = _Proven(holder.principal, now_s + min(REMEMBERED_S, left_s), now_s + left_s, token)
        return holder.principal

    def _prove_token(self, credentials: Credentials) -> tuple[Principal, float]:
        # The look-up takes another time for other hashes, which tells nothing about tokens.
        holder = self._tokens.get(hash_token(credentials.secret))
        if holder is None or credentials.user not in {"", holder.user}:
            raise BadCredentials("the token is wrong")
        left_s = self._left_s(holder.token)
        if left_s <= 0:
            raise BadCredentials(f"the token {holder.token.id} has expired")
        return self._principals[holder.user], self._seconds() + left_s

    def _left_s(self, token: TokenEntry) -> float:
        if token.expires is None:
            return float("inf")
        return datetime.combine(token.expires, time(), UTC).timestamp() - self._wall.now_ms() / 1000
