"""The checker of histories finds what it is there for."""

from __future__ import annotations

from tests.histories import Event, explain_stale


def test_the_checker_finds_stale_reads_and_reads_that_go_back() -> None:
    written = [Event(1, 2, "/a", 1, writes=True), Event(3, 6, "/a", 2, writes=True)]
    assert explain_stale([*written, Event(4, 5, "/a", 1, writes=False)]) == ""
    assert explain_stale([*written, Event(7, 8, "/a", 1, writes=False)])
    assert explain_stale([Event(4, 5, "/a", 2, writes=False), *written, Event(5, 7, "/a", 2, writes=False)]) == ""
    assert explain_stale([Event(3, 4, "/a", 2, writes=False), *written, Event(5, 7, "/a", 1, writes=False)])
    assert explain_stale([Event(8, 9, "/a", 3, writes=False), *written])
