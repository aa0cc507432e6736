"""The head starts processes, and goes on to try where that is not possible for a while."""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Mapping
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.error import ProcessDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from splitd.config import Config
from splitd.workers.child import Child
from splitd.workers.head import Head
from storaged.http.handover import Handover
from storaged.system.settings import SettingsError


class Process:
    """A process that only ends when it is told to."""

    pid = 1

    def __init__(self, child: Child, environment: Mapping[str, str]) -> None:
        self._child = child
        self._address = environment["NOTIFY_SOCKET"].replace("@", "\0")
        self.post = environment["SPLITD_POST"]
        self.signals: list[str] = []

    def signalProcess(self, signal: str) -> None:
        self.signals.append(signal)
        if signal == "TERM":
            self.end()

    def end(self) -> None:
        self._child.processEnded(Failure(ProcessDone(0)))

    def tell(self, message: bytes) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.sendto(message, self._address)

    def before(self) -> str:
        """The id of the worker whose place it takes."""
        return self.post.partition('"before":"')[2].partition('"')[0]


class Machine:
    """A reactor that starts no real processes, with a clock that stands still.

    :ivar full: whether no process can be started now.
    :ivar started: the processes that were.
    """

    def __init__(self) -> None:
        from twisted.internet import reactor

        self._reactor = reactor
        self._clock = Clock()
        self.advance, self.callLater, self.seconds = self._clock.pump, self._clock.callLater, self._clock.seconds
        self.full = False
        self.started: list[Process] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def spawnProcess(self, child: Child, _: str, __: Any, environment: Mapping[str, str], childFDs: Any) -> None:  # noqa: ARG002, N803
        if self.full:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        process: Any = Process(child, environment)
        self.started.append(process)
        child.makeConnection(process)


def head_on(machine: Machine, sockets: Mapping[str, int] = {}) -> Head:
    """Return a head.

    :param sockets: what the program before it has passed on: endpoint → descriptor.
    """
    config = Config(data="d", registry="r", cluster_key_file="k", listen="tcp:0:interface=127.0.0.1")
    return Head(config, 2, Handover({"SPLITD_SOCKETS": json.dumps(sockets)}), machine, with_s3=False)


@pytest_twisted.ensureDeferred
async def test_a_process_that_cannot_be_started_again_at_once_is_started_later() -> None:
    machine = Machine()
    head = head_on(machine)
    ready = head.start()
    catalog, worker, _ = machine.started
    catalog.tell(b"READY=1")
    await ready
    machine.full = True
    for process in (catalog, worker):
        process.end()
    machine.advance([0.1, 1, 5, 5])
    head.hang_up()
    assert list(head.pids()) == ["worker 1"]
    machine.full = False
    machine.advance([5] * 3)
    assert len(machine.started) == 5
    assert list(head.pids()) == ["catalog", "worker 0", "worker 1"]
    again = next(each for each in machine.started[3:] if each.before())
    assert f'"front":"{again.before()}"' in worker.post
    await head.stop()
    assert all(each.signals[-1:] == ["TERM"] for each in machine.started[2:])


@pytest_twisted.ensureDeferred
async def test_a_head_that_can_start_no_process_does_not_start() -> None:
    machine = Machine()
    machine.full = True
    with pytest.raises(SettingsError, match="the process catalog cannot start"):
        await head_on(machine).start()
    machine.full = False
    machine.advance([5] * 3)
    assert machine.started == []


@pytest_twisted.ensureDeferred
async def test_when_its_processes_start_the_head_holds_no_socket_that_they_listen_at() -> None:
    with socket.create_server(("127.0.0.1", 0)) as operators:  # as of a front without workers
        port = operators.getsockname()[1]
        machine = Machine()
        head = head_on(machine, {"tcp:8081:interface=127.0.0.1": os.dup(operators.fileno())})
    ready = head.start()
    socket.create_server(("127.0.0.1", port)).close()
    machine.started[0].tell(b"READY=1")
    await ready
    await head.stop()
