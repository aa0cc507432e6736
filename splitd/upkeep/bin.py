"""Purges what has been in the bin for long enough; and the oldest things, if the nodes have no room for new files."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from splitd.interfaces.bin import IBin
from splitd.model.binned import Binned, first_key
from splitd.model.room import Room
from splitd.upkeep.walks import Walks
from storaged.system.clocks import WallClock
from storaged.system.parallel import gather

LEFT_DAYS = 30.0
"""How long what is in the bin is kept after the bin was switched off."""

_INTERVAL_S = 300.0
_FIRST_S = 60.0
_PAGE = 200
"""Things that are looked at in one step; the records of those that are purged share a sync of the journal."""
_OLDEST = 1000
"""The most things that one round purges because the nodes are full."""
_FULL, _FREED = 0.01, 0.02
"""With less room than this share of all the nodes are full; then as much as the second share is given back."""
_DAY_MS = 24 * 3600 * 1000


@attrs.define
class BinProgress:
    """What is in the bin, as of the last round; times in milliseconds since 1970.

    :param keep_days: after how many days something is purged; 0 if nothing new is put in the bin.
    :param things: how many things were deleted and can be restored.
    :param files: how many files are in them.
    :param bytes: the bytes of these files, as their clients count them.
    :param oldest_ms: when the oldest one was deleted; null if the bin is empty.
    :param purged: things that were purged since the start, because of their age.
    :param purged_full: things that were purged since the start, because the nodes were full.
    """

    keep_days: float
    things: int = 0
    files: int = 0
    bytes: int = 0
    oldest_ms: int | None = None
    purged: int = 0
    purged_full: int = 0


class BinUpkeep:
    """Looks at the bin every five minutes.

    :param doomed: called when parts are doomed.
    :param days: how long things are kept; 0 if nothing new is put in the bin.
    :param room: returns how full the store is; None if that is not known.
    :param wall: tells the time that deletions are compared with, as if it had not been set since the start.
    :ivar progress: what is in the bin.
    """

    _log = Logger()

    def __init__(
        self,
        bin_: IBin,
        doomed: Callable[[], object],
        days: float,
        room: Callable[[], Awaitable[Room | None]],
        walks: Walks,
        wall: WallClock,
    ) -> None:
        self._bin = bin_
        self._doomed = doomed
        self._days = days or LEFT_DAYS
        self._room = room
        self._wall = wall
        self._walk = walks.walk("looking at the bin", self._look, _INTERVAL_S)
        self.progress = BinProgress(days)

    def start(self) -> None:
        """Begin to look."""
        self._walk.start(_FIRST_S)

    def stop(self) -> Deferred[None]:
        """Look no more.

        :return: a Deferred that fires with None when no look is in progress.
        """
        return self._walk.stop()

    def look(self) -> Deferred[None]:
        """Look at the bin now.

        :return: a Deferred that fires with None when that is done, or cannot be done now.  Cancelling it ends the look.
        """
        return self._walk.look()

    async def _look(self) -> None:
        await self._purge_old()
        oldest = await self._count()
        if oldest:
            await self._make_room(oldest)

    async def _purge_old(self) -> None:
        # A clock that is set to a wrong year for a moment must not end what people may still want back.
        before = first_key(self._wall.steady_ms() - int(self._days * _DAY_MS))
        while page := await self._bin.page(before, _PAGE):
            self.progress.purged += await self._purge(page)
            self._log.info("bin: {count} things purged after {days:g} days", count=len(page), days=self._days)
            before = page[-1].key
            await self._walk.step()

    async def _count(self) -> deque[Binned]:
        """Count what is in the bin, and return the oldest things, the very oldest last."""
        oldest = deque[Binned](maxlen=_OLDEST)
        things = files = size = 0
        after = ""
        while page := await self._bin.page(after, _PAGE):
            oldest.extend(page)
            things += len(page)
            files += sum(each.files for each in page)
            size += sum(each.bytes for each in page)
            after = page[-1].key
            await self._walk.step()
        now = self.progress
        now.things, now.files, now.bytes = things, files, size
        now.oldest_ms = oldest[-1].deleted_ms if oldest else None
        return oldest

    async def _make_room(self, oldest: deque[Binned]) -> None:
        room = await self._room()
        if room is None:
            return  # nodes that are away have no less room than before
        total = room.used + room.available
        if room.available >= total * _FULL:
            return
        chosen, size = list[Binned](), 0
        while oldest and size < total * _FREED:
            chosen.append(oldest.pop())
            size += chosen[-1].bytes
        for start in range(0, len(chosen), _PAGE):
            self.progress.purged_full += await self._purge(chosen[start : start + _PAGE])
            await self._walk.step()
        self._log.warn("bin: the nodes are full; the {count} oldest things were purged", count=len(chosen))
        await self._count()

    async def _purge(self, things: Iterable[Binned]) -> int:
        await self._walk.confirm()
        purged: int = sum(await gather([self._purge_one(each) for each in things]))
        if purged:
            self._doomed()
        return purged

    async def _purge_one(self, binned: Binned) -> bool:
        return await self._bin.purge(binned)
