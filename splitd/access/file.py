"""The file of the users: read at the start, on request, and whenever it has changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from splitd.access.attempts import Tell, tell_nobody
from splitd.access.entries import UsersEntries, read_users
from splitd.access.logins import IOwnTokens, Logins
from splitd.access.oidc.issuer import Fetch, Issuer
from splitd.access.oidc.sign_in import MakeSignIn, SignIn
from splitd.access.resealing import Resealing
from splitd.access.secrets import Seal
from splitd.errors import UsersInvalid, UsersRefused
from storaged.system.clocks import WallClock
from storaged.system.parallel import InThread, settled
from storaged.system.settings import SettingsError
from storaged.system.watched import Refusal, WatchedFile


class IOwnCredentials(IOwnTokens, Protocol):
    """The keys and tokens that people have made for themselves."""

    def reseal(self) -> Deferred[Sequence[str]]:
        """Seal the secrets of keys anew, under the first of the present cluster keys.

        :return: a Deferred that fires with the ids of those that no present cluster key opens.
        """


class UsersFile:
    """Keeps the users equal to their file.

    A file that cannot be used changes nothing, and is reported until a valid one takes its place.

    :param path: the file.
    :param entries: what it said when the daemon started.
    :param seal: opens the secrets of keys.
    :param in_thread: makes a blocking call in a thread.
    :param prove_in_thread: proves a password in a thread.
    :param fetch: fetches the documents of an issuer of tokens.
    :param clock: measures time.
    :param wall: tells the times that are shown, and when tokens expire.
    :param make_sign_in: makes what logs people in at an issuer; None if nobody can.
    :param own: the keys and tokens that people have made for themselves; None if there are none.
    :param tell_attempt: tells other processes of logins; see `Attempts`.
    :param changed: called when there are other users.
    :ivar logins: the logins of the present users.
    :ivar sign_in: logs people in at the issuer of tokens; None if they cannot.
    :ivar loaded_ms: when they were read, milliseconds since 1970.
    :ivar refused: the refusal of the last file; None if it was accepted.
    """

    _log = Logger()

    def __init__(
        self,
        path: str,
        entries: UsersEntries,
        seal: Seal,
        in_thread: InThread,
        prove_in_thread: InThread,
        fetch: Fetch,
        clock: Any,
        wall: WallClock,
        *,
        make_sign_in: MakeSignIn | None = None,
        own: IOwnCredentials | None = None,
        tell_attempt: Tell = tell_nobody,
        changed: Callable[[], object] = lambda: None,
    ) -> None:
        self._changed = changed
        self._own = own
        self._tell_attempt = tell_attempt
        self._watched = WatchedFile(path, self.reload, UsersRefused, in_thread, clock)
        self._seal = seal
        self._in_thread = in_thread
        self._prove_in_thread = prove_in_thread
        self._fetch = fetch
        self._make_sign_in = make_sign_in
        self._checking: Deferred[None] | None = None
        self._resealing = None if own is None else Resealing(own.reseal, clock)
        self._running = False
        self._clock = clock
        self._wall = wall
        self._lock = DeferredLock()
        self._entries = entries
        self._issuer = self._make_issuer(entries)
        self.sign_in = self._sign_in_at(self._issuer)
        self.logins = self._make(entries)
        self.loaded_ms = wall.now_ms()
        self.refused: Refusal | None = None

    def _make(self, entries: UsersEntries) -> Logins:
        return Logins(
            entries,
            self._prove_in_thread,
            self._clock.seconds,
            self._wall,
            issuer=self._issuer,
            own=self._own,
            tell_attempt=self._tell_attempt,
        )

    def _make_issuer(self, entries: UsersEntries) -> Issuer | None:
        return None if entries.oidc is None else Issuer(entries.oidc, self._fetch, self._clock, self._wall)

    def _sign_in_at(self, issuer: Issuer | None) -> SignIn | None:
        if issuer is None or issuer.entry.sign_in is None or self._make_sign_in is None:
            return None
        return self._make_sign_in(issuer, issuer.entry.sign_in)

    @property
    def path(self) -> str:
        """The file."""
        return self._watched.path

    @property
    def entries(self) -> UsersEntries:
        """The present users."""
        return self._entries

    @property
    def count(self) -> int:
        """How many users there are."""
        return len(self._entries.users)

    def start(self) -> None:
        """Begin to watch the file, and fetch the keys of the issuer of tokens, if there is one."""
        self._running = True
        self._watched.start()
        if self._resealing is not None:
            self._resealing.start()
        self._start_issuer()

    def _start_issuer(self) -> None:
        if self._issuer is not None:
            self._issuer.start()
        if self.sign_in is not None:
            self._checking = Deferred.fromCoroutine(self.sign_in.check())

    def stop(self) -> Deferred[None]:
        """Stop watching the file.

        :return: a Deferred that fires when the check in progress has ended.
        """
        self._running = False
        ended = self._watched.stop()
        if self._resealing is not None:
            ended.addCallback(lambda _, resealing: resealing.stop(), self._resealing)
        if self._checking is not None:
            ended.addCallback(lambda _, checking: settled([checking]), self._checking)
        return ended if self._issuer is None else ended.addCallback(lambda _, issuer: issuer.stop(), self._issuer)

    def reload(self) -> Deferred[None]:
        """Read the file now.  Requests that have begun end as they are; later ones are judged by the new users.

        :return: a Deferred that fires with None when the users are as the file says.
        :raise UsersRefused: the file cannot be used; nothing has changed.
        """
        return self._lock.run(lambda: Deferred.fromCoroutine(self._reload()))

    async def _reload(self) -> None:
        try:
            text = await self._watched.read()
            # A file of thousands of users takes a second to read.
            entries = await self._in_thread(partial(read_users, self.path, text, self._seal.open))
        except (SettingsError, UsersInvalid) as problem:
            self._log.error("the users are not taken: {reason}", reason=problem)
            self.refused = Refusal(self._wall.now_ms(), str(problem))
            raise UsersRefused(str(problem)) from problem
        self.refused = None
        self.loaded_ms = self._wall.now_ms()
        if entries != self._entries:  # else nobody has to log in again
            await self._replace_issuer(entries)
            before, self.logins, self._entries = self.logins, self._make(entries), entries
            self.logins.refused = before.refused
            self._log.info("{path} is read: {count} users", path=self.path, count=self.count)
            self._changed()

    async def _replace_issuer(self, entries: UsersEntries) -> None:
        before = self._issuer
        if entries.oidc == self._entries.oidc:
            return  # and keep its keys
        self._issuer = self._make_issuer(entries)
        self.sign_in = self._sign_in_at(self._issuer)
        if self._running:
            self._start_issuer()
        if before is not None:
            await before.stop()

    def keys_changed(self) -> None:
        """Have the secrets of users that the catalog keeps sealed anew: there are other cluster keys."""
        if self._resealing is not None:
            self._resealing.begin()

    def warning(self) -> str:
        """Say what is wrong with the file, its mount, the issuer of tokens, or secrets of keys; empty if nothing is."""
        if self.refused is not None:
            return f"the users are not taken: {self.refused.reason}"
        if self._watched.is_detached:
            return (
                f"the users' file {self.path} was replaced outside of this container, which does not see the new one: "
                "mount the folder that it lies in, not the file"
            )
        if self._issuer is not None and self._issuer.problem:
            return f"the keys of the issuer of tokens cannot be had: {self._issuer.problem}"
        if self.sign_in is not None and self.sign_in.problem:
            return f"nobody can log in at the issuer of tokens: {self.sign_in.problem}"
        return "" if self._resealing is None else self._resealing.problem
