"""Keeps daemons running until a stop signal comes."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from select import select
from types import FrameType

import attrs

from splitd.cli.local.daemon import DaemonProcess

NODES_ADDED = signal.SIGUSR1
"""The signal that tells a `splitctl up` that nodes were added to its folder."""

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_STEADY_S = 10.0
_STOP_S = 30.0


class Signals:
    """The signals that this process has received, and a way to wait for the next one.

    :param receiver: the end of a socket pair from which a byte can be read after each signal.
    :ivar stopped: how many stop signals have come.
    """

    def __init__(self, receiver: socket.socket) -> None:
        self._receiver = receiver
        self.stopped = 0
        self._nodes_added = False

    def on_stop(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler
        """Count a stop signal."""
        self.stopped += 1

    def on_nodes_added(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler
        """Note that nodes were added."""
        self._nodes_added = True

    def take_nodes_added(self) -> bool:
        """Return whether nodes were added since the last call."""
        added, self._nodes_added = self._nodes_added, False
        return added

    def wait(self, timeout_s: float | None) -> None:
        """Block until the next signal, the end of a child, or the timeout; None means no timeout."""
        if select([self._receiver], [], [], timeout_s)[0]:
            self._receiver.recv(4096)


@contextmanager
def received_signals() -> Iterator[Signals]:
    """Receive SIGINT, SIGTERM, SIGHUP, SIGUSR1 (nodes were added) and the end of a child, until the block ends."""
    receiver, sender = socket.socketpair()
    with receiver, sender:
        sender.setblocking(False)
        signals = Signals(receiver)
        wakeup = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        before = {
            signal.SIGCHLD: signal.signal(signal.SIGCHLD, lambda *_: None),
            NODES_ADDED: signal.signal(NODES_ADDED, signals.on_nodes_added),
        }
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # under nohup, SIGHUP does not stop
                before[number] = signal.signal(number, signals.on_stop)
        try:
            yield signals
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup)


@attrs.define
class _Watch:
    daemon: DaemonProcess
    started: float = 0.0
    pause_s: float = _FIRST_PAUSE_S
    due: float | None = None


class Supervisor:
    """Restarts daemons that end by themselves.

    :param daemons: all of them, running.
    :param signals: the signals that this process receives.
    :param say: shows a message to the user.
    :param restarted: called each time after a daemon was restarted.
    :param start_added: called after nodes were added: starts their daemons, and returns those that it started.
    """

    def __init__(
        self,
        daemons: Sequence[DaemonProcess],
        signals: Signals,
        say: Callable[[str], None],
        restarted: Callable[[], None],
        start_added: Callable[[], Sequence[DaemonProcess]],
    ) -> None:
        self._watches = [_Watch(daemon) for daemon in daemons]
        self._signals = signals
        self._say = say
        self._restarted = restarted
        self._start_added = start_added

    def watch(self) -> None:
        """Keep the daemons running until a stop signal comes.

        A daemon that ends is restarted after a pause.  The pause doubles each time it ends soon after its start.
        """
        now = time.monotonic()
        for watch in self._watches:
            watch.started = now
        while not self._signals.stopped:
            now = time.monotonic()
            if self._signals.take_nodes_added():
                self._watches += [_Watch(daemon, started=now) for daemon in self._start_added()]
            for watch in self._watches:
                self._look_after(watch, now)
            due = [watch.due for watch in self._watches if watch.due is not None]
            self._signals.wait(max(min(due) - time.monotonic(), 0) if due else None)

    def _look_after(self, watch: _Watch, now: float) -> None:
        daemon = watch.daemon
        if watch.due is None:
            if not (ended := daemon.ended()):
                return
            watch.pause_s = _FIRST_PAUSE_S if now - watch.started > _STEADY_S else min(watch.pause_s, _LONGEST_PAUSE_S)
            watch.due = now + watch.pause_s
            self._say(f"{daemon.name} (pid {daemon.pid}) ended: {ended}; it is started again in {watch.pause_s:.0f} s")
        elif watch.due <= now:
            watch.due = None
            watch.started = now
            watch.pause_s *= 2
            daemon.start()
            self._say(f"{daemon.name} was started again: pid {daemon.pid}; its output is in {daemon.output}")
            self._restarted()


def stop_in_order(groups: Sequence[Sequence[DaemonProcess]], signals: Signals, say: Callable[[str], None]) -> None:
    """Stop daemons, one group after the other.

    A daemon is killed if it has not ended after 30 s, or when another stop signal comes.
    """
    stopped = signals.stopped
    for group in groups:
        for daemon in group:
            daemon.send(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_S
        while left := [daemon for daemon in group if not daemon.wait(0)]:
            pause_s = deadline - time.monotonic()
            if pause_s <= 0 or signals.stopped > stopped:
                for daemon in left:
                    say(f"{daemon.name} (pid {daemon.pid}) is killed: it did not end in time")
                    daemon.send(signal.SIGKILL)
                    daemon.wait(_STOP_S)
                break
            signals.wait(pause_s)
