"""Ends uploads that can be continued and that nobody has continued for long."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from splitd.interfaces.continued import IContinuedLedger
from splitd.upkeep.walks import Walks
from storaged.system.clocks import WallClock

_INTERVAL_S = 3600.0
_PAGE = 500
_DAY_MS = 24 * 3600 * 1000


class AbandonedUploads:
    """Looks for abandoned uploads once in an hour, and aborts them.

    :param aborted: called when parts are doomed.
    :param days: how many days after its last segment an upload is abandoned; 0 for never.
    :param wall: tells the time that the journal's times are compared with.
    """

    _log = Logger()

    def __init__(
        self,
        ledger: IContinuedLedger,
        aborted: Callable[[], object],
        days: float,
        walks: Walks,
        wall: WallClock,
    ) -> None:
        self._ledger = ledger
        self._aborted = aborted
        self._days = days
        self._wall = wall
        self._walk = walks.walk("ending abandoned uploads", self._abort_old, _INTERVAL_S)

    def start(self) -> None:
        """Begin to look."""
        if self._days:
            self._walk.start(60.0)

    def stop(self) -> Deferred[None]:
        """Look no more.

        :return: a Deferred that fires with None when no look is in progress.
        """
        return self._walk.stop()

    def look(self) -> Deferred[None]:
        """Abort the uploads that are abandoned now.

        :return: a Deferred that fires with None when that is done, or cannot be done now.
        """
        return self._walk.look()

    async def _abort_old(self) -> None:
        before_ms = self._wall.now_ms() - self._days * _DAY_MS
        after = "", ""
        while page := await self._ledger.list_uploads("/", after, _PAGE):
            for each in page:
                if each.touched_ms >= before_ms:
                    continue
                await self._walk.confirm()
                await self._ledger.abort(each.upload, f"nobody has continued it for {self._days:g} days")
                self._log.info("upload {upload} of {path} aborted: nobody has continued it for {days:g} days",
                               upload=each.upload, path=each.path, days=self._days)  # fmt: skip
                self._aborted()
            after = page[-1].path, page[-1].upload
            await self._walk.step()
