"""The file that lists the nodes: read at the start, on request, and whenever it has changed."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from splitd.errors import RegistryRefused
from splitd.model.nodes import NodesMissing, RegistryChange, RegistryInvalid
from splitd.nodes.entries import read_registry
from splitd.nodes.registry import NodeRegistry
from storaged.system.clocks import WallClock
from storaged.system.parallel import InThread
from storaged.system.settings import SettingsError
from storaged.system.watched import Refusal, WatchedFile


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
        self._watched = WatchedFile(path, self.reload, RegistryRefused, in_thread, clock)
        self._registry = registry
        self._wall = wall
        self._lock = DeferredLock()
        self.loaded_ms = wall.now_ms()
        self.refused: Refusal | None = None

    @property
    def path(self) -> str:
        """The file."""
        return self._watched.path

    def start(self) -> None:
        """Begin to watch the file."""
        self._watched.start()

    def stop(self) -> Deferred[None]:
        """Stop watching the file.

        :return: a Deferred that fires when the check in progress has ended.
        """
        return self._watched.stop()

    def reload(self) -> Deferred[RegistryChange]:
        """Read the file now, and make the running registry equal to it.

        :return: a Deferred that fires with the changes.
        :raise RegistryRefused: the file cannot be used; nothing has changed.
        """
        return self._lock.run(lambda: Deferred.fromCoroutine(self._reload()))

    async def _reload(self) -> RegistryChange:
        try:
            text = await self._watched.read()
        except SettingsError as problem:
            raise self._refuse(str(problem)) from problem
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

    def _refuse(self, reason: str) -> RegistryRefused:
        self._log.error("the registry is not taken: {reason}", reason=reason)
        self.refused = Refusal(self._wall.now_ms(), reason)
        return RegistryRefused(reason)

    def warning(self) -> str:
        """Say what is wrong with the mount of the file; empty if nothing is."""
        if self._watched.is_detached:
            return (
                f"the registry {self.path} was replaced outside of this container, which does not see the new one: "
                "mount the folder that it lies in, not the file"
            )
        return ""
