"""A catalog, nodes in memory, and a sweep over them."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from splitd.catalog.journal.memory import MemoryJournal
from splitd.catalog.journalled import JournalledCatalog
from splitd.model.conditions import Condition
from splitd.model.manifest import Manifest
from splitd.model.uploads import RANDOM_BYTES, upload_id
from splitd.upkeep.sweep import Sweep
from splitd.upkeep.walks import Walks
from storaged.parts.errors import NodeUnavailable
from storaged.parts.memory import MemoryPartStore
from storaged.parts.values import PartInfo
from tests.clocks import wall_of
from tests.contract.parts import encode, put
from tests.ledger import begin, commit

DAY_S = 86_400.0
GRACE_S = DAY_S
IDS = ["n1", "n2", "n3"]


@attrs.frozen
class Identity:
    node_id: str
    cluster: str = "c"
    disk: str = "d"


class Place:
    """A catalog, nodes that keep parts in memory, and the time."""

    def __init__(self, **options: float) -> None:
        self.clock = Clock()
        self.clock.advance(1000 * DAY_S)
        self.catalog = JournalledCatalog(MemoryJournal(), wall_of(self.clock), self.clock, front="front")
        self.stores = {
            node: MemoryPartStore(capacity=2**20, identity=Identity(node), clock=self.clock, wall=wall_of(self.clock))
            for node in IDS
        }
        self.down: set[str] = set()
        self.ids = IDS
        self._numbers: Iterator[int] = iter(range(10_000))
        given = {"interval_s": 7 * DAY_S, "grace_s": GRACE_S, "share": 1.0, **options}
        self.held = ""
        walks = Walks(self.catalog.leases, self.clock)
        self.sweep = Sweep(self.catalog.ledger, self, walks, wall_of(self.clock), held=lambda: self.held, **given)

    def node_ids(self) -> list[str]:
        return self.ids

    def store(self, node_id: str) -> MemoryPartStore | Down:
        return Down() if node_id in self.down else self.stores[node_id]

    def new_id(self) -> str:
        random = next(self._numbers).to_bytes(RANDOM_BYTES, "big")
        return upload_id(int(self.clock.seconds() * 1000), random)

    async def put_parts(self, upload: str, nodes: list[str] = IDS) -> None:
        for index, node in enumerate(nodes):
            part = f"{upload}.{index}"
            await put(self.stores[node], part, [encode(part, b"x")])

    async def file(self, path: str) -> str:
        upload = self.new_id()
        await begin(self.catalog.ledger, upload, path, IDS)
        await self.put_parts(upload)
        await commit(self.catalog.ledger, path, Manifest(upload, 3, 1, 3, 0, 4, tuple(IDS)), Condition())
        return upload

    def trashed(self) -> list[str]:
        return sorted(part for store in self.stores.values() for part in store.trashed)


class Down:
    def list_parts(self, _: str, __: int) -> Deferred[list[PartInfo]]:
        return fail(NodeUnavailable("connection refused"))


async def place(**options: float) -> Place:
    made = Place(**options)
    await made.catalog.start()
    return made
