"""Write locks, and the rules for taking and keeping them (RFC 4918 sections 6 and 7).  Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection as SetOf
from collections.abc import Iterator
from heapq import heappop, heappush

import attrs
from sortedcontainers import SortedDict

from splitd.model.paths import above, place_of

EXCLUSIVE = "exclusive"
SHARED = "shared"
MAX_TIMEOUT_S = 86_400
"""The longest time that a lock lasts without a refresh: a day."""
_MOST_REMEMBERED = 4096
MOST_LOCKS = 32
"""The most locks that may protect one path, because each answer about its locks lists all of them."""


@attrs.frozen
class Lock:
    """A write lock.

    :param path: the path it was taken on.
    :param token: its token, a URI that no other lock has.
    :param scope: EXCLUSIVE, or SHARED with other shared locks.
    :param deep: whether it also covers everything below `path`.
    :param owner: the client's description of the owner: an XML element, or empty.
    :param taken_ms: when it was taken or last refreshed, milliseconds since 1970.
    :param expires_ms: when it expires, milliseconds since 1970.
    :param user: the user who took it, and whose alone its token is (RFC 4918 section 6.4); empty for nobody in
        particular.
    """

    path: str
    token: str
    scope: str
    deep: bool
    owner: str
    taken_ms: int
    expires_ms: int
    user: str = ""

    def obeys(self, user: str | None) -> bool:
        """Return whether its token counts when a user submits it.

        :param user: None for somebody who may use every lock.
        """
        return user is None or user == self.user


class Locks:
    """All locks.  An expired lock counts as absent, whether it has been dropped or not.

    A lock on a file covers the collection of this name too, and the other way round: they have one place.

    :param most_remembered: how many of the places where a lock was taken are remembered for `was_taken`.
    :ivar taken: how many locks have been taken, not counting refreshes.
    """

    def __init__(self, most_remembered: int = _MOST_REMEMBERED) -> None:
        self._most_remembered = most_remembered
        self.taken = 0
        self._last_taken: OrderedDict[tuple[str, bool], int] = OrderedDict()  # by place and depth
        self._forgotten = 0
        self._by_token: dict[str, Lock] = {}
        self._at: SortedDict[str, dict[str, Lock]] = SortedDict()  # by place, so that those below one are neighbours
        self._expiries: list[tuple[int, str]] = []

    def __iter__(self) -> Iterator[Lock]:
        """Iterate over all locks, expired ones too, in the order in which they were taken or refreshed."""
        return iter(self._by_token.values())

    def __len__(self) -> int:
        return len(self._by_token)

    def find(self, token: str, now_ms: int) -> Lock | None:
        """Return the lock of a token; None if there is none, or if it has expired."""
        lock = self._by_token.get(token)
        return lock if lock is not None and now_ms < lock.expires_ms else None

    def covering(self, path: str, now_ms: int) -> list[Lock]:
        """Return the locks that protect a path: those on the path itself, and deep ones on collections it lies in."""
        if not self._at:
            return []
        place = place_of(path)
        found = [lock for lock in self._at.get(place, {}).values() if now_ms < lock.expires_ms]
        for each in above(place):
            found += [lock for lock in self._at.get(each, {}).values() if lock.deep and now_ms < lock.expires_ms]
        return found

    def below(self, path: str, now_ms: int) -> list[Lock]:
        """Return the locks that were taken on paths below a path."""
        found = [lock for each in self._below(path) for lock in self._at[each].values()]
        return [lock for lock in found if now_ms < lock.expires_ms]

    def barring(self, path: str, tokens: SetOf[str], now_ms: int, user: str | None = None) -> list[Lock]:
        """Return the locks that forbid a change at a path to a client that submits `tokens`.

        One token is enough even if several locks protect the path, because then they are shared locks.

        :param user: the user whose tokens count; None if everybody's do.
        """
        found = self.covering(path, now_ms)
        return [] if any(lock.token in tokens and lock.obeys(user) for lock in found) else found

    def conflicting(self, path: str, scope: str, *, deep: bool, now_ms: int) -> list[Lock]:
        """Return the locks that conflict with a new one."""
        others = self.covering(path, now_ms) + (self.below(path, now_ms) if deep else [])
        return [other for other in others if EXCLUSIVE in (scope, other.scope)]

    def is_crowded(self, path: str, *, deep: bool, now_ms: int) -> bool:
        """Whether a path that a new lock would cover has `MOST_LOCKS` locks already."""
        covered = [path, *(f"{each}/" for each in self._below(path) if deep)]
        return any(len(self.covering(each, now_ms)) >= MOST_LOCKS for each in covered)

    def was_taken(self, path: str, since: int) -> bool:
        """Whether a lock that covers a path was taken after `taken` was `since`, even if it was released again.

        :return: True also if this is no longer remembered.
        """
        if since < self._forgotten:
            return True
        place = place_of(path)
        places = [(place, False), (place, True), *((each, True) for each in above(place))]
        return any(self._last_taken.get(each, 0) > since for each in places)

    def _remember(self, lock: Lock) -> None:
        self.taken += 1
        place = (place_of(lock.path), lock.deep)
        self._last_taken[place] = self.taken
        self._last_taken.move_to_end(place)
        if len(self._last_taken) > self._most_remembered:
            _, self._forgotten = self._last_taken.popitem(last=False)

    def take(self, lock: Lock) -> None:
        """Add a lock, or replace the one of the same token.  Locks that had expired when it was taken are dropped."""
        while self._expiries and self._expiries[0][0] <= lock.taken_ms:
            expires_ms, token = heappop(self._expiries)
            other = self._by_token.get(token)
            if other is not None and other.expires_ms == expires_ms:  # not refreshed since
                self.release(token)
        if lock.token not in self._by_token:  # else it is refreshed
            self._remember(lock)
        self.release(lock.token)
        self._by_token[lock.token] = lock
        self._at.setdefault(place_of(lock.path), {})[lock.token] = lock
        heappush(self._expiries, (lock.expires_ms, lock.token))
        if len(self._expiries) > 2 * len(self._by_token) + 64:  # most are of locks that were released or refreshed
            self._expiries = sorted((each.expires_ms, each.token) for each in self)

    def release(self, token: str) -> None:
        """Drop the lock of a token; do nothing if there is none."""
        lock = self._by_token.pop(token, None)
        if lock is None:
            return
        place = place_of(lock.path)
        here = self._at[place]
        del here[token]
        if not here:
            del self._at[place]

    def drop_at(self, path: str) -> None:
        """Drop the locks that were taken on a path."""
        for token in list(self._at.get(place_of(path), ())):
            self.release(token)

    def drop_below(self, path: str) -> None:
        """Drop the locks that were taken on paths below a path."""
        for each in list(self._below(path)):
            self.drop_at(f"{each}/")

    def _below(self, path: str) -> Iterator[str]:
        """Iterate over the places below a path that have locks."""
        prefix = place_of(path) + "/"
        for each in self._at.irange(minimum=prefix):
            if not each.startswith(prefix):
                return
            yield each
