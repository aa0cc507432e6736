"""Who may do what, and how much of it: users, their keys, and limits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from splitd.access.attempts import Attempts, tell_nobody
from splitd.access.entries import SignInEntry, UsersEntries
from splitd.access.file import UsersFile
from splitd.access.identities import Identities
from splitd.access.keys import OneKey, UserKeys
from splitd.access.limiting import Limiting
from splitd.access.oidc.issuer import Issuer
from splitd.access.oidc.sign_in import SignIn
from splitd.access.own import OwnCredentials
from splitd.access.remembered import Remembered
from splitd.access.secrets import Seal
from splitd.access.sessions import Sessions
from splitd.config import Config
from splitd.frontends.http.guard import Guard
from splitd.frontends.http.limits import RequestLimits
from splitd.interfaces.documents import IDocuments
from splitd.interfaces.quotas import IQuotas
from splitd.model.limits import Limits
from storaged.http import Fetcher
from storaged.system.clocks import WallClock

_LOGINS = 2
"""How many passwords are proven at the same time.  Each takes 64 MiB of memory meanwhile."""

_ISSUER_S, _ISSUER_BYTES = 10.0, 256 * 1024
"""How long a document of the issuer of tokens may take, and how long it may be."""


LOGINS, LINKS = "logins", "links"
"""Which passwords are guessed: those of users, or those of links."""


class Kept(Protocol):
    """What the catalog keeps of this."""

    @property
    def quotas(self) -> IQuotas:
        """How much may be stored where."""

    @property
    def documents(self) -> IDocuments:
        """Small documents."""


class Access:
    """The users and the limits that the settings name.

    :param users: what the file of the users says; None if the settings name none.
    :param s3_key: the id and the secret of the only key for S3 if there are no users; None for none.
    :param seal: seals the secrets of users.
    :param catalog: judges quotas, and keeps the sessions of those who log in with a form.
    :param run: runs a call in a thread.
    :param wall: tells the times until which logins and tokens are good.
    :param limit_addresses: sets how many connections an address may have, as the limits say.
    :param share: returns the part of the limits that this process keeps.
    :param tell_attempt: tells other processes of a login; see `note_attempt`.
    :ivar link_attempts: slows those who guess passwords of links.
    :ivar logins: the threads that prove passwords.
    :ivar users: the users; None if the settings name none.
    :ivar guard: finds out who sends a request; None if the settings name no users.
    :ivar identities: what an issuer said last of people.
    :ivar own: the keys and tokens that people have made for themselves.
    :ivar limiting: the limits in force.
    :ivar requests: how many requests there are, and how fast they may be.
    :ivar s3_keys: the keys for S3; None if nobody can have one.
    """

    def __init__(
        self,
        config: Config,
        users: UsersEntries | None,
        s3_key: tuple[str, str] | None,
        seal: Seal,
        catalog: Kept,
        run: Callable[[Callable[[], Any]], Deferred[Any]],
        reactor: Any,
        wall: WallClock,
        *,
        limit_addresses: Callable[[int | None], None],
        share: Callable[[Limits], Limits] = lambda limits: limits,
        tell_attempt: Callable[[str, int, str, str], object] = tell_nobody,
    ) -> None:
        self._tell_attempt = tell_attempt
        # The passwords of links; those of users are counted by their file.
        self.link_attempts = Attempts(reactor.seconds, (), partial(tell_attempt, LINKS))
        self._share = share
        self._config = config
        self._seal = seal
        self._run = run
        self._reactor = reactor
        self._wall = wall
        self.logins = ThreadPool(0, _LOGINS, name="logins")
        self.requests = RequestLimits(reactor)
        self.limiting = self._make_limiting(catalog.quotas, limit_addresses, reactor)
        remembered = Remembered(catalog.documents, wall)
        self.identities = Identities(catalog.documents, remembered, wall)
        self.own = OwnCredentials(catalog.documents, remembered, self.identities, seal, wall)
        self.users = None if users is None else self._make_users(users)
        if self.users is not None:
            seal.watch(self.users.keys_changed)
        sessions = Sessions(catalog.documents, wall)
        self.guard = None if self.users is None else _guard(self.users, sessions, config.base_path)
        self.s3_keys = self._keys(s3_key)

    def _make_limiting(
        self, quotas: IQuotas, limit_addresses: Callable[[int | None], None], clock: IReactorTime
    ) -> Limiting:
        def take(all_of: Limits) -> None:
            limits = self._share(all_of)
            self.requests.take(limits)
            limit_addresses(limits.connections.per_address)

        def of_users() -> list[Any]:
            return [] if self.users is None else self.users.entries.quotas()

        return Limiting(self._config.limits, take, quotas, of_users, self._run, clock)

    def _make_users(self, users: UsersEntries) -> UsersFile:
        pool, reactor = self.logins, self._reactor

        def prove(call: Callable[[], Any]) -> Deferred[Any]:
            return deferToThreadPool(reactor, pool, call)

        path, fetcher = self._config.users, Fetcher(reactor, timeout_s=_ISSUER_S, limit=_ISSUER_BYTES)

        def sign_in(issuer: Issuer, entry: SignInEntry) -> SignIn:
            return SignIn(issuer, entry, fetcher.ask, self._seal, self._run, self._wall)

        more, tell = (self._run, prove, fetcher.fetch, reactor, self._wall), partial(self._tell_attempt, LOGINS)
        changed = self.limiting.set_quotas
        return UsersFile(
            path,
            users,
            self._seal,
            *more,
            make_sign_in=sign_in,
            own=self.own,
            tell_attempt=tell,
            changed=changed,
        )

    def _keys(self, only: tuple[str, str] | None) -> UserKeys | OneKey | None:
        file = self.users
        if file is not None:
            return UserKeys(lambda: file.logins, self._seal.open, self.own)
        return None if only is None else OneKey(*only)

    def known_days(self) -> int:
        """Return for how many days what an issuer says of somebody is believed after their login."""
        oidc = None if self.users is None else self.users.entries.oidc
        return 0 if oidc is None else oidc.known_days

    def note_attempt(self, kind: str, what: int, address: str, user: str) -> None:
        """Count a login that another process judges; see `Attempts.note`.

        :param kind: `LOGINS`, or `LINKS` for the password of a link.
        """
        if kind == LINKS:
            self.link_attempts.note(what, address, user)
        elif self.users is not None:
            self.users.logins.attempts.note(what, address, user)

    def limits_of_clients(self) -> RequestLimits | None:
        """Return the limits of clients; None if the settings name none, so that requests spend no time on them."""
        return self.requests if self._config.limits else None


def _guard(file: UsersFile, sessions: Sessions, base: str) -> Guard:
    return Guard(lambda: file.logins, sessions, base)
