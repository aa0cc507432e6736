"""One daemon as a child process."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1


class DaemonProcess:
    """A twistd in the foreground, that does not outlive this process.

    It has a process group of its own, so that Ctrl-C in the terminal reaches this process only; and the kernel
    kills it when this process ends in whatever way (Linux).

    :param name: what to call it.
    :param arguments: what follows `twistd -n`.
    :param output: the file that what it prints is appended to.
    """

    def __init__(self, name: str, arguments: Sequence[str], output: Path) -> None:
        self.name = name
        self.output = output
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The id of its process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it.  To be called in the main thread: the kernel watches the thread that called."""
        command = [sys.executable, str(twistd()), "-n", "--pidfile=", *self._arguments]
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,
                preexec_fn=_Bond(os.getpid()),  # noqa: PLW1509 - there are no threads here
            )

    def ended(self) -> str:
        """How it ended; empty while it runs, or was never started."""
        code = None if self._process is None else self._process.poll()
        if code is None:
            return ""
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, where it runs."""
        if self._process is not None:
            self._process.send_signal(number)

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end.

        :return: whether it ended in time.
        """
        if self._process is None:
            return True
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True


class _Bond:
    """Makes the kernel kill this process when the one that started it ends.  Runs between fork and exec."""

    def __init__(self, parent: int) -> None:
        self._parent = parent
        # Found before the fork: no library should be loaded after it.
        self._prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def __call__(self) -> None:
        if self._prctl is not None:
            self._prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != self._parent:
                os._exit(1)  # it ended before the kernel was told


def twistd() -> Path:
    """Twisted's program that runs daemons.

    :raise FileNotFoundError: it is not where this Python is.
    """
    path = Path(sys.executable).with_name("twistd")
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}; install splitd for {sys.executable}")
    return path


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a file; none where it is missing."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return [line.rstrip("\n") for line in deque(file, count)]
    except FileNotFoundError:
        return []
