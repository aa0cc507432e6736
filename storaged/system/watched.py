"""A file that is read whenever it has changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from storaged.system.parallel import InThread
from storaged.system.settings import SettingsError, read_text
from storaged.system.watching import Watch, sign_file

_Signature = tuple[int, int, int, int]
"""The time, size, inode and number of links of a file; see `sign_file`."""


@attrs.frozen
class Refusal:
    """A version of a file that was refused.

    :param time_ms: when it was refused, milliseconds since 1970.
    :param reason: why it was refused, with file and line.
    """

    time_ms: int
    reason: str


class WatchedFile:
    """A file, checked every second.

    :param path: the file.
    :param changed: called when the file has changed since it was last read; its failures are logged, unless they are
        expected.
    :param expected: the kind of failure that `changed` has reported already.
    :param in_thread: makes a blocking call in a thread.
    :param clock: measures the pauses between two checks.
    """

    _log = Logger()

    def __init__(
        self,
        path: str,
        changed: Callable[[], Deferred[Any]],
        expected: type[Exception],
        in_thread: InThread,
        clock: Any,
    ) -> None:
        self.path = os.path.abspath(path)  # noqa: PTH100 - text, as in the settings
        self._changed = changed
        self._expected = expected
        self._in_thread = in_thread
        self._watch = Watch(self.path, self._sign, self._tell, in_thread, clock)

    def start(self) -> None:
        """Begin to watch the file."""
        self._watch.start()

    def stop(self) -> Deferred[None]:
        """Stop watching the file.

        :return: a Deferred that fires when the check in progress has ended.
        """
        return self._watch.stop()

    def read(self) -> Deferred[str]:
        """Read the file.

        :return: a Deferred that fires with its text.
        :raise SettingsError: the file cannot be read, or is not UTF-8.
        """
        return self._in_thread(self._read_file).addCallback(self._note)

    def _read_file(self) -> tuple[_Signature | None, str | SettingsError]:
        # The signature is taken first, so that a file that changes while it is read is read once more.
        signature = self._sign()
        try:
            return signature, read_text(self.path)
        except SettingsError as problem:
            return signature, problem

    def _note(self, found: tuple[_Signature | None, str | SettingsError]) -> str:
        self._watch.read, text = found
        if isinstance(text, SettingsError):
            raise text
        return text

    def _sign(self) -> _Signature | None:
        return sign_file(self.path)

    def _tell(self) -> Deferred[None]:
        return self._changed().addCallbacks(lambda _: None, self._log_failure)

    def _log_failure(self, failure: Failure) -> None:
        if not failure.check(self._expected):  # which the log and the status show already
            self._log.failure("reading {path}", failure, path=self.path)

    @property
    def is_detached(self) -> bool:
        """Whether the file was replaced outside of this container, which still sees the old one."""
        seen = cast("_Signature | None", self._watch.seen)
        return seen is not None and seen[3] == 0
