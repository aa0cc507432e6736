"""Quotas over the names in the database."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, succeed

from splitd.catalog.metering import Meters, metered_paths
from splitd.catalog.quotas import JournalledQuotas
from splitd.catalog.sql.changes import StoredChanges
from splitd.catalog.sql.connected import Current
from splitd.catalog.state import State
from splitd.model.quotas import Quota, QuotaUse


class CurrentMeters(Meters):
    """The meters of the transaction that the calling thread is in, for the quotas of this front."""

    def __init__(self, state: State, current: Current) -> None:
        super().__init__(state)
        self._current = current

    @property
    def _at(self) -> Any:
        return self._current.meters._at

    @_at.setter
    def _at(self, _: Any) -> None:
        """Each transaction has its own."""

    def refuse_upload(self, path: str) -> None:
        """Refuse one more unfinished upload; see `Meters.refuse_upload`.  No other one below the quotas is counted
        until the end of the transaction.
        """
        if self.quotas:
            self._current.meters.load([path])
            super().refuse_upload(path)

    def refuse_segment(self, path: str, growth: int) -> None:
        """Refuse more bytes of segments; see `Meters.refuse_segment`.  No other segment below the quotas is counted
        until the end of the transaction.
        """
        if self.quotas:
            self._current.meters.load([path])
            super().refuse_segment(path, growth)

    def _weigh_entry(self, entry: Any, weight: Any) -> Any:
        return self._current.meters._weigh_entry(entry, weight)


class StoredQuotas(JournalledQuotas):
    """Quotas; see `IQuotas`.  They are settings of each front; what is stored at their paths is counted for all."""

    _changes: StoredChanges

    def __init__(self, changes: StoredChanges, meters: CurrentMeters, current: Current, front: str) -> None:
        super().__init__(changes, meters)
        self._current = current
        self._front = front

    async def _set(self, quotas: tuple[Quota, ...]) -> None:
        wanted = sorted(metered_paths(quotas))
        if wanted or self._meters.quotas:
            await self._changes.write(partial(self._meter, wanted), exclusive=True)
        self._meters.quotas = quotas

    def _meter(self, wanted: Sequence[str]) -> None:
        """Begin to count at paths, and end it where no front that runs has a quota."""
        execute, meters = self._changes.cursor.execute, self._current.meters
        paths = [path.encode() for path in wanted]
        execute("UPDATE front SET meters = %s::bytea[] WHERE id = %s", (paths, self._front))
        query = (
            "DELETE FROM meter WHERE path NOT IN (SELECT unnest(meters) FROM front WHERE expires > now() OR id = %s)"
        )
        execute(query, (self._front,))
        meters.load(None)
        for path in wanted:
            if meters.at(path) is None:
                for _ in meters.begin(path):
                    pass

    def usage(self, path: str | None = None) -> Deferred[Sequence[QuotaUse]]:
        """Tell how much of the quotas is used; see `IQuotas.usage`."""
        return self._changes.read(partial(self._read_usage, path))

    def _read_usage(self, path: str | None) -> Sequence[QuotaUse]:
        if self._meters.quotas:
            self._current.meters.load(None, locks=False)
        return self._usage(path)

    def refuse(self, path: str, size: int | None, replaced: int | None = None) -> Deferred[int | None]:
        """Ask whether a file or a segment may be put at a path now; see `IQuotas.refuse`."""
        if not self._meters.quotas:
            return succeed(None)

        def refuse() -> int | None:
            self._current.meters.load(None, locks=False)
            return self._refuse(path, size, replaced)

        return self._changes.read(refuse, path)
