"""Sessions of people who logged in with a form: what the cookie of a browser stands for."""

from __future__ import annotations

import hashlib
import secrets

import attrs
from cachetools import LRUCache

from storaged.system.clocks import WallClock

LASTS_S = 24 * 3600
"""How long a session lasts at most."""

IDLE_S = 4 * 3600
"""How long a session lasts without a request."""

_MOST = 10_000


@attrs.define(eq=False)
class Session:
    """What a cookie stands for.

    :param user: who has logged in.
    :param csrf: what a request that changes something must send along; a page of another site cannot know it.
    :param began_ms: when they logged in, milliseconds since 1970.
    :param used_ms: when the last request came.
    """

    user: str
    csrf: str
    began_ms: int
    used_ms: int


class Sessions:
    """The sessions that have begun and not ended.  They are held in memory, and end with the front.

    Memory holds no cookie, only a hash of it.

    :param wall: tells when sessions expire.
    """

    def __init__(self, wall: WallClock) -> None:
        self._wall = wall
        self._sessions: LRUCache[bytes, Session] = LRUCache(_MOST)

    def begin(self, user: str) -> tuple[str, Session]:
        """Begin a session.

        :param user: has proven who they are.
        :return: the value of the cookie, and the session.
        """
        cookie, now_ms = secrets.token_urlsafe(32), self._wall.now_ms()
        session = Session(user, secrets.token_urlsafe(24), now_ms, now_ms)
        self._sessions[_digest(cookie)] = session
        return cookie, session

    def find(self, cookie: str) -> Session | None:
        """Return the session of a cookie; None if it never began, or has ended."""
        digest = _digest(cookie)
        session = self._sessions.get(digest)
        if session is None:
            return None
        now_ms = self._wall.now_ms()
        if now_ms >= min(session.began_ms + LASTS_S * 1000, session.used_ms + IDLE_S * 1000):
            del self._sessions[digest]
            return None
        session.used_ms = now_ms
        return session

    def end(self, cookie: str) -> None:
        """End the session of a cookie, if there is one."""
        self._sessions.pop(_digest(cookie), None)

    def end_all(self, user: str) -> int:
        """End all sessions of a user.

        :return: how many there were.
        """
        digests = [digest for digest, session in self._sessions.items() if session.user == user]
        for digest in digests:
            del self._sessions[digest]
        return len(digests)


def _digest(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode("utf-8", "surrogateescape")).digest()
