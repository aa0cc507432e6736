"""The processes that make thumbnails, with processes that only pretend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from splitd.frontends.console.thumbnails.painters import IDLE_S, PROCESSES, Broken, NotPainted, Painters
from splitd.frontends.console.thumbnails.painting import HEAD, LENGTH, MOST_ANSWER


class Process:
    """A process that says what the test wants it to say."""

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.received = b""
        self.is_alive = True

    def write(self, data: bytes) -> None:
        self.received += data

    def signalProcess(self, name: str) -> None:
        if not self.is_alive:
            raise ProcessExitedAlready
        assert name == "KILL"
        self.end()

    def say(self, data: bytes, *, is_made: bool = True) -> None:
        self.protocol.outReceived(HEAD.pack(is_made, len(data)) + data)

    def end(self) -> None:
        self.is_alive = False
        self.protocol.processEnded(Failure(ProcessDone(None)))


class Machine(Clock):
    """Starts processes."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[Process] = []
        self.environments: list[Mapping[str, str]] = []

    def spawnProcess(self, protocol: Any, *_: object, env: Mapping[str, str]) -> None:
        protocol.transport = Process(protocol)
        self.started.append(protocol.transport)
        self.environments.append(env)


def paint(painters: Painters, *pieces: bytes) -> Deferred[bytes]:
    waiting = list(pieces)

    async def read() -> Sequence[bytes]:
        return [waiting.pop(0)] if waiting else []

    return Deferred.fromCoroutine(painters.paint(sum(map(len, pieces)), read))


def result(deferred: Deferred[bytes]) -> bytes:
    found: list[Any] = []
    deferred.addBoth(found.append)
    if isinstance(found[0], Failure):
        found[0].raiseException()
    assert isinstance(found[0], bytes)
    return found[0]


def test_one_process_makes_one_thumbnail_after_the_other() -> None:
    machine = Machine()
    painters = Painters(machine)
    first = paint(painters, b"im", b"age")
    (process,) = machine.started
    assert process.received == LENGTH.pack(5) + b"image"
    for byte in HEAD.pack(True, 4) + b"made":
        process.protocol.outReceived(bytes([byte]))
    assert result(first) == b"made"
    second = paint(painters, b"other")
    process.say(b"it is odd", is_made=False)
    with pytest.raises(NotPainted, match="it is odd"):
        result(second)
    long = paint(painters, b"long")
    process.say(b"x" * MOST_ANSWER, is_made=False)
    with pytest.raises(NotPainted, match=r"\Ax{500}\Z"):
        result(long)
    third = paint(painters, b"third")
    process.say(b"again")
    assert result(third) == b"again"
    assert len(machine.started) == 1


def test_it_knows_nothing_of_the_environment_of_the_front(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPLITD_SECRET", "secret")
    machine = Machine()
    paint(Painters(machine), b"image")
    assert not any("SECRET" in name for name in machine.environments[0])


def test_only_a_few_have_a_turn_at_once() -> None:
    painters = Painters(Machine())
    turns = [painters.turn() for _ in range(PROCESSES + 2)]
    assert [turn.called for turn in turns] == [True] * PROCESSES + [False] * 2
    assert painters.waiting == 2
    turns[PROCESSES].addErrback(lambda _: None).cancel()
    painters.release()
    assert turns[-1].called


@pytest.mark.parametrize("kind", ["ends", "is silent", "says too much"])
def test_a_process_that_breaks_is_not_used_again(kind: str) -> None:
    machine = Machine()
    painters = Painters(machine)
    waiting = paint(painters, b"image")
    (process,) = machine.started
    if kind == "ends":
        process.end()
    elif kind == "is silent":
        machine.advance(60)
    else:
        process.protocol.outReceived(HEAD.pack(True, MOST_ANSWER + 1))
    with pytest.raises(Broken, match="breaks the decoder"):
        result(waiting)
    assert not process.is_alive
    paint(painters, b"image")
    assert len(machine.started) == 2


def test_an_image_that_cannot_be_read_to_its_end_ends_the_process_that_waits_for_it() -> None:
    machine = Machine()
    painters = Painters(machine)

    async def read() -> Sequence[bytes]:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        result(Deferred.fromCoroutine(painters.paint(5, read)))
    assert not machine.started[0].is_alive


def test_processes_end_when_nobody_needs_them_and_with_the_front() -> None:
    machine = Machine()
    painters = Painters(machine)
    done, other = paint(painters, b"a"), paint(painters, b"b")
    for process in machine.started:
        process.say(b"made")
    assert (result(done), result(other)) == (b"made", b"made")
    machine.advance(IDLE_S)
    assert [process.is_alive for process in machine.started] == [False, False]
    busy = paint(painters, b"c")
    stopped = Deferred.fromCoroutine(painters.stop())
    assert stopped.called
    assert not machine.started[2].is_alive
    with pytest.raises(Broken):
        result(busy)
    with pytest.raises(Broken, match="the front stops"):
        result(paint(painters, b"late"))
    assert not machine.getDelayedCalls()
