"""Runs one daemon as a child process."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

_PR_SET_PDEATHSIG = 1


class DaemonProcess:
    """A twistd in the foreground that does not outlive this process.

    It has its own process group, so that Ctrl-C in the terminal reaches only this process.  The kernel kills it when
    this process ends, for whatever reason (Linux).

    :param name: its name in messages.
    :param arguments: the arguments after `twistd -n`.
    :param output: the file that its output is appended to.
    :param variables: those that its environment has besides the ones of this process.
    """

    def __init__(
        self, name: str, arguments: Sequence[str], output: Path, variables: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.name = name
        self.output = output
        self._arguments = arguments
        self._variables = variables
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The id of its process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it.  Call this in the main thread: the kernel watches the thread that makes the call."""
        command = [sys.executable, str(twistd()), "-n", "--pidfile=", *self._arguments]
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **self._variables},
                process_group=0,
                preexec_fn=_Bond(os.getpid()),  # noqa: PLW1509 - there are no threads here
            )

    def ended(self) -> str:
        """Return how it ended; empty while it runs, or if it was never started."""
        code = None if self._process is None else self._process.poll()
        if code is None:
            return ""
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it was started."""
        if self._process is not None:
            self._process.send_signal(number)

    def wait(self, timeout_s: float) -> bool:
        """Wait until it ends.

        :return: whether it ended in time; True if it was never started.
        """
        if self._process is None:
            return True
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True


class _Bond:
    """Makes the kernel kill this process when its parent ends.  Runs between fork and exec."""

    def __init__(self, parent: int) -> None:
        self._parent = parent
        # Looked up before the fork: no library should be loaded after it.
        self._prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def __call__(self) -> None:
        if self._prctl is not None:
            self._prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != self._parent:
                os._exit(1)  # the parent ended before the call to prctl


def twistd() -> Path:
    """Return the path of Twisted's program that runs daemons.

    :raise FileNotFoundError: it is not beside this Python.
    """
    path = Path(sys.executable).with_name("twistd")
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}; install splitd for {sys.executable}")
    return path


def last_lines(path: Path, count: int) -> list[str]:
    """Return the last lines of a file; none if it is missing."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return [line.rstrip("\n") for line in deque(file, count)]
    except FileNotFoundError:
        return []
