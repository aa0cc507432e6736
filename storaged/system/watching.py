"""Files that a daemon reads again while it runs: when they change, and on request."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger
from twisted.python.failure import Failure

from storaged.system.parallel import InThread
from storaged.system.periodic import Periodic
from storaged.system.settings import SettingsError

LOOK_EVERY_S = 1.0
"""How often files are checked.  They are read when two checks in a row find the same change: then their writer is done.
"""

_Content = TypeVar("_Content")


def sign_file(path: str) -> tuple[int, int, int, int] | None:
    """Return a signature that changes when a file changes: its time, size, inode and number of links.  Blocks.

    :return: None if the file cannot be examined.
    """
    try:
        stat = os.stat(path)  # noqa: PTH116 - text, as in the settings
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino, stat.st_nlink


class Watch:
    """Notices that files have changed.  They are checked once a second, in a thread.

    :param what: what is watched, for the log.
    :param sign: returns a signature that changes when a file changes; blocks.
    :param changed: called when the files have changed since they were read.
    :param in_thread: makes a blocking call in a thread.
    :param clock: measures the pauses between two checks.
    :ivar read: the signature of the files when they were read last.
    :ivar seen: their signature at the last check.
    """

    def __init__(
        self,
        what: str,
        sign: Callable[[], Hashable],
        changed: Callable[[], Deferred[None]],
        in_thread: InThread,
        clock: Any,
    ) -> None:
        self._sign = sign
        self._changed = changed
        self._in_thread = in_thread
        self._periodic = Periodic(self._look, LOOK_EVERY_S, clock, f"watching {what}")
        self.read: Hashable = None
        self.seen: Hashable = None

    def start(self) -> None:
        """Begin to watch."""
        self._periodic.start()

    def stop(self) -> Deferred[None]:
        """Stop watching.

        :return: a Deferred that fires when the check in progress has ended.
        """
        return self._periodic.stop()

    def _look(self) -> Deferred[None]:
        return self._in_thread(self._sign).addCallback(self._signed)

    def _signed(self, signature: Hashable) -> Deferred[None] | None:
        settled, self.seen = signature == self.seen, signature
        return self._changed() if settled and signature != self.read else None


class WatchedFiles(Generic[_Content]):
    """Keeps something equal to the files that it is read from.  Files that cannot be used change nothing.

    :param what: what the files hold, for the log.
    :param sign: returns a signature that changes when a file changes; blocks.
    :param read: reads the files; blocks, and raises `SettingsError` if they cannot be used.
    :param take: takes what was read; raises `SettingsError` if it cannot be used beside what runs.
    :param in_thread: makes a blocking call in a thread.
    :param clock: measures the pauses between two checks.
    :ivar refused: why the files as they are now were not taken; empty if they were.
    """

    _log = Logger()

    def __init__(
        self,
        what: str,
        sign: Callable[[], Hashable],
        read: Callable[[], _Content],
        take: Callable[[_Content], object],
        in_thread: InThread,
        clock: Any,
    ) -> None:
        self._what = what
        self._sign = sign
        self._read = read
        self._take = take
        self._in_thread = in_thread
        self._lock = DeferredLock()
        self._watch = Watch(what, sign, self._changed, in_thread, clock)
        self.refused = ""

    def start(self) -> None:
        """Begin to watch the files."""
        self._watch.start()

    def stop(self) -> Deferred[None]:
        """Stop watching the files.

        :return: a Deferred that fires when the check in progress has ended.
        """
        return self._watch.stop()

    def _changed(self) -> Deferred[None]:
        return self.load().addErrback(lambda failure: failure.trap(SettingsError) and None)

    def load(self) -> Deferred[None]:
        """Read the files now.

        :return: a Deferred that fires with None when what they hold is in use.
        :raise SettingsError: the files cannot be used; nothing has changed, and the log has the reason.
        """
        return self._lock.run(lambda: Deferred.fromCoroutine(self._load()))

    async def _load(self) -> None:
        signature, content = await self._in_thread(self._sign_and_read)
        first, self._watch.read = self._watch.read is None, signature
        try:
            if isinstance(content, SettingsError):
                raise content
            self._take(content)
        except SettingsError as problem:
            self.refused = str(problem)
            if not first:  # otherwise the start fails, and says so
                self._log.error("{what} are not taken: {reason}", what=self._what, reason=self.refused)
            raise
        self.refused = ""
        if not first:
            self._log.info("{what} are read again", what=self._what)

    def _sign_and_read(self) -> tuple[Hashable, _Content | SettingsError]:
        # The signature is taken first, so that files that change while they are read are read once more.
        signature = self._sign()
        try:
            return signature, self._read()
        except SettingsError as problem:
            return signature, problem


async def load_all(files: Sequence[WatchedFiles[Any]]) -> list[str]:
    """Read several files again, each for itself.

    :return: why some of them cannot be used; those are not taken.
    """
    problems: list[str] = []

    def refused(failure: Failure) -> None:
        failure.trap(SettingsError)
        problems.append(failure.getErrorMessage())

    for each in files:
        await each.load().addErrback(refused)
    return problems
