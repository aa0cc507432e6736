"""Checks the files below a path, and tells what it finds while it goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from splitd.downloads.finding import Segmentation
from splitd.downloads.pins import Pins
from splitd.errors import ChecksUnderWay, SplitdError
from splitd.interfaces.catalog import ICatalog
from splitd.interfaces.nodes import INodeRegistry
from splitd.interfaces.statistics import ICatalogStatistics
from splitd.model.manifest import Manifest, largest_part
from splitd.upkeep.check.asking import Asking, fetch_rotten
from splitd.upkeep.check.deep import DeepCheck
from splitd.upkeep.check.events import (
    DAMAGED,
    DEGRADED,
    LOST,
    MISSING,
    UNREADABLE,
    CheckEnd,
    CheckEvent,
    CheckFailed,
    CheckProgress,
    Finding,
    HurtPart,
    judge,
)
from splitd.upkeep.check.findings import CheckVersions, check_file
from splitd.upkeep.check.looks import LookCheck
from splitd.upkeep.check.walk import Walk
from splitd.upkeep.pace import Pace
from storaged.http import reason_of
from storaged.parts.format import SMALL_PART
from storaged.system.parallel import InThread, gather, settled

Found = Callable[[Manifest, int, str], object]
"""Called with a version, the index of a part that is missing or damaged, and what was found."""

_AT_ONCE = 4
"""The most checks that run at the same time."""

_SMALL_AT_ONCE = 8
"""The most small files that a deep check reads at the same time."""

_PROGRESS_S = 1.0
_WAITING = 500
"""The most events that wait for a client; after that the check waits, too."""

_TRIES = 3
"""How often a file is checked whose parts moved meanwhile."""


class Checks:
    """The checks that are in progress.

    :param segmentation: finds the segments of files.
    :param pins: keep the parts of a version in place while they are read.
    :param unpinned: called with a version that nobody reads any more.
    :param run: runs a computation in a thread.
    :param found: gets each part that is missing or damaged.
    :param clock: measures time, and calls later.
    """

    def __init__(
        self,
        catalog: ICatalog,
        statistics: ICatalogStatistics,
        registry: INodeRegistry,
        segmentation: Segmentation,
        pins: Pins,
        unpinned: Callable[[Manifest], object],
        run: InThread,
        found: Found,
        *,
        clock: Any,
    ) -> None:
        self._catalog = catalog
        self._statistics = statistics
        self._registry = registry
        self._segmentation = segmentation
        self._pins = pins
        self._unpinned = unpinned
        self._run = run
        self._found = found
        self._clock = clock
        self._running: set[Check] = set()

    async def start(self, path: str, deep: bool, limit: float | None) -> Check:
        """Start a check; its owner reads its events, and closes it.

        :param path: a file or collection.
        :param deep: whether every byte is read.
        :param limit: the most stored bytes to read per second; None for no limit.
        :raise NotFound: nothing has this path.
        :raise BadName: it is not a path.
        :raise ChecksUnderWay: too many checks are in progress.
        """
        if len(self._running) >= _AT_ONCE:
            raise ChecksUnderWay(f"{_AT_ONCE} checks are in progress; wait until one has ended")
        asking = Asking(self._registry, self._clock)
        check = Check(self, Walk(self._catalog, path, self._clock), asking, self._clock)
        self._running.add(check)
        try:
            await check.walk.begin()
            if path == "/":
                counts = await self._statistics.statistics()
                check.total = (counts.files, counts.bytes_stored)
        except BaseException:
            self._running.discard(check)
            raise
        check.begin(self._go_deep(check, limit) if deep else self._look(check))
        return check

    @property
    def running(self) -> int:
        """How many checks are in progress."""
        return len(self._running)

    def stop(self) -> Deferred[None]:
        """End all checks.

        :return: a Deferred that fires with None when they have ended.
        """
        return settled([check.close() for check in list(self._running)])

    def ended(self, check: Check) -> None:
        """Take note that a check has ended."""
        self._running.discard(check)

    async def _rotten(self, check: Check) -> dict[str, dict[str, str]]:
        """Fetch the lists of rotten parts from all nodes."""
        nodes = self._registry.node_ids()
        return dict(zip(nodes, await gather([fetch_rotten(node, check.asking) for node in nodes]), strict=True))

    async def _look(self, check: Check) -> None:
        looks = LookCheck(await self._rotten(check), check.asking)
        while batch := await check.walk.next():
            plain = [each for each in batch if not each[1].packed_segments]
            for (path, manifest), hurt in zip(plain, await looks.check([each for _, each in plain]), strict=True):
                found = [Finding(manifest, 0, hurt)] if hurt else []
                await self._note(check, path, manifest, found, looks.check)
            for path, manifest in batch:
                if manifest.packed_segments:
                    found = await check_file(manifest, looks.check, self._segmentation)
                    await self._note(check, path, manifest, found, looks.check)

    async def _go_deep(self, check: Check, limit: float | None) -> None:
        pace = Pace(limit, self._clock)

        async def pass_bytes(count: int) -> None:
            check.read += count
            await pace.take(count)

        deep = DeepCheck(await self._rotten(check), check.asking, self._run, pass_bytes)

        async def read(manifest: Manifest) -> list[HurtPart]:
            self._pins.pin(manifest)
            try:
                return await deep.check(manifest)
            finally:
                if self._pins.unpin(manifest):
                    self._unpinned(manifest)

        async def read_all(versions: Sequence[Manifest]) -> list[list[HurtPart]]:
            return [await read(each) for each in versions]

        async def check_one(path: str, manifest: Manifest) -> None:
            found = await check_file(manifest, read_all, self._segmentation)
            await self._note(check, path, manifest, found, read_all)

        while batch := await check.walk.next():
            files = deque(batch)
            while files:
                some = [files.popleft()]
                while files and len(some) < _SMALL_AT_ONCE and _is_small(some[-1][1]) and _is_small(files[0][1]):
                    some.append(files.popleft())
                await gather([check_one(*each) for each in some])

    async def _note(
        self, check: Check, path: str, manifest: Manifest, found: list[Finding], again: CheckVersions
    ) -> None:
        """Take note of the outcome for a file.  If it was replaced or its parts moved meanwhile, it is checked again.

        :param again: checks versions.
        """
        for _ in range(_TRIES):
            now = await self._catalog.lookup(path) if found else manifest
            if now == manifest:
                break
            if not isinstance(now, Manifest):
                return  # it was deleted
            manifest, found = now, await check_file(now, again, self._segmentation)
        check.count(manifest)
        if not found:
            return
        nodes = self._registry.node_ids()
        for each in found:
            for part in each.hurt:
                if part.state in {MISSING, DAMAGED} and part.node in nodes:
                    self._found(each.version, part.part, part.reason)
        await check.tell(path, manifest, found)


class Check:
    """One check.

    :ivar total: the numbers of files and of their bytes that there are, about; None if they are not known.
    :ivar read: the stored bytes that were read.
    """

    _log = Logger()

    def __init__(self, owner: Checks, walk: Walk, asking: Asking, clock: Any) -> None:
        self.walk = walk
        self.asking = asking
        self.total: tuple[int, int] | None = None
        self.read = 0
        self._owner = owner
        self._clock = clock
        self._files = 0
        self._bytes = 0
        self._states = {DEGRADED: 0, UNREADABLE: 0, LOST: 0}
        self._events: deque[CheckEvent] = deque()
        self._running: Deferred[None] | None = None
        self._over = False
        self._progress_at = clock.seconds()
        self._news: Deferred[None] | None = None
        self._room: Deferred[None] | None = None

    def begin(self, work: Any) -> None:
        """Run the coroutine that checks the files."""
        self._running = Deferred.fromCoroutine(work)
        self._running.addBoth(self._ended)

    def count(self, manifest: Manifest) -> None:
        """Count a file that was checked."""
        self._files += 1
        self._bytes += manifest.size

    async def tell(self, path: str, manifest: Manifest, found: Sequence[Finding]) -> None:
        """Tell of a file that is hurt; wait while the client has not taken what came before."""
        event = judge(path, manifest, found)
        self._states[event.state] += 1
        self._add(event)
        if len(self._events) >= _WAITING:
            if self._room is None:
                self._room = Deferred()
            room: Deferred[None] = Deferred()
            self._room.chainDeferred(room)
            await room

    def _add(self, event: CheckEvent) -> None:
        self._events.append(event)
        news, self._news = self._news, None
        if news is not None:
            news.callback(None)

    def _ended(self, result: Any) -> None:
        self._owner.ended(self)
        self._over = True
        if not isinstance(result, Failure):
            silent = dict(sorted(self.asking.silent.items()))
            self._add(CheckEnd(self._files, self._bytes, self.read, **self._states, silent=silent))
        elif result.check(CancelledError):
            self._add(CheckFailed("the check was ended"))
        elif result.check(SplitdError):
            self._add(CheckFailed(str(result.value)))
        else:
            self._log.failure("a check", result)
            self._add(CheckFailed(f"this is a fault of the server ({reason_of(result.value)}); its log says more"))

    def next(self) -> Deferred[list[CheckEvent]]:
        """Return the next events.  Must not be called again before the last call has fired.

        :return: a Deferred that fires with them as soon as there are any, and after a second with the progress; with
            none after the last event.  Cancelling it ends the wait.
        """
        return Deferred.fromCoroutine(self._next())

    async def _next(self) -> list[CheckEvent]:
        if not self._events and self._over:
            return []
        if not self._events:
            self._news = Deferred()
            self._news.addTimeout(_PROGRESS_S, self._clock, lambda *_: None)
            try:
                await self._news
            finally:
                self._news = None
        if not self._events:
            return [self._progress()]
        events = list(self._events)
        self._events.clear()
        if not self._over and self._clock.seconds() - self._progress_at >= _PROGRESS_S:
            events.append(self._progress())
        room, self._room = self._room, None
        if room is not None:
            room.callback(None)
        return events

    def _progress(self) -> CheckProgress:
        self._progress_at = self._clock.seconds()
        files, size = self.total or (None, None)
        return CheckProgress(self._files, self._bytes, self.read, sum(self._states.values()), files, size)

    def close(self) -> Deferred[None]:
        """End the check.  May be called again.

        :return: a Deferred that fires with None when it has ended.
        """
        running = self._running
        if running is None or self._over:
            return succeed(None)
        ended = settled([running])
        running.cancel()
        return ended


def _is_small(manifest: Manifest) -> bool:
    return not manifest.packed_segments and (
        not manifest.size or largest_part(manifest.layout, manifest.size) <= SMALL_PART
    )
