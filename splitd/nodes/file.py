"""The file that lists the nodes: read at the start, on request, and whenever it has changed."""

from __future__ import annotations

import os
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from splitd.errors import RegistryRefused
from splitd.model.nodes import NodesMissing, RegistryChange, RegistryInvalid
from splitd.nodes.entries import read_registry
from splitd.nodes.registry import NodeRegistry
from storaged.system.clocks import WallClock
from storaged.system.parallel import InThread
from storaged.system.periodic import Periodic
from storaged.system.settings import SettingsError, read_text

LOOK_EVERY_S = 1.0
"""How often the file is checked.  It is read when two checks in a row find the same change: then its writer is done."""


@attrs.frozen
class Refusal:
    """A registry file that was refused.

    :param time_ms: when it was refused, milliseconds since 1970.
    :param reason: why it was refused, with file and line.
    """

    time_ms: int
    reason: str


_Signature = tuple[int, int, int, int]


class RegistryFile:
    """Keeps the running registry equal to its file.

    A file that cannot be used changes nothing, and is reported until a valid one takes its place.

    :param path: the file.
    :param in_thread: makes a blocking call in a thread.
    :param clock: measures the pauses between two checks.
    :param wall: tells the times that are shown.
    :ivar loaded_ms: when the running registry was read, milliseconds since 1970.
    :ivar refused: the refusal of the last file; None if it was accepted.
    """

    _log = Logger()

    def __init__(
        self,
        path: str,
        registry: NodeRegistry,
        in_thread: InThread,
        clock: Any,
        wall: WallClock,
    ) -> None:
        self.path = os.path.abspath(path)  # noqa: PTH100 - text, as in the settings
        self._registry = registry
        self._in_thread = in_thread
        self._wall = wall
        self._lock = DeferredLock()
        self._watch = Periodic(self._look, LOOK_EVERY_S, clock, "watching the registry")
        self._read: _Signature | None = None
        self._seen: _Signature | None = None
        self.loaded_ms = wall.now_ms()
        self.refused: Refusal | None = None

    def start(self) -> None:
        """Begin to watch the file."""
        self._watch.start()

    def stop(self) -> Deferred[None]:
        """Stop watching the file.

        :return: a Deferred that fires when the check in progress has ended.
        """
        return self._watch.stop()

    def _look(self) -> Deferred[None]:
        return self._in_thread(self._sign).addCallback(self._signed)

    def _sign(self) -> _Signature | None:
        """Return a signature that changes when the file changes; None if the file cannot be examined."""
        try:
            stat = os.stat(self.path)  # noqa: PTH116
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino, stat.st_nlink

    def _signed(self, signature: _Signature | None) -> Deferred[None] | None:
        settled, self._seen = signature == self._seen, signature
        if not settled or signature == self._read:
            return None
        return self.reload().addCallbacks(lambda _: None, self._log_failure)

    def _log_failure(self, failure: Any) -> None:
        if not failure.check(RegistryRefused):  # which the log and the status show already
            self._log.failure("reading {path}", failure, path=self.path)

    def reload(self) -> Deferred[RegistryChange]:
        """Read the file now, and make the running registry equal to it.

        :return: a Deferred that fires with the changes.
        :raise RegistryRefused: the file cannot be used; nothing has changed.
        """
        return self._lock.run(lambda: Deferred.fromCoroutine(self._reload()))

    async def _reload(self) -> RegistryChange:
        signature, text = await self._in_thread(self._read_file)
        self._read = signature
        if isinstance(text, SettingsError):
            raise self._refuse(str(text))
        try:
            entries = read_registry(self.path, text)
        except RegistryInvalid as problem:
            raise self._refuse(str(problem)) from problem
        try:
            change = self._registry.replace(entries)
        except NodesMissing as problem:
            raise self._refuse(f"{self.path}: line {max(1, text.count(chr(10)))}: {problem}") from problem
        except RegistryInvalid as problem:
            raise self._refuse(f"{self.path}: {problem}") from problem
        self.refused = None
        self.loaded_ms = self._wall.now_ms()
        if change:
            self._log.info("{path} is read: {change}", path=self.path, change=change)
        return change

    def _read_file(self) -> tuple[_Signature | None, str | SettingsError]:
        # The signature is taken first, so that a file that changes while it is read is read once more.
        signature = self._sign()
        try:
            return signature, read_text(self.path)
        except SettingsError as problem:
            return signature, problem

    def _refuse(self, reason: str) -> RegistryRefused:
        self._log.error("the registry is not taken: {reason}", reason=reason)
        self.refused = Refusal(self._wall.now_ms(), reason)
        return RegistryRefused(reason)

    def warning(self) -> str:
        """Say what is wrong with the mount of the file; empty if nothing is."""
        if self._seen is not None and self._seen[3] == 0:
            return (
                f"the registry {self.path} was replaced outside of this container, which does not see the new one: "
                "mount the folder that it lies in, not the file"
            )
        return ""
