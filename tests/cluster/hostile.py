"""Shared code of the tests with hostile clients: a cluster that must survive them, and the form of a refusal."""

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
"""Bytes that a front must not take for a request inside something else."""


@contextmanager
def surviving(cluster: Cluster) -> Iterator[Cluster]:
    """Start a cluster, with a file.  At the end of the block, whatever was done to it, it must serve the file, no
    upload may be under way, and the front must have met no unexpected error.
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


@contextmanager
def about(case: object) -> Iterator[None]:
    """Name the case in a failure.  Many cases share a cluster, because its start takes longer than most of them."""
    try:
        yield
    except Exception as problem:
        problem.add_note(f"the case: {case}")
        raise


async def all_answers(client: RawClient) -> list[RawAnswer]:
    """Return the answers until the connection ends."""
    answers = []
    await client.until_ended()
    while client.received:
        answers.append(await client.answer())
    return answers


async def refused(client: RawClient) -> RawAnswer:
    """Return the only answer before the front ends the connection; it must give a reason."""
    (answer,) = await all_answers(client)
    assert answer.headers["connection"] == "close"
    assert len(answer.body) > 10
    return answer
