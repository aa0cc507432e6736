"""The limits in force: those of their file, and the quotas of the users."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from splitd.access.limits_file import read_limits
from splitd.errors import LimitsInvalid
from splitd.interfaces.quotas import IQuotas
from splitd.model.limits import NO_LIMITS, Limits
from splitd.model.quotas import Quota
from storaged.system.parallel import InThread
from storaged.system.settings import SettingsError, read_text
from storaged.system.watching import WatchedFiles, sign_file


class Limiting:
    """Keeps the limits equal to their file and to the users.

    :param path: the file of the limits; empty for none.
    :param take: takes the limits of requests.
    :param quotas: takes the quotas.
    :param user_quotas: returns the quotas of the present users.
    :param in_thread: makes a blocking call in a thread.
    :param clock: measures time.
    :ivar limits: the limits of the file.
    :ivar files: the file, as it is watched.
    """

    _log = Logger()

    def __init__(
        self,
        path: str,
        take: Callable[[Limits], None],
        quotas: IQuotas,
        user_quotas: Callable[[], Sequence[Quota]],
        in_thread: InThread,
        clock: Any,
    ) -> None:
        self._path = path
        self._use = take
        self._quotas = quotas
        self._user_quotas = user_quotas
        self._setting: Deferred[None] | None = None
        self.limits = NO_LIMITS
        self.files = WatchedFiles(
            "the limits", lambda: sign_file(path), lambda: _read(path), self._take, in_thread, clock
        )

    def largest_file(self) -> int | None:
        """Return the most bytes of a file; None for any number."""
        return self.limits.largest_file

    def _take(self, limits: Limits) -> None:
        self.limits = limits
        self._use(limits)
        self.set_quotas()

    def set_quotas(self) -> None:
        """Let the quotas of the file and of the present users be in force, soon."""
        of_paths = [Quota(each.path, (each.path,), each.bytes, each.files) for each in self.limits.quotas]
        if self._setting is not None:
            self._setting.cancel()
        self._setting = self._quotas.set_quotas([*of_paths, *self._user_quotas()]).addErrback(self._not_set)

    def _not_set(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("the quotas are not in force", failure)

    async def in_force(self) -> None:
        """Wait until the quotas are in force that were set last."""
        setting, waiting = self._setting, Deferred[None]()
        if setting is not None:
            setting.addCallback(waiting.callback)
            await waiting

    async def start(self) -> None:
        """Read the file, count what is stored where there are quotas, and watch the file.

        :raise SettingsError: the file cannot be used.
        """
        if self._path:
            await self.files.load()
            self.files.start()
        else:
            self.set_quotas()
        await self.in_force()

    def stop(self) -> Deferred[None]:
        """Stop watching the file."""
        setting, self._setting = self._setting, None
        if setting is not None:
            setting.cancel()
        return self.files.stop() if self._path else succeed(None)


def _read(path: str) -> Limits:
    try:
        return read_limits(path, read_text(path))
    except LimitsInvalid as problem:
        raise SettingsError(str(problem)) from problem
