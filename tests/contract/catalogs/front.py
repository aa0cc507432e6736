"""A front that uses a catalog, and what the tests of the contract do with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twisted.internet.defer import Deferred

from splitd.interfaces.statistics import CatalogStatistics
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.manifest import Manifest
from splitd.model.tree import Collection
from storaged.parts.format import PartId
from tests.catalogs import AS_KEY, NODES, manifest, walk
from tests.contract.catalogs.places import Place, Seams
from tests.doomed import confirm, doomed_on, doomed_parts
from tests.ledger import begin, commit


class Opened:
    """A place whose catalog is closed at the end, if a front has opened it."""

    def __init__(self, place: Place) -> None:
        self.clock = place.clock
        self.hold, self.release, self.held, self.fail = place.hold, place.release, place.held, place.fail
        self.judges_ahead = place.judges_ahead
        self._place = place
        self._last: Seams | None = None

    async def open(self, front: str) -> Seams:
        self._last = await self._place.open(front)
        return self._last

    async def close(self) -> None:
        self.release()
        try:
            if self._last is not None:
                await self._last.close()
        finally:
            await self.end()

    async def end(self) -> None:
        await self._place.end()


class Front:
    """A front with its catalog open.  After `restart` and `reopen` it is another one; this one is gone."""

    def __init__(self, place: Place, seams: Seams, number: int) -> None:
        self.place = place
        self.clock = place.clock
        self.catalog = seams.catalog
        self.ledger = seams.ledger
        self.continued = seams.continued
        self.doomed_parts = seams.doomed_parts
        self.part_moves = seams.part_moves
        self.namespace = seams.namespace
        self.locks = seams.locks
        self.keys = seams.keys
        self.heal_ledger = seams.heal_ledger
        self.versions = seams.versions
        self.disks = seams.disks
        self.documents = seams.documents
        self.bin = seams.bin
        self.looks = seams.statistics
        self.seams = seams
        self._number = number

    @classmethod
    async def start(cls, place: Place, number: int = 1) -> Front:
        return cls(place, await place.open(f"front {number}"), number)

    async def restart(self) -> Front:
        """Start the front again, with another id."""
        await self.seams.close()
        again = await Front.start(self.place, self._number + 1)
        await again.ledger.abort_abandoned()
        return again

    async def reopen(self) -> Front:
        """Close the catalog, and open it as the same front."""
        await self.seams.close()
        return await Front.start(self.place, self._number)

    def begin(self, upload: str, path: str, nodes: Sequence[str] = NODES) -> Deferred[None]:
        return begin(self.ledger, upload, path, nodes)

    def commit(self, path: str, version: Manifest, condition: Condition = ALWAYS) -> Deferred[bool]:
        return commit(self.ledger, path, version, condition)

    def put(self, path: str, upload: str, condition: Condition = ALWAYS, parity: int = 0) -> Deferred[bool]:
        """Begin an upload and commit it, without waiting in between."""
        self.begin(upload, path).addErrback(lambda _: None)  # the commit fails as well
        return self.commit(path, manifest(upload, parity=parity), condition)

    def put_key(self, path: str, upload: str, condition: Condition = AS_KEY) -> Deferred[bool]:
        """Begin an upload of a key and commit it, without waiting in between."""
        return self.put(path, upload, condition)

    async def listed(self, prefix: str = "", delimiter: str = "", collection: str = "/x") -> list[str]:
        """All keys and common prefixes of a collection, page by page."""
        found: list[str] = []
        after: str | None = ""
        while after is not None:
            page = await self.keys.list_keys(collection, prefix, after, delimiter, 3)
            found += sorted([*(each.key for each in page.keys), *page.prefixes])
            after = page.next
        return found

    async def walk(self) -> dict[str, Manifest | Collection | None]:
        return await walk(self.catalog)

    async def names(self) -> list[str]:
        return sorted(await self.walk())

    async def statistics(self) -> CatalogStatistics:
        return await self.looks.statistics()

    async def doomed(self) -> dict[str, list[str]]:
        return await doomed_parts(self.doomed_parts)

    async def doomed_on(self, node: str) -> list[PartId]:
        return await doomed_on(self.doomed_parts, node)

    async def confirm(self, parts: Mapping[str, Sequence[str]]) -> None:
        await confirm(self.doomed_parts, parts)


async def furnish(front: Front, first: str, second: str) -> None:
    """Make /c with a file and a collection in it, and a file beside.

    :param first: the upload of /c/f.
    :param second: that of /g.
    """
    await front.catalog.make_collection("/c")
    await front.catalog.make_collection("/c/d")
    await front.put("/c/f", first)
    await front.put("/g", second)
