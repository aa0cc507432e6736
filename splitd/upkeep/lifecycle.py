"""Carries out the lifecycle rules of buckets: deletes old objects, and aborts uploads that nobody completes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from splitd.errors import CatalogReadOnly, NotACollection, NotFound, SplitdError
from splitd.interfaces.catalog import ICatalog
from splitd.interfaces.continued import ContinuedUpload, IContinuedLedger
from splitd.interfaces.keys import IKeys
from splitd.interfaces.names import INamespace
from splitd.model.buckets import LifecycleRule, expires_ms, fits, read_notes
from splitd.model.conditions import Condition
from splitd.model.entries import Collection
from splitd.model.keys import Key
from splitd.upkeep.walks import Walks
from storaged.http import reason_of
from storaged.system.clocks import WallClock
from storaged.system.parallel import gather

_INTERVAL_S = 3600.0
_FIRST_S = 60.0
_PAGE = 200
"""Keys that are looked at in one step; the records of those that are deleted share a sync of the journal."""


@attrs.define
class LifecycleProgress:
    """A walk over the buckets that have rules; times in milliseconds since 1970.

    :param buckets: how many buckets with rules were looked at.
    :param expired: how many objects were deleted.
    :param aborted: how many uploads in parts were aborted.
    :param kept: how many objects and uploads could not be ended, because of a lock or a change meanwhile.
    :param problem: why the walk ended early; empty if it did not.
    """

    began_ms: int
    ended_ms: int | None = None
    buckets: int = 0
    expired: int = 0
    aborted: int = 0
    kept: int = 0
    problem: str = ""


class Lifecycle:
    """Walks over the buckets that have rules, once in an hour.

    A walk that ends early has done a part of its work, and the next one does the rest.  A bucket's rules are those of
    the moment in which the walk comes to it.

    :param namespace: has the rules, with the collections.
    :param ledger: has the uploads in parts.
    :param doomed: called when parts are doomed.
    :param wall: tells the time that rules are about.
    :ivar progress: the present or the last walk; None before the first.
    :ivar expired: objects that were deleted since the start.
    :ivar aborted: uploads that were aborted since the start.
    """

    _log = Logger()

    def __init__(
        self,
        catalog: ICatalog,
        keys: IKeys,
        namespace: INamespace,
        ledger: IContinuedLedger,
        doomed: Callable[[], object],
        walks: Walks,
        wall: WallClock,
    ) -> None:
        self._catalog = catalog
        self._keys = keys
        self._namespace = namespace
        self._ledger = ledger
        self._doomed = doomed
        self._wall = wall
        self._rounds = walks.walk("carrying out lifecycle rules", self._look, _INTERVAL_S)
        self.progress: LifecycleProgress | None = None
        self.expired = 0
        self.aborted = 0

    def start(self) -> None:
        """Begin to look."""
        self._rounds.start(_FIRST_S)

    def stop(self) -> Deferred[None]:
        """Look no more.

        :return: a Deferred that fires with None when no look is in progress.
        """
        return self._rounds.stop()

    def look(self) -> Deferred[None]:
        """Walk over the buckets now.

        :return: a Deferred that fires with None when that is done, or cannot be done now.  Cancelling it ends the walk.
        """
        return self._rounds.look()

    async def _look(self) -> None:
        progress = self.progress = LifecycleProgress(self._wall.now_ms())
        try:
            await self._walk(progress)
        except BaseException as problem:
            progress.problem = reason_of(problem)
            raise
        finally:
            progress.ended_ms = self._wall.now_ms()
            self.expired += progress.expired
            self.aborted += progress.aborted
            if progress.expired or progress.aborted or progress.problem:
                self._log.info(
                    "lifecycle: {expired} objects deleted and {aborted} uploads aborted in {buckets} buckets, {kept} "
                    "not; {problem}",
                    **attrs.asdict(progress),
                )

    async def _walk(self, progress: LifecycleProgress) -> None:
        after = ""
        while True:
            page = await self._catalog.list_members("/", after, _PAGE)
            buckets = [f"/{each.name.removesuffix('/')}/" for each in page if isinstance(each.entry, Collection)]
            for bucket, details in zip(buckets, await self._namespace.details(buckets), strict=True):
                rules = [rule for rule in read_notes(details.properties).lifecycle if rule.enabled]
                if rules:
                    progress.buckets += 1
                    await self._look_into(bucket, rules, progress)
            if len(page) < _PAGE:
                return
            after = page[-1].name
            await self._rounds.step()

    async def _look_into(self, bucket: str, rules: Sequence[LifecycleRule], progress: LifecycleProgress) -> None:
        expiring = [rule for rule in rules if rule.days is not None or rule.date_ms is not None]
        for prefix in sorted({rule.prefix for rule in expiring}):
            await self._expire(bucket, prefix, [rule for rule in expiring if rule.prefix == prefix], progress)
        aborting = [rule for rule in rules if rule.abort_days is not None]
        for prefix in sorted({rule.prefix for rule in aborting}):
            days = min(rule.abort_days or 0 for rule in aborting if rule.prefix == prefix)
            await self._abort(bucket + prefix, days, progress)

    async def _expire(
        self, bucket: str, prefix: str, rules: Sequence[LifecycleRule], progress: LifecycleProgress
    ) -> None:
        after: str | None = ""
        while after is not None:
            try:
                listing = await self._keys.list_keys(bucket, prefix, after, "", _PAGE)
            except (NotFound, NotACollection):
                return  # the bucket was deleted or replaced since it was looked at
            now_ms = self._wall.now_ms()
            old = [each for each in listing.keys if any(fits(rule, each, now_ms) for rule in rules)]
            progress.expired += await self._end(progress, [self._delete(bucket, each) for each in old])
            after = listing.next
            await self._rounds.step()

    def _delete(self, bucket: str, key: Key) -> Callable[[], Awaitable[object]]:
        # A version that was put there since is not old.
        same = Condition(unmodified_since_s=key.created_ms // 1000)
        return lambda: self._keys.delete_key(bucket + key.key, same)

    async def _abort(self, prefix: str, days: int, progress: LifecycleProgress) -> None:
        after = "", ""
        while True:
            page = await self._ledger.list_uploads(prefix, after, _PAGE)
            now_ms = self._wall.now_ms()
            old = [each for each in page if expires_ms(each.began_ms, days) <= now_ms]
            progress.aborted += await self._end(progress, [self._abort_one(each, days) for each in old])
            if len(page) < _PAGE:
                return
            after = page[-1].path, page[-1].upload
            await self._rounds.step()

    def _abort_one(self, upload: ContinuedUpload, days: int) -> Callable[[], Awaitable[object]]:
        reason = f"a rule of its bucket aborts uploads after {days} days"
        return lambda: self._ledger.abort(upload.upload, reason)

    async def _end(self, progress: LifecycleProgress, calls: Sequence[Callable[[], Awaitable[object]]]) -> int:
        """Make some calls at once; return how many succeeded.

        :raise CatalogReadOnly: nothing can be changed now.
        """

        async def end(call: Callable[[], Awaitable[object]]) -> bool:
            try:
                await call()
            except CatalogReadOnly:
                raise
            except SplitdError:
                progress.kept += 1
                return False
            return True

        await self._rounds.confirm()
        ended = sum([1 for done in await gather([end(call) for call in calls]) if done])
        if ended:
            self._doomed()
        return ended
