"""The quotas of the journalled catalog."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from twisted.internet.defer import Deferred, DeferredLock, execute
from zope.interface import implementer

from splitd.catalog.changes import Changes
from splitd.catalog.metering import Meters, metered_paths
from splitd.errors import QuotaExceeded
from splitd.interfaces.quotas import IQuotas
from splitd.model.binned import BIN
from splitd.model.packing import size_of
from splitd.model.path_faults import is_own
from splitd.model.quotas import Quota, QuotaUse


@implementer(IQuotas)
class JournalledQuotas:
    """Quotas over the names of a journal.  They are settings, and stand in no record."""

    def __init__(self, changes: Changes, meters: Meters) -> None:
        self._changes = changes
        self._meters = meters
        self._lock = DeferredLock()

    def set_quotas(self, quotas: Sequence[Quota]) -> Deferred[None]:
        """Use these quotas from now on; see `IQuotas.set_quotas`."""
        return self._lock.run(lambda: Deferred.fromCoroutine(self._set(tuple(quotas))))

    async def _set(self, quotas: tuple[Quota, ...]) -> None:
        wanted = set(metered_paths(quotas))
        for path in sorted(wanted):
            if self._meters.at(path) is None:
                place = BIN if is_own(path) else path  # what counts in the bin lies at paths of several keys
                await self._changes.look(place, partial(self._meters.begin, path))
        self._meters.quotas = quotas
        self._meters.keep_only(wanted)

    def usage(self, path: str | None = None) -> Deferred[Sequence[QuotaUse]]:
        """Tell how much of the quotas is used; see `IQuotas.usage`."""
        return execute(self._usage, path)

    def _usage(self, path: str | None) -> Sequence[QuotaUse]:
        return [self._meters.use(each) for each in self._meters.quotas if path is None or each.covers(path)]

    def refuse(self, path: str, size: int | None, replaced: int | None = None) -> Deferred[int | None]:
        """Ask whether a file or a segment may be put at a path now; see `IQuotas.refuse`."""
        return execute(self._refuse, path, size, replaced)

    def _refuse(self, path: str, size: int | None, replaced: int | None) -> int | None:
        covering = self._usage(path)
        if not covering:
            return None
        more_files = 0
        if replaced is None:
            present = self._meters.replaced(path)
            replaced, more_files = 0 if present is None else size_of(present), int(present is None)
        most: int | None = None
        for use in covering:
            why = use.why_exceeded((size or 0) - replaced, more_files)
            if why:
                raise QuotaExceeded(why)
            if use.quota.bytes is not None:
                # A file that does not grow is not refused, though the quota may be exceeded already.
                room = max(use.quota.bytes - use.bytes, 0) + replaced
                most = room if most is None else min(most, room)
        return most
