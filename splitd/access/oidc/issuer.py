"""The issuer of tokens: fetches its keys and keeps them fresh."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from splitd.access.entries import OidcEntry
from splitd.access.oidc.keys import WELL_KNOWN, BadDocument, Metadata, SigningKey, read_discovery, read_keys
from splitd.access.oidc.tokens import Header, Identity, KeyMissing, identity_of, prove_claims, read_header
from splitd.errors import LoginUnavailable
from storaged.http import NotFetched
from storaged.system.clocks import WallClock
from storaged.system.parallel import settled

FRESH_S = 600.0
"""Keys that are older are fetched again when a token comes, which does not wait for that."""

LAST_S = 86_400.0
"""How long keys are believed after the issuer was reached last."""

PAUSE_S = 30.0
"""The least time between two fetches, whatever keys tokens name; after one that failed, `RETRY_S`."""

RETRY_S = 5.0

Fetch = Callable[[str], Deferred[bytes]]
"""Fetches a small document by its URL; fails with `NotFetched`."""


class Issuer:
    """One issuer, whose tokens are believed.

    :param entry: which issuer, and how its tokens are read.
    :param fetch: fetches its documents.
    :param clock: measures the age of its keys.
    :param wall: tells whether tokens have expired.
    :ivar problem: why the last fetch of its keys failed; empty if it did not.
    """

    _log = Logger()

    def __init__(self, entry: OidcEntry, fetch: Fetch, clock: IReactorTime, wall: WallClock) -> None:
        self.entry = entry
        self.problem = ""
        self._fetch = fetch
        self._clock = clock
        self._wall = wall
        self._keys: Sequence[SigningKey] = ()
        self._metadata: Metadata | None = None
        self._fetched_s = -math.inf
        self._next_s = -math.inf
        self._fetching: Deferred[None] | None = None
        self._stopped = False

    def start(self) -> None:
        """Begin to fetch its keys, so that a wrong setting is seen before the first login."""
        self._refresh()

    def stop(self) -> Deferred[None]:
        """Fetch nothing any more.

        :return: a Deferred that fires with None when the fetch in progress has ended.
        """
        self._stopped = True
        if self._fetching is None:
            return settled([])
        ended = settled([self._fetching])
        self._fetching.cancel()
        return ended

    async def identify(self, token: str) -> Identity:
        """Find out who a token is for.

        :raise BadCredentials: it is not good; the message says why.
        :raise LoginUnavailable: its key is not known, and the issuer cannot be asked now.
        """
        return identity_of(await self.claims(token, self.entry.audience), self.entry)

    async def metadata(self) -> Metadata:
        """Return what the issuer says of itself.

        :raise LoginUnavailable: that is not known, and the issuer cannot be asked now.
        """
        if self._metadata is None or self._age_s() > LAST_S:
            await self._refreshed()
        if self._metadata is None or self._age_s() > LAST_S:
            raise self._unavailable()
        return self._metadata

    async def claims(self, token: str, audience: str) -> dict[str, Any]:
        """Prove a token, and return its claims; see `identify` for the errors.

        :param audience: for whom it must be.
        """
        header = read_header(token)
        if self._age_s() > LAST_S:
            await self._refreshed()
        elif self._age_s() > FRESH_S:
            self._refresh()
        try:
            return self._prove(token, header, audience)
        except KeyMissing:
            await self._refreshed()
        return self._prove(token, header, audience, last=True)

    def _prove(self, token: str, header: Header, audience: str, *, last: bool = False) -> dict[str, Any]:
        if self._age_s() > LAST_S:
            raise self._unavailable()
        try:
            now_s = self._wall.now_ms() // 1000
            return prove_claims(token, header, self._keys, self.entry.issuer, audience, now_s)
        except KeyMissing as problem:
            if last and self.problem:
                raise self._unavailable() from problem
            raise

    def _unavailable(self) -> LoginUnavailable:
        wait_s = max(1, math.ceil(self._next_s - self._clock.seconds()))
        return LoginUnavailable(f"the keys of the issuer cannot be had now: {self.problem or 'it stops'}", wait_s)

    def _age_s(self) -> float:
        return self._clock.seconds() - self._fetched_s

    async def _refreshed(self) -> None:
        """Wait for the fetch in progress, or for one that may begin now."""
        self._refresh()
        if self._fetching is not None:
            await settled([self._fetching])

    def _refresh(self) -> None:
        if self._fetching is not None or self._stopped or self._clock.seconds() < self._next_s:
            return
        self._next_s = self._clock.seconds() + PAUSE_S
        self._fetching = Deferred.fromCoroutine(self._fetch_keys()).addBoth(self._fetched)
        if self._fetching.called:
            self._fetching = None

    async def _fetch_keys(self) -> None:
        issuer = self.entry.issuer
        url = issuer.rstrip("/") + WELL_KNOWN
        try:
            metadata = read_discovery(issuer, await self._fetch(url))
            url = metadata.keys
            self._keys, self._metadata = read_keys(await self._fetch(url)), metadata
        except BadDocument as problem:
            raise NotFetched(f"{url}: {problem}") from problem

    def _fetched(self, outcome: Failure | None) -> None:
        self._fetching = None
        before, self.problem = self.problem, ""
        if outcome is None:
            self._fetched_s = self._clock.seconds()
            if before:
                self._log.info("the issuer {issuer} answers again", issuer=self.entry.issuer)
            return
        if outcome.check(CancelledError):
            return
        self._next_s = self._clock.seconds() + RETRY_S
        self.problem = outcome.getErrorMessage()
        if not outcome.check(NotFetched):
            self._log.failure("fetching the keys of {issuer}", outcome, issuer=self.entry.issuer)
        elif self.problem != before:
            self._log.error("the keys of the issuer cannot be had: {reason}", reason=self.problem)
