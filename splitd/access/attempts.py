"""Slows those who guess passwords: by address, and by user.  Bounded, whoever tries what."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable

from cachetools import LRUCache

from storaged.http import network_of

BY_ADDRESS, BY_USER = 10, 20
"""How many logins may fail in a row from an address, and for a user, before they are slowed."""

EVERY_S = 10.0
"""How long it takes until one more may fail."""

MOST_REMEMBERED = 4096
"""The most addresses, and the most names, that are remembered."""


BEGUN, SUCCEEDED, CALLED_OFF = range(3)

Tell = Callable[[int, str, str], object]
"""Tells other processes of an attempt: what has happened, the address and the user."""


def tell_nobody(*_: object) -> None:
    """Tell nobody: there is one process."""


class _Levels:
    """How many failures each key has left behind; they drain, one in `EVERY_S`.

    :param kept: keys that are never forgotten, however many others there are.
    """

    def __init__(self, limit: int, seconds: Callable[[], float], kept: Iterable[Hashable] = ()) -> None:
        self._limit = limit
        self._seconds = seconds
        self._of: LRUCache[Hashable, tuple[float, float]] = LRUCache(MOST_REMEMBERED)
        self._kept: dict[Hashable, tuple[float, float]] = dict.fromkeys(kept, (0.0, 0.0))

    def __len__(self) -> int:
        return len(self._of) + len(self._kept)

    def wait_s(self, key: Hashable) -> float:
        """Return how long to wait until an attempt is allowed; 0 if it is allowed now."""
        return max(0.0, (self._level(key) + 1 - self._limit) * EVERY_S)

    def add(self, key: Hashable, count: float) -> None:
        table = self._kept if key in self._kept else self._of
        table[key] = (max(0.0, self._level(key) + count), self._seconds())

    def _level(self, key: Hashable) -> float:
        level, at = self._kept.get(key) or self._of.get(key, (0.0, 0.0))
        return max(0.0, level - (self._seconds() - at) / EVERY_S)


class Attempts:
    """The failed logins of the last minutes.

    An attempt counts as failed from its begin on, so that many at once do not slip through.  A user who has logged in
    from an address before is not slowed there by those who guess elsewhere.

    :param seconds: returns the time, in seconds, by a clock that nobody sets.
    :param users: the names of all users.
    :param tell: called with what happens here, for those who judge attempts in other processes; see `note`.
    """

    def __init__(self, seconds: Callable[[], float], users: Iterable[str], tell: Tell = tell_nobody) -> None:
        self._tell = tell
        self._addresses = _Levels(BY_ADDRESS, seconds)
        self._users = _Levels(BY_USER, seconds, users)
        self._known: LRUCache[tuple[str, str], None] = LRUCache(MOST_REMEMBERED)

    def __len__(self) -> int:
        """Return how many addresses, names and places of users are remembered."""
        return len(self._addresses) + len(self._users) + len(self._known)

    def begin(self, address: str, user: str) -> int:
        """Begin an attempt.

        :return: 0 if it may be made; otherwise after how many seconds the next one may be, and then nothing was begun.
        """
        place = network_of(address)
        wait_s = self._addresses.wait_s(place)
        if (place, user) not in self._known:
            wait_s = max(wait_s, self._users.wait_s(user))
        if wait_s > 0:
            return math.ceil(wait_s)
        self._happened(BEGUN, address, user)
        return 0

    def succeeded(self, address: str, user: str) -> None:
        """Note that an attempt that was begun was a good one."""
        self._happened(SUCCEEDED, address, user)

    def called_off(self, address: str, user: str) -> None:
        """Note that an attempt that was begun was not made."""
        self._happened(CALLED_OFF, address, user)

    def _happened(self, what: int, address: str, user: str) -> None:
        self.note(what, address, user)
        self._tell(what, address, user)

    def note(self, what: int, address: str, user: str) -> None:
        """Count an attempt that is judged in another process.

        :param what: `BEGUN`, `SUCCEEDED` or `CALLED_OFF`.
        """
        place, by = network_of(address), 1 if what == BEGUN else -1
        if what == SUCCEEDED:
            self._known[place, user] = None
        self._addresses.add(place, by)
        self._users.add(user, by)
