"""Sessions: how long they last, and how they end."""

from __future__ import annotations

import attrs
import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from splitd.access.grants import Claims
from splitd.access.sessions import IDLE_S, LASTS_S, LOOKED_S, MOST, Session, Sessions
from splitd.errors import TooManyDocuments
from splitd.model.documents import Document, Documents
from tests.clocks import wall_of
from tests.fired import fired


class Kept:
    """The small documents of a catalog, in memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.documents = Documents()

    def _now_ms(self) -> int:
        return wall_of(self._clock).steady_ms()

    def put(self, document: Document, expected: int | None = None, most: int | None = None) -> Deferred[Document]:
        assert expected == 0
        assert (most is None) == (document.kind != "session")
        present = self.documents.page(document.kind, document.owner, "", MOST, self._now_ms())
        if most is not None and len(present) >= most:
            return fail(TooManyDocuments("there are too many"))
        made = attrs.evolve(document, revision=self.documents.last + 1)
        self.documents.put(made, self._now_ms())
        return succeed(made)

    def find(self, kind: str, key: str) -> Deferred[Document | None]:
        return succeed(self.documents.find(kind, key, self._now_ms()))

    def delete(self, kind: str, key: str, expected: int | None = None) -> Deferred[bool]:
        assert expected is None
        found = self.documents.find(kind, key, self._now_ms()) is not None
        self.documents.remove(kind, key)
        return succeed(found)

    def stamp(self, kind: str, key: str) -> None:
        """Return None: other fronts change them, too."""

    def page(self, kind: str, owner: str | None, after: str, limit: int) -> Deferred[list[Document]]:
        return succeed(self.documents.page(kind, owner, after, limit, self._now_ms()))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept(clock: Clock) -> Kept:
    return Kept(clock)


@pytest.fixture
def sessions(clock: Clock, kept: Kept) -> Sessions:
    return Sessions(kept, wall_of(clock))  # type: ignore[arg-type]


def begin(sessions: Sessions, user: str) -> str:
    return fired(Deferred.fromCoroutine(sessions.begin(user, "stamp")))[0]


def find(sessions: Sessions, cookie: str) -> Session | None:
    return fired(Deferred.fromCoroutine(sessions.find(cookie)))


def test_a_cookie_stands_for_its_user_only(sessions: Sessions, kept: Kept) -> None:
    anna, rita = begin(sessions, "anna"), begin(sessions, "rita")
    found, other = find(sessions, anna), find(sessions, rita)
    assert found is not None
    assert other is not None
    assert (found.user, found.stamp, other.user) == ("anna", "stamp", "rita")
    assert found.csrf != other.csrf
    for wrong in (anna + "x", "", "\udcff", found.csrf):
        assert find(sessions, wrong) is None
    assert not any(anna in f"{each}" or found.csrf in f"{each}" for each in kept.documents.all())


def test_a_session_survives_a_restart(sessions: Sessions, kept: Kept, clock: Clock) -> None:
    cookie = begin(sessions, "anna")
    before, after = find(sessions, cookie), find(Sessions(kept, wall_of(clock)), cookie)  # type: ignore[arg-type]
    assert before is not None
    assert after is not None
    assert (after.user, after.csrf) == (before.user, before.csrf)


def test_a_session_ends_after_some_hours_without_a_request(sessions: Sessions, clock: Clock, kept: Kept) -> None:
    cookie = begin(sessions, "anna")
    clock.advance(IDLE_S - 1)
    assert find(sessions, cookie) is not None
    clock.advance(IDLE_S - 1)
    assert find(sessions, cookie) is not None
    clock.advance(IDLE_S)
    assert find(sessions, cookie) is None
    assert kept.documents.all() == []


def test_a_session_ends_after_a_day_however_much_it_is_used(sessions: Sessions, clock: Clock) -> None:
    cookie = begin(sessions, "anna")
    lasted_s = 0
    while find(sessions, cookie) is not None:
        clock.advance(IDLE_S / 2)
        lasted_s += IDLE_S // 2
    assert lasted_s == LASTS_S


def test_it_ends_when_the_user_says_so_here_or_everywhere(sessions: Sessions) -> None:
    first, second, other = (begin(sessions, user) for user in ("anna", "anna", "rita"))
    for cookie in (first, "unknown"):
        fired(Deferred.fromCoroutine(sessions.end(cookie)))
    assert [find(sessions, each) is None for each in (first, second, other)] == [True, False, False]
    third = begin(sessions, "anna")
    assert fired(Deferred.fromCoroutine(sessions.end_all("anna"))) == 2
    assert [find(sessions, each) is None for each in (second, third, other)] == [True, True, False]


def test_another_front_learns_of_an_end_within_some_seconds(sessions: Sessions, kept: Kept, clock: Clock) -> None:
    cookie = begin(sessions, "anna")
    other = Sessions(kept, wall_of(clock))  # type: ignore[arg-type]
    assert find(other, cookie) is not None
    assert other.known(cookie) is not None
    fired(Deferred.fromCoroutine(sessions.end(cookie)))
    clock.advance(LOOKED_S)
    assert other.known(cookie) is None
    assert find(other, cookie) is None


def test_one_more_session_than_a_user_may_have_ends_the_one_that_began_first(sessions: Sessions) -> None:
    other = begin(sessions, "rita")
    cookies = [begin(sessions, "anna") for _ in range(MOST)]
    assert find(sessions, cookies[0]) is not None, "it is used, and began first all the same"
    cookies.append(begin(sessions, "anna"))
    issued = sessions.begin_issued(Claims("https://issuer", "anna", frozenset()), "login", LASTS_S, LASTS_S, "")
    cookies.append(fired(Deferred.fromCoroutine(issued))[0])
    assert [at for at, each in enumerate(cookies) if find(sessions, each) is None] == [0, 1]
    assert find(sessions, other) is not None


def test_logins_at_the_same_time_may_end_sessions_that_others_have_ended(sessions: Sessions, kept: Kept) -> None:
    first, second = begin(sessions, "anna"), begin(sessions, "anna")
    for _ in range(MOST - 2):
        begin(sessions, "anna")
    page, others = kept.page, list[str]()

    def overtaken(kind: str, owner: str | None, after: str, limit: int) -> Deferred[list[Document]]:
        """Let another login go first, between the refusal of this one and its look at the sessions."""
        found = page(kind, owner, after, limit)
        if not others:
            others.append("")
            others[0] = begin(sessions, "anna")
        return found

    kept.page = overtaken  # type: ignore[method-assign]
    last = begin(sessions, "anna")
    assert [find(sessions, each) is None for each in (first, second, others[0], last)] == [True, True, False, False]
