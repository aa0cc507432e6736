"""The missing parts and the lost nodes of the journalled catalog."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

from twisted.internet.defer import Deferred, execute, succeed
from zope.interface import implementer

from splitd.catalog.changes import Changes, printable
from splitd.catalog.state import State
from splitd.interfaces.heal import HurtCounts, IHealLedger, VersionPage
from splitd.model.records import NodeLost, PartsLost
from storaged.parts.format import PartId
from storaged.system.parallel import gather

_AT_ONCE = 200
"""The most parts that one record names here: the change touches the upload of each."""

LOOKS = 2000
"""The most versions that one page of `placed_on` looks at, which takes some milliseconds."""


@implementer(IHealLedger)
class JournalledHealLedger:
    """Missing parts and lost nodes, recorded in a journal.

    :param state: the state that the journal's records result in; only `changes` changes it.
    """

    def __init__(self, state: State, changes: Changes) -> None:
        self._state = state
        self._changes = changes

    def lose(
        self, node: str, parts: Sequence[PartId], reason: str, *, remains: bool = True, if_spare: bool = False
    ) -> Deferred[int]:
        """Record that a node does not hold some parts; see `IHealLedger.lose`."""
        return Deferred.fromCoroutine(self._lose(node, parts, reason, remains, if_spare))

    async def _lose(self, node: str, parts: Sequence[PartId], reason: str, remains: bool, if_spare: bool) -> int:
        pages = [parts[start : start + _AT_ONCE] for start in range(0, len(parts), _AT_ONCE)]
        return sum(await gather([self._lose_page(node, page, reason, remains, if_spare) for page in pages]))

    async def _lose_page(self, node: str, parts: Sequence[PartId], reason: str, remains: bool, if_spare: bool) -> int:
        def judge() -> tuple[PartsLost | None, int]:
            placed = tuple(str(part) for part in parts if self._is_on(node, part, if_spare=if_spare))
            if not placed:
                return None, 0
            return PartsLost(node, placed, printable(reason), self._changes.now_ms(), remains), len(placed)

        return await self._changes.make(judge, *(part.upload for part in parts), durable=True)

    def _is_on(self, node: str, part: PartId, *, if_spare: bool) -> bool:
        manifest = self._state.version(part.upload)
        if manifest is None or (if_spare and manifest.spare <= 0):
            return False
        return manifest.nodes[part.index : part.index + 1] == (node,)

    def lose_node(self, node: str) -> Deferred[None]:
        """Record that nothing on a node will ever be read again; see `IHealLedger.lose_node`."""

        def judge() -> tuple[NodeLost | None, None]:
            return (None if node in self._state.lost else NodeLost(node, self._changes.now_ms())), None

        return self._changes.make(judge, f"node {node}", durable=True)

    def lost_nodes(self) -> Deferred[Sequence[str]]:
        """List the lost nodes; see `IHealLedger.lost_nodes`."""
        return succeed(list(self._state.lost))

    def hurt(self, after: str, limit: int) -> Deferred[VersionPage]:
        """List versions that are hurt; see `IHealLedger.hurt`."""
        return execute(self._hurt, after, limit)

    def _hurt(self, after: str, limit: int) -> VersionPage:
        uploads, cursor = self._state.hurt.page(after, limit)
        versions = [manifest for upload in uploads if (manifest := self._state.version(upload)) is not None]
        return VersionPage(versions, cursor)

    def hurt_counts(self) -> Deferred[HurtCounts]:
        """Count what is missing; see `IHealLedger.hurt_counts`."""
        hurt = self._state.hurt
        return succeed(HurtCounts(hurt.counts(), hurt.parts, hurt.size))

    def placed_on(self, node: str, after: str, limit: int) -> Deferred[VersionPage]:
        """List versions with a part on a node; see `IHealLedger.placed_on`."""
        return execute(self._placed_on, node, after, limit)

    def _placed_on(self, node: str, after: str, limit: int) -> VersionPage:
        found = []
        looked, last = 0, ""
        for packed in islice(self._state.versions.after(after), LOOKS):
            manifest = self._state.packing.unpack(packed)
            looked, last = looked + 1, manifest.upload
            if node in self._state.moves.nodes_of(manifest):
                found.append(self._state.moves.place(manifest))
                if len(found) == limit:
                    return VersionPage(found, last)
        return VersionPage(found, last if looked == LOOKS else "")

    def parts_on(self) -> Deferred[Mapping[str, int]]:
        """Count the parts on each node; see `IHealLedger.parts_on`."""
        return succeed({node: count for node, count in self._state.parts_on.items() if count})
