"""What tests of hostile clients share: a cluster that must come out of it well, and how a front says no."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, formatEvent, globalLogPublisher

from tests.cluster.cluster import Cluster
from tests.cluster.raw import RawAnswer, RawClient

KEPT = b"what must still be there"

SMUGGLED = b"DELETE /kept HTTP/1.1\r\nHost: test\r\n\r\n"
"""What a front never takes for a request where it is not one."""


@contextmanager
def surviving(cluster: Cluster) -> Iterator[Cluster]:
    """Starts a cluster, with a file.  Whatever is done to it: afterwards it is served, nothing is under way, and the
    front has met no error that it did not expect.
    """
    problems: list[str] = []

    def note(event: Any) -> None:
        if event["log_level"] >= LogLevel.error:
            problems.append(f"{formatEvent(event)} {event.get('log_failure', '')}")

    pytest_twisted.blockon(Deferred.fromCoroutine(_begin(cluster)))
    globalLogPublisher.addObserver(note)
    try:
        yield cluster
        pytest_twisted.blockon(Deferred.fromCoroutine(_look(cluster)))
    finally:
        globalLogPublisher.removeObserver(note)
    assert not problems


async def _begin(cluster: Cluster) -> None:
    await cluster.start()
    assert (await cluster.put("/kept", KEPT)).code == 201


async def _look(cluster: Cluster) -> None:
    assert (await cluster.get("/kept")).body == KEPT
    assert (await cluster.put("/next", b"abc")).code == 201
    assert (await cluster.get("/next")).body == b"abc"
    await cluster.status_becomes(lambda status: not status["uploads"]["under_way"])


async def all_answers(client: RawClient) -> list[RawAnswer]:
    """The answers until the connection ends."""
    answers = []
    await client.until_ended()
    while client.received:
        answers.append(await client.answer())
    return answers


async def refused(client: RawClient) -> RawAnswer:
    """The one answer that there is before the front ends the connection; it must say why."""
    (answer,) = await all_answers(client)
    assert answer.headers["connection"] == "close"
    assert len(answer.body) > 10
    return answer
