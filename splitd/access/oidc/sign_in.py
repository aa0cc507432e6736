"""Lets people log in at the issuer: sends their browser there, and takes what it brings back."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import attrs
import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from splitd.access.entries import SignInEntry
from splitd.access.oidc.flow import (
    Pending,
    Tokens,
    authorization_url,
    begin,
    check_id_token,
    logout_url,
    read_code,
    read_tokens,
    read_userinfo,
    safe_next,
    token_request,
)
from splitd.access.oidc.issuer import Issuer
from splitd.access.oidc.keys import Metadata
from splitd.access.oidc.tokens import Identity, identity_of, read_header
from splitd.access.secrets import Seal
from splitd.errors import BadCredentials, LoginUnavailable
from storaged.http import NotFetched
from storaged.system.clocks import WallClock
from storaged.system.parallel import InThread
from storaged.system.settings import SettingsError, read_text

_MOST_AT_ONCE = 32
"""Codes that may be in exchange at the same time."""

_RETRY_S = 5
_HINT = "id token"
_LONGEST_HINT = 8 * 1024


class Ask(Protocol):
    """Sends a request to the issuer; see `Fetcher.ask`."""

    def __call__(
        self, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Deferred[tuple[int, bytes]]:
        """Send it."""


@attrs.frozen
class Begun:
    """A login that has begun.

    :param url: where the browser is sent to.
    :param state: what it brings back.
    :param sealed: what its cookie keeps meanwhile.
    """

    url: str
    state: str
    sealed: str


@attrs.frozen
class Proven:
    """Somebody who has logged in at the issuer.

    :param token: the ID token, which ends their session there.
    :param next: the URL that the browser goes on to.
    """

    identity: Identity
    token: str = attrs.field(repr=False)
    next: str


class SignIn:
    """Logs people in at one issuer.

    What a login needs to know at its end travels in a cookie of its browser, sealed under the cluster key and bound to
    its state.  So every front and every worker can end a login, and nobody who has not logged in makes the catalog
    write.

    :param issuer: the issuer.
    :param entry: how it is asked.
    :param ask: sends requests to it.
    :param seal: seals the cookie.
    :param in_thread: makes a blocking call in a thread.
    :param wall: tells when a login has taken too long.
    :param environment: the variables of this process.
    :ivar problem: why the client's secret cannot be had; empty if it can.
    """

    _log = Logger()

    def __init__(
        self,
        issuer: Issuer,
        entry: SignInEntry,
        ask: Ask,
        seal: Seal,
        in_thread: InThread,
        wall: WallClock,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.issuer = issuer
        self.entry = entry
        self.problem = ""
        self._ask = ask
        self._seal = seal
        self._in_thread = in_thread
        self._wall = wall
        self._environment = environment
        self._exchanging = 0

    @property
    def name(self) -> str:
        """What people call the issuer."""
        return self.entry.name or self.issuer.entry.issuer.partition("://")[2].partition("/")[0]

    async def check(self) -> None:
        """Find out whether the client's secret can be had, so that a wrong setting is seen before the first login."""
        try:
            await self._secret()
        except SettingsError as problem:
            self._log.error("nobody can log in at the issuer: {reason}", reason=str(problem))

    async def _secret(self) -> str:
        variable, file = self.entry.secret_env, self.entry.secret_file
        if not variable and not file:
            return ""
        try:
            text = self._environment.get(variable, "") if variable else await self._in_thread(partial(read_text, file))
        except SettingsError as problem:
            self.problem = str(problem)
            raise
        secret = str(text).strip()
        self.problem = "" if secret else f"the secret is empty: {variable or file}"
        if self.problem:
            raise SettingsError(self.problem)
        return secret

    async def begin(self, back: str, then: str, base: str, slot: str = "") -> Begun:
        """Begin a login.

        :param back: where the issuer sends the browser back to.
        :param then: the URL that the browser shall go on to; if it is not safe, the root.
        :param base: what all URLs of this server begin with.
        :param slot: what the state begins with.
        :raise LoginUnavailable: the issuer cannot be asked now, or does not offer this.
        """
        metadata = await self._metadata()
        state = slot + secrets.token_urlsafe(24)
        pending = begin(self.entry, self.issuer.entry.issuer, back, safe_next(then, base), self._wall.steady_ms())
        sealed = self._seal.seal(_name(state), msgspec.json.encode(pending).decode())
        return Begun(authorization_url(metadata, self.entry, pending, state), state, sealed)

    async def _metadata(self) -> Metadata:
        metadata = await self.issuer.metadata()
        if not metadata.authorization or not metadata.token:
            raise LoginUnavailable("the issuer names no endpoints where people can log in", _RETRY_S)
        return metadata

    async def complete(self, sealed: str, query: Mapping[str, Sequence[str]]) -> Proven:
        """End a login.

        :param sealed: what the cookie of the browser has kept.
        :param query: the parameters by which it came back.
        :raise BadCredentials: it is none that this browser has begun a short time ago, or the issuer does not prove who
            logs in; the message says why.
        :raise LoginUnavailable: the issuer cannot be asked now.
        """
        pending = self._open(sealed, query)
        metadata = await self._metadata()
        code = read_code(query, metadata, pending.issuer)
        if self._exchanging >= _MOST_AT_ONCE:
            raise LoginUnavailable("too many logins are in progress", 1)
        self._exchanging += 1
        try:
            tokens = await self._exchange(metadata, pending, code)
            claims = await self.issuer.claims(tokens.id_token, pending.client)
            check_id_token(claims, read_header(tokens.id_token).algorithm, pending, tokens)
            more = await self._told(metadata, claims, tokens)
        finally:
            self._exchanging -= 1
        return Proven(identity_of({**more, **claims}, self.issuer.entry), tokens.id_token, pending.next)

    def _open(self, sealed: str, query: Mapping[str, Sequence[str]]) -> Pending:
        states = query.get("state", [])
        try:
            opened = self._seal.open(_name(states[0] if len(states) == 1 else ""), sealed)
            pending = msgspec.json.decode(opened, type=Pending)
        except (ValueError, msgspec.DecodeError) as problem:
            raise BadCredentials("this browser has not begun this login, or it is over: begin again") from problem
        if self._wall.steady_ms() >= pending.ends_ms:
            raise BadCredentials("this login has taken too long: begin again")
        if (pending.issuer, pending.client) != (self.issuer.entry.issuer, self.entry.client):
            raise BadCredentials("the issuer has been changed meanwhile: begin again")
        return pending

    async def _exchange(self, metadata: Metadata, pending: Pending, code: str) -> Tokens:
        try:
            secret = await self._secret()
        except SettingsError as problem:
            self._log.error("nobody can log in at the issuer: {reason}", reason=str(problem))
            raise LoginUnavailable("the secret for the issuer cannot be had; the log says why", _RETRY_S) from problem
        body, headers = token_request(metadata, pending, code, secret)
        return read_tokens(*await self._asked(metadata.token, body, headers))

    async def _told(self, metadata: Metadata, claims: Mapping[str, Any], tokens: Tokens) -> Mapping[str, Any]:
        """Return the claims that are not in the ID token: an issuer may tell them elsewhere only."""
        entry = self.issuer.entry
        wanted = {entry.user_claim, entry.groups_claim or entry.user_claim}
        if wanted <= claims.keys() or not metadata.userinfo or not tokens.access_token:
            return {}
        status, body = await self._asked(metadata.userinfo, None, {"Authorization": f"Bearer {tokens.access_token}"})
        if status >= 500:  # without their groups, somebody would lose for now what they have made
            self._log.error("the issuer does not tell the claims of a user: the status is {status}", status=status)
            raise LoginUnavailable("the issuer cannot tell now who this is", _RETRY_S)
        return read_userinfo(body, claims["sub"]) if status == 200 else {}

    async def _asked(self, url: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        try:
            return await self._ask(url, body, headers)
        except CancelledError:
            raise
        except NotFetched as problem:
            self._log.error("the issuer cannot be asked: {reason}", reason=str(problem))
            raise LoginUnavailable("the issuer cannot be reached now", _RETRY_S) from problem

    def seal_token(self, token: str) -> str:
        """Return an ID token as a session may keep it; empty if it is too long for that."""
        return self._seal.seal(_HINT, token) if len(token) <= _LONGEST_HINT else ""

    async def logout_url(self, hint: str, back: str) -> str:
        """Return where a browser is sent to log out at the issuer, too; empty if that is not known.

        :param hint: the ID token of the session, as `seal_token` has sealed it; empty if it is not known.
        :param back: where the issuer sends it back to.
        """
        try:
            token = self._seal.open(_HINT, hint) if hint else ""
        except ValueError:  # the cluster key has been changed meanwhile
            token = ""
        try:
            return logout_url(await self.issuer.metadata(), self.entry.client, token, back)
        except LoginUnavailable:
            return ""


def _name(state: str) -> str:
    """Return under what a login is sealed; no key of a user has such a name, which has a space."""
    return f"login {state}"


MakeSignIn = Callable[[Issuer, SignInEntry], SignIn]
