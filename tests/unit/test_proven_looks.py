"""Look-ups that are kept are proven together: one question to the database for all that have come meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, fail, succeed

from splitd.catalog.sql.kept import KeptLooks
from splitd.catalog.sql.stamps import News
from splitd.catalog.stamped import Found
from splitd.catalog.touched import group_of
from splitd.errors import CatalogAway
from tests.catalogs import A, B, manifest


class Database:
    """Answers when a test says so.

    :ivar checks: the questions that have no answer yet.
    :ivar is_away: whether each further question fails at once.
    """

    is_away = False

    def __init__(self) -> None:
        self.checks: list[Deferred[News]] = []
        self._soon: list[Callable[[], None]] = []
        self.looks = KeptLooks(self._check, self._soon.append)

    def _check(self) -> Deferred[News]:
        if self.is_away:
            return fail(CatalogAway("it does not answer"))
        self.checks.append(Deferred())
        return self.checks[-1]

    def keep(self, *paths: str) -> None:
        for path in paths:
            found: list[Found] = []
            self.looks.find(path, lambda: succeed(manifest(A)), is_key=False).addCallback(found.append)
            assert found == [manifest(A)]

    def ask(self, *paths: str) -> list[bool | None]:
        """Ask for proofs; return a list that has, for each, what has come of it so far."""
        proven: list[bool | None] = [None] * len(paths)
        for number, path in enumerate(paths):
            known = self.looks.known_file(path)
            assert known is not None
            known[1]().addCallback(lambda holds, number=number: proven.__setitem__(number, holds))
        return proven

    def turn(self) -> None:
        """End the reactor's turn."""
        soon, self._soon[:] = list(self._soon), []
        for each in soon:
            each()

    def answer(self, *touched: str) -> None:
        news = News({group_of(path) for path in touched})
        self.looks.tell(news)
        self.checks.pop(0).callback(news)


def test_one_question_proves_all_that_came_in_a_turn() -> None:
    database = Database()
    database.keep("/a", "/b")
    proven = database.ask("/a", "/b", "/a")
    assert not database.checks
    database.turn()
    assert len(database.checks) == 1
    database.answer("/b")
    assert proven == [True, False, True]
    assert database.looks.answered == 2
    assert database.looks.known_file("/b") is None


def test_what_comes_during_a_question_waits_for_the_next_one() -> None:
    database = Database()
    database.keep("/a")
    first = database.ask("/a")
    database.turn()
    second = database.ask("/a")
    database.turn()
    assert len(database.checks) == 1
    database.answer()
    assert (first, second, len(database.checks)) == ([True], [None], 1)
    database.answer("/a")
    assert second == [False]
    database.keep("/a")
    third = database.ask("/a")
    database.turn()
    database.answer()
    assert third == [True]


def test_so_many_are_proven_at_once_that_others_get_their_turns() -> None:
    database = Database()
    database.keep("/a")
    proven = database.ask(*["/a"] * 150)
    database.turn()
    counts = []
    while database.checks:
        database.answer()
        counts.append(proven.count(True))
    assert counts == [64, 128, 150]


def test_a_database_that_does_not_answer_proves_nothing_and_is_asked_again() -> None:
    database = Database()
    database.keep("/a")
    proven = database.ask("/a")
    database.turn()
    later = database.ask("/a")
    database.checks.pop(0).errback(CatalogAway("it does not answer"))
    assert (proven, later) == ([False], [None])
    database.turn()
    database.answer()
    assert later == [True]


def test_however_many_wait_for_proofs_all_are_told_that_the_database_is_away() -> None:
    database = Database()
    database.keep("/a")
    proven = database.ask(*["/a"] * 30_000)
    database.turn()
    database.is_away = True
    database.checks.pop(0).errback(CatalogAway("it does not answer"))
    for _ in proven:
        database.turn()
    assert set(proven) == {False}
    database.is_away = False
    proven = database.ask("/a")
    database.turn()
    database.answer()
    assert proven == [True]


def test_a_proof_that_nobody_waits_for_any_more_harms_nobody() -> None:
    database = Database()
    database.keep("/a")
    known = database.looks.known_file("/a")
    assert known is not None
    left = known[1]()
    left.addErrback(lambda _: None)
    proven = database.ask("/a")
    left.cancel()
    database.turn()
    database.answer()
    assert proven == [True]


def test_a_look_up_whose_proof_fails_looks() -> None:
    database = Database()
    database.keep("/a")
    found: list[Found] = []
    database.looks.find("/a", lambda: succeed(manifest(B)), is_key=False).addCallback(found.append)
    database.turn()
    assert not found
    database.answer("/a")
    assert found == [manifest(B)]
