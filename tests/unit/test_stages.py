from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from storaged.system.stages import Stages

COUNT = 4


class Server:
    """Starts stages that the test ends, and records the calls."""

    def __init__(self) -> None:
        self.stages = Stages()
        self.log: list[str] = []
        self.pending: list[Deferred[None]] = []
        self.undoing: list[Deferred[None]] = []
        self.interrupts = False

    def start(self) -> Deferred[None]:
        return self.stages.start(self._start)

    async def _start(self) -> None:
        for number in range(COUNT):
            await self.stages.enter(
                lambda number=number: self._begin(number),  # type: ignore[misc]
                lambda number=number: self._undo(number),  # type: ignore[misc]
                interrupt=self._interrupt if self.interrupts else None,
            )
        self.log.append("serves")

    def _begin(self, number: int) -> Deferred[None]:
        self.log.append(f"begin {number}")
        self.pending.append(Deferred())
        return self.pending[-1]

    def _undo(self, number: int) -> Deferred[None]:
        self.log.append(f"undo {number}")
        self.undoing.append(Deferred())
        return self.undoing[-1]

    def _interrupt(self) -> Deferred[None]:
        self.log.append("interrupt")
        self.pending[-1].cancel()
        return fail(ValueError("interrupting is no more than an attempt"))

    def go_to(self, stage: int) -> None:
        for number in range(stage):
            self.pending[number].callback(None)

    def undo_all(self) -> None:
        done = 0
        while done < len(self.undoing):
            self.undoing[done].callback(None)
            done += 1


def outcome(deferred: Deferred[None]) -> Any:
    """Return the result of a Deferred; "pending" if it has not fired."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    if not results:
        return "pending"
    return results[0].type if isinstance(results[0], Failure) else results[0]


def undone(last: int) -> list[str]:
    return [f"undo {number}" for number in range(last, -1, -1)]


def test_stages_are_undone_one_after_the_other_last_first() -> None:
    server = Server()
    started = server.start()
    server.go_to(COUNT)
    assert outcome(started) is None
    server.log.clear()
    stopped = server.stages.stop()
    for number in range(COUNT):
        assert server.log == undone(COUNT - 1)[: number + 1]
        server.undoing[number].callback(None)
    assert outcome(stopped) is None


@pytest.mark.parametrize("stage", range(COUNT))
def test_a_stop_in_a_stage_begins_no_other_and_undoes_it_when_it_has_ended(stage: int) -> None:
    server = Server()
    started = server.start()
    server.go_to(stage)
    stopped = server.stages.stop()
    begun = [f"begin {number}" for number in range(stage + 1)]
    assert server.log == begun
    server.pending[stage].callback(None)
    server.undo_all()
    assert server.log == begun + undone(stage)
    assert (outcome(started), outcome(stopped)) == (CancelledError, None)


@pytest.mark.parametrize("stage", range(COUNT))
def test_a_stop_interrupts_a_stage_that_can_be(stage: int) -> None:
    server = Server()
    server.interrupts = True
    started = server.start()
    server.go_to(stage)
    with capturedLogs() as logs:
        stopped = server.stages.stop()
    assert "interrupt" in server.log
    assert len(logs) == 1
    server.undo_all()
    assert server.log[stage + 2 :] == undone(stage)
    assert (outcome(started), outcome(stopped)) == (CancelledError, None)


@pytest.mark.parametrize("stage", range(COUNT))
def test_an_error_in_a_stage_undoes_those_that_began(stage: int) -> None:
    server = Server()
    started = server.start()
    server.go_to(stage)
    server.pending[stage].errback(ValueError("no"))
    server.undo_all()
    assert server.log[stage + 1 :] == undone(stage)
    assert outcome(started) is ValueError
    assert outcome(server.stages.stop()) is None
    assert server.log[stage + 1 :] == undone(stage)


def test_an_error_of_a_stage_that_a_stop_has_ended_is_a_stop() -> None:
    server = Server()
    started = server.start()
    server.stages.stop()
    server.pending[0].errback(ValueError("closed before it was read"))
    server.undo_all()
    assert outcome(started) is CancelledError


def test_cancelling_the_start_stops() -> None:
    server = Server()
    started = server.start()
    server.go_to(1)
    started.cancel()
    assert outcome(started) is CancelledError
    stopped = server.stages.stop()
    server.pending[1].callback(None)
    server.undo_all()
    assert server.log == ["begin 0", "begin 1", *undone(1)]
    assert outcome(stopped) is None


def test_a_stage_that_cannot_be_undone_keeps_no_other_from_it() -> None:
    server = Server()
    server.start()
    server.go_to(COUNT)
    first, second = server.stages.stop(), server.stages.stop()
    with capturedLogs() as logs:
        server.undoing[0].errback(ValueError("first"))
        server.undoing[1].errback(OSError("second"))
        server.undoing[2].callback(None)
        server.undoing[3].callback(None)
    assert server.log[COUNT + 1 :] == undone(COUNT - 1)
    assert (outcome(first), outcome(second), outcome(server.stages.stop())) == (ValueError, ValueError, ValueError)
    assert [event["log_failure"].type for event in logs] == [OSError]


def test_nothing_starts_after_a_stop() -> None:
    server = Server()
    assert outcome(server.stages.stop()) is None
    assert outcome(server.start()) is CancelledError
    assert server.log == []
