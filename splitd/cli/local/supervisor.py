"""Keeps daemons running until a signal says stop."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from select import select
from types import FrameType

import attrs

from splitd.cli.local.daemon import Daemon

NEWCOMERS = signal.SIGUSR1
"""Tells a `splitctl up` that nodes were added to its folder."""

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_STEADY_S = 10.0
_STOP_S = 30.0


class Bell:
    """Rings when a child ended, or a signal said stop, or that there are newcomers to be started."""

    def __init__(self, ear: socket.socket) -> None:
        self._ear = ear
        self.stopped = 0
        self._newcomers = False

    def stop(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler
        """Take note of a signal that says stop."""
        self.stopped += 1

    def announce(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler
        """Take note of a signal that says that there are newcomers."""
        self._newcomers = True

    def announced(self) -> bool:
        """Whether there are newcomers; says it once for each time."""
        said, self._newcomers = self._newcomers, False
        return said

    def wait(self, timeout_s: float | None) -> None:
        """Wait for the next ring."""
        if select([self._ear], [], [], timeout_s)[0]:
            self._ear.recv(4096)


@contextmanager
def bell() -> Iterator[Bell]:
    """Let SIGINT, SIGTERM, SIGHUP, SIGUSR1 (there are newcomers) and the end of a child ring."""
    ear, mouth = socket.socketpair()
    with ear, mouth:
        mouth.setblocking(False)
        ringing = Bell(ear)
        wakeup = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
        before = {
            signal.SIGCHLD: signal.signal(signal.SIGCHLD, lambda *_: None),
            NEWCOMERS: signal.signal(NEWCOMERS, ringing.announce),
        }
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # under nohup the end of the terminal is no stop
                before[number] = signal.signal(number, ringing.stop)
        try:
            yield ringing
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup)


@attrs.define
class _Watch:
    daemon: Daemon
    started: float = 0.0
    pause_s: float = _FIRST_PAUSE_S
    due: float | None = None


class Supervisor:
    """Starts daemons again that end by themselves.

    :param daemons: all of them, running.
    :param ringing: rings when there is something to do.
    :param say: tells the user.
    :param restarted: called each time after a daemon was started again.
    :param newcomers: called when there are said to be some: starts them, and returns those it started.
    """

    def __init__(
        self,
        daemons: Sequence[Daemon],
        ringing: Bell,
        say: Callable[[str], None],
        restarted: Callable[[], None],
        newcomers: Callable[[], Sequence[Daemon]],
    ) -> None:
        self._watches = [_Watch(daemon) for daemon in daemons]
        self._bell = ringing
        self._say = say
        self._restarted = restarted
        self._newcomers = newcomers

    def watch(self) -> None:
        """Keep them running until a signal says stop.

        One that ends is started again after a pause, which doubles each time it ended soon.
        """
        now = time.monotonic()
        for watch in self._watches:
            watch.started = now
        while not self._bell.stopped:
            now = time.monotonic()
            if self._bell.announced():
                self._watches += [_Watch(daemon, started=now) for daemon in self._newcomers()]
            for watch in self._watches:
                self._look_after(watch, now)
            due = [watch.due for watch in self._watches if watch.due is not None]
            self._bell.wait(max(min(due) - time.monotonic(), 0) if due else None)

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


def stop_in_order(groups: Sequence[Sequence[Daemon]], ringing: Bell, say: Callable[[str], None]) -> None:
    """Stop daemons, one group after the other.

    One that has not ended after 30 s, or when another signal says stop, is killed.
    """
    signals = ringing.stopped
    for group in groups:
        for daemon in group:
            daemon.send(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_S
        while left := [daemon for daemon in group if not daemon.wait(0)]:
            pause_s = deadline - time.monotonic()
            if pause_s <= 0 or ringing.stopped > signals:
                for daemon in left:
                    say(f"{daemon.name} (pid {daemon.pid}) is killed: it did not end in time")
                    daemon.send(signal.SIGKILL)
                    daemon.wait(_STOP_S)
                break
            ringing.wait(pause_s)
