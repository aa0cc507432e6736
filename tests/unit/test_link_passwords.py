"""Passwords of links: a few at once, so that they hold up no logins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from splitd.access.link_passwords import MOST_AT_ONCE, LinkPasswords
from splitd.errors import TooManyLogins


class Threads:
    """Threads that do their work when a test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Callable[[], Any], Deferred[Any]]] = []

    def run(self, call: Callable[[], Any]) -> Deferred[Any]:
        self.waiting.append((call, Deferred()))
        return self.waiting[-1][1]

    def work(self) -> None:
        call, deferred = self.waiting.pop(0)
        try:
            made = call()
        except ValueError:
            deferred.errback()
        else:
            deferred.callback(made)


def test_only_a_few_wait_at_once_and_each_end_makes_room() -> None:
    threads = Threads()
    passwords = LinkPasswords(threads.run, hashes=lambda password: f"hash of {password}", proves=lambda *_: True)
    found: list[Any] = []
    for number in range(MOST_AT_ONCE):
        work: Any = passwords.hash("pw") if number % 2 else passwords.proves(b"pw", "hash")
        Deferred.fromCoroutine(work).addBoth(found.append)
    for more in (passwords.hash("pw"), passwords.proves(b"pw", "hash")):
        refused: list[Any] = []
        Deferred.fromCoroutine(more).addErrback(refused.append)
        assert [each.type for each in refused] == [TooManyLogins]
    assert len(threads.waiting) == MOST_AT_ONCE
    threads.work()
    Deferred.fromCoroutine(passwords.hash("other")).addBoth(found.append)
    while threads.waiting:
        threads.work()
    assert found == [True, "hash of pw"] * (MOST_AT_ONCE // 2) + ["hash of other"]


def test_a_password_that_cannot_be_hashed_makes_room_too() -> None:
    threads = Threads()
    passwords = LinkPasswords(threads.run)
    for _ in range(MOST_AT_ONCE + 1):
        refused: list[Any] = []
        Deferred.fromCoroutine(passwords.hash("\0")).addErrback(refused.append)
        threads.work()
        with pytest.raises(ValueError, match="control"):
            refused[0].raiseException()
