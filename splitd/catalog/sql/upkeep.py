"""What the upkeep asks of a catalog: doomed and missing parts, nodes and versions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, succeed

from splitd.catalog.deletions import JournalledDoomedParts
from splitd.catalog.disks import JournalledDisks
from splitd.catalog.finding import JournalledVersions
from splitd.catalog.healing import LOOKS, JournalledHealLedger
from splitd.catalog.sql.changes import StoredChanges
from splitd.catalog.sql.counts import read_counts
from splitd.catalog.sql.parts import VERSION
from splitd.catalog.state import State
from splitd.interfaces.heal import HurtCounts, VersionPage
from splitd.interfaces.parts import DoomedPage
from splitd.model.manifest import Manifest
from storaged.parts.format import PartId

_NO_PAGE = DoomedPage([], "")
_FIRST = "-infinity", -1, 0

# What other fronts may still be reading comes later; what this one reads is pinned here.  A front whose lease has
# expired may be cut off from the database alone: it counts for as long as its row is kept.  A front that has left only
# looks.
DOOMED_ON = """SELECT at::text AS since, serial, part, upload FROM doomed
    WHERE node = (SELECT number FROM node WHERE id = %(node)s)
        AND (at, serial, part) > (%(at)s::timestamptz, %(serial)s, %(part)s)
        AND at < (SELECT CASE WHEN EXISTS (SELECT FROM front WHERE id = %(front)s)
            THEN (SELECT coalesce(min(reads), 'infinity') FROM front WHERE id != %(front)s) ELSE 'infinity' END)
    ORDER BY at, serial, part LIMIT %(limit)s"""
"""Finds the oldest doomed parts of a node that nobody is reading, by an index that has them in this order."""


def _after(counts: Mapping[str, int], key: str) -> dict[str, int]:
    """Return the numbers whose keys begin with a text, by the rest of their keys."""
    return {each.removeprefix(key): number for each, number in counts.items() if each.startswith(key) and number > 0}


class StoredDoomedParts(JournalledDoomedParts):
    """Doomed parts; see `IDoomedParts`.  Only the front that does the upkeep is given any.

    :param lead: asks whether this front does the upkeep.
    :param term: returns the number of the term for which it does so without a break; 0 if it does not.
    """

    _changes: StoredChanges

    def __init__(
        self,
        state: State,
        changes: StoredChanges,
        lead: Callable[[], Deferred[bool]],
        term: Callable[[], int],
        front: str,
    ) -> None:
        super().__init__(state, changes)
        self._lead = lead
        self._term = term
        self._front = front

    def doomed_nodes(self) -> Deferred[dict[str, int]]:
        """Count the doomed parts on each node; see `IDoomedParts.doomed_nodes`."""

        def count() -> dict[str, int]:
            return dict(sorted(_after(read_counts(self._changes.cursor), "doomed on ").items()))

        def led(leads: bool) -> Deferred[dict[str, int]]:
            return self._changes.settled().addCallback(lambda _: self._changes.read(count)) if leads else succeed({})

        return self._lead().addCallback(led)

    def doomed_on(self, node: str, after: str, limit: int) -> Deferred[DoomedPage]:
        """List doomed parts of one node; see `IDoomedParts.doomed_on`."""
        at, serial, part = after.rsplit(".", 2) if after else _FIRST
        values = {"node": node, "front": self._front, "at": at, "serial": int(serial), "part": int(part)}

        def find() -> DoomedPage:
            rows = self._changes.cursor.execute(DOOMED_ON, {**values, "limit": limit + 1}).fetchall()
            page = rows[:limit]
            cursor = ".".join(map(str, page[-1][:3])) if len(rows) > limit else ""
            return DoomedPage([PartId(upload.hex(), index) for _, _, index, upload in page], cursor)

        def led(leads: bool) -> Deferred[DoomedPage]:
            term = self._term()
            page = self._changes.read(find) if leads else succeed(_NO_PAGE)
            # If this process stood still meanwhile, another front may have deleted these parts, and put others there.
            return page.addCallback(lambda found: found if term and self._term() == term else _NO_PAGE)

        return self._lead().addCallback(led)

    async def _gone_page(self, node: str, parts: Sequence[PartId]) -> None:
        with self._changes.manner(about=tuple(part.upload for part in parts)):
            gone = Deferred.fromCoroutine(super()._gone_page(node, parts))
        await gone


class StoredHealLedger(JournalledHealLedger):
    """Missing parts and lost nodes; see `IHealLedger`.

    :param lead: asks whether this front does the upkeep.
    """

    _changes: StoredChanges

    def __init__(self, state: State, changes: StoredChanges, lead: Callable[[], Deferred[bool]]) -> None:
        super().__init__(state, changes)
        self._lead = lead

    def lost_nodes(self) -> Deferred[Sequence[str]]:
        """List the lost nodes; see `IHealLedger.lost_nodes`."""
        return self._changes.read(lambda: list(self._state.lost))

    def _hurt(self, after: str, limit: int) -> VersionPage:
        where, seen = "spare IS NOT NULL", tuple[Any, ...]()
        if after:
            spare, _, upload = after.partition(".")
            where += " AND (spare < 0, abs(spare), upload) > (%s, %s, %s)"
            seen = int(spare) < 0, abs(int(spare)), bytes.fromhex(upload)
        query = f"""SELECT {VERSION}, spare FROM version WHERE {where}
            ORDER BY (spare < 0), abs(spare), upload LIMIT %s"""
        rows = self._changes.cursor.execute(query, (*seen, limit + 1)).fetchall()
        versions = [self._manifest_of(row[:-1]) for row in rows[:limit]]
        return VersionPage(versions, f"{rows[limit - 1][-1]}.{versions[-1].upload}" if len(rows) > limit else "")

    def _manifest_of(self, row: Sequence[Any]) -> Manifest:
        state: Any = self._state
        manifest: Manifest = state.parts.manifest_of(row)
        return manifest

    def hurt(self, after: str, limit: int) -> Deferred[VersionPage]:
        """List versions that are hurt, for the front that does the upkeep; see `IHealLedger.hurt`."""

        def led(leads: bool) -> Deferred[VersionPage]:
            page = partial(self._hurt, after, limit)
            return self._changes.read(page) if leads else succeed(VersionPage([], ""))

        return self._lead().addCallback(led)

    def hurt_counts(self) -> Deferred[HurtCounts]:
        """Count what is missing; see `IHealLedger.hurt_counts`."""

        def count() -> HurtCounts:
            counts = read_counts(self._changes.cursor)
            versions = {int(spare): number for spare, number in _after(counts, "hurt ").items()}
            return HurtCounts(dict(sorted(versions.items())), counts.get("missing", 0), counts.get("lacking", 0))

        return self._changes.read(count)

    def placed_on(self, node: str, after: str, limit: int) -> Deferred[VersionPage]:
        """List versions with a part on a node; see `IHealLedger.placed_on`."""
        return self._changes.read(partial(self._placed_on, node, after, limit))

    def _placed_on(self, node: str, after: str, limit: int) -> VersionPage:
        execute, seen = self._changes.cursor.execute, bytes.fromhex(after)
        query = "SELECT upload FROM version WHERE upload > %s ORDER BY upload OFFSET %s LIMIT 1"
        last = execute(query, (seen, LOOKS - 1)).fetchone()
        query = f"""SELECT {VERSION} FROM version WHERE upload > %s AND upload <= %s
            AND (SELECT number FROM node WHERE id = %s) = ANY(nodes) ORDER BY upload LIMIT %s"""
        most = last[0] if last is not None else b"\xff" * 17
        found = [self._manifest_of(row) for row in execute(query, (seen, most, node, limit)).fetchall()]
        if len(found) == limit:
            return VersionPage(found, found[-1].upload)
        return VersionPage(found, "" if last is None else last[0].hex())

    def parts_on(self) -> Deferred[Mapping[str, int]]:
        """Count the parts on each node; see `IHealLedger.parts_on`."""
        return self._changes.read(lambda: _after(read_counts(self._changes.cursor), "parts on "))


class StoredDisks(JournalledDisks):
    """The disks of nodes; see `IDisks`."""

    _changes: StoredChanges

    def checked_disks(self) -> Deferred[Mapping[str, str]]:
        """Return the disks that were checked; see `IDisks.checked_disks`."""
        return self._changes.read(lambda: dict(self._state.disks))


class StoredVersions(JournalledVersions):
    """Versions by their uploads; see `IVersions`."""

    def __init__(self, state: State, changes: StoredChanges) -> None:
        super().__init__(state)
        self._changes = changes

    def find_all(self, uploads: Sequence[str]) -> Deferred[list[Manifest | None]]:
        """Look up versions; see `IVersions.find_all`."""

        def find() -> list[Manifest | None]:
            return [self._state.version(upload) for upload in uploads]

        return self._changes.read(find, *uploads)
