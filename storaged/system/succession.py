"""Replaces the program of a daemon by the one that is installed now, in the same process.

The process keeps its id, so whatever watches it sees no end.  First a trial run shows that the new program starts with
these settings; if it does not, the old one goes on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.utils import getProcessOutputAndValue
from twisted.logger import Logger

TRIAL = "SPLITD_TRIAL"
"""Set in the environment of a trial run, which reads its settings and ends."""

_TRIAL_S = 120.0
_LAST_LINES = 500


class TrialFailed(Exception):
    """The installed program does not start; the message says why."""


class Succession:
    """The successor of this program.

    :param environment: of this process.
    :param reactor: starts the trial run.
    :param command: how this program was started; None for what the interpreter says.
    """

    _log = Logger()

    def __init__(self, environment: Mapping[str, str], reactor: Any, command: list[str] | None = None) -> None:
        self._environment = environment
        self._reactor = reactor
        self._command = [sys.executable, *sys.orig_argv[1:]] if command is None else command

    @property
    def is_trial(self) -> bool:
        """Whether this program was only started to show that it can be."""
        return bool(self._environment.get(TRIAL))

    async def try_out(self) -> None:
        """Start the installed program with these settings, and wait until it has read them.

        :raise TrialFailed: it does not start, or cannot use its settings.
        """
        running: Deferred[tuple[bytes, bytes, int]] = getProcessOutputAndValue(
            self._command[0], self._command[1:], {**self._environment, TRIAL: "1"}, reactor=self._reactor
        )

        def late(_: object, timeout_s: float) -> tuple[bytes, bytes, int]:
            raise TrialFailed(f"it has not read its settings in {timeout_s:.0f} s")

        said, complained, code = await running.addTimeout(_TRIAL_S, self._reactor, late)
        if code:
            words = (complained.strip() or said.strip()).decode("utf-8", "replace")[-_LAST_LINES:]
            raise TrialFailed(words.rpartition("\n")[2] or f"it ended with exit code {code}")

    def begin(self, environment: Callable[[Mapping[str, str]], Mapping[str, str]]) -> None:
        """Replace this program now; it does not return.  If that fails, the process ends with status 1.

        :param environment: makes the environment of the successor.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            os.execve(self._command[0], self._command, dict(environment(self._environment)))  # noqa: S606
        except OSError:  # twistd would end with status 0, which a supervisor would take for success
            os._exit(1)
