"""The doomed parts of the journalled catalog."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from splitd.catalog.changes import Changes
from splitd.catalog.state import State
from splitd.interfaces.parts import DoomedPage, IDoomedParts
from splitd.model.records import MOST_GONE, PartsGone
from storaged.parts.format import PartId
from storaged.system.parallel import gather


@implementer(IDoomedParts)
class JournalledDoomedParts:
    """The doomed parts, recorded in a journal.

    :param state: the state that the journal's records result in; only `changes` changes it.
    """

    def __init__(self, state: State, changes: Changes) -> None:
        self._state = state
        self._changes = changes

    def doomed_nodes(self) -> Deferred[dict[str, int]]:
        """Count the doomed parts on each node; see `IDoomedParts.doomed_nodes`."""
        return self._changes.settled().addCallback(lambda _: self._state.doomed.nodes())

    def doomed_on(self, node: str, after: str, limit: int) -> Deferred[DoomedPage]:
        """List doomed parts of one node; see `IDoomedParts.doomed_on`."""
        return succeed(DoomedPage(*self._state.doomed.page(node, after, limit)))

    def gone(self, node: str, parts: Sequence[PartId]) -> Deferred[None]:
        """Record that parts are gone from a node; see `IDoomedParts.gone`."""
        return Deferred.fromCoroutine(self._gone(node, parts))

    async def _gone(self, node: str, parts: Sequence[PartId]) -> None:
        pages = [parts[start : start + MOST_GONE] for start in range(0, len(parts), MOST_GONE)]
        await gather([self._gone_page(node, page) for page in pages])

    async def _gone_page(self, node: str, parts: Sequence[PartId]) -> None:
        def judge() -> tuple[PartsGone | None, None]:
            doomed = tuple(str(part) for part in parts if self._state.doomed.has(node, part))
            return (PartsGone(node, doomed) if doomed else None), None

        # This change touches no other, so it waits for no turn.  Changes that are judged before it takes effect count
        # the parts as still doomed, which can only refuse more.  A part that is confirmed twice is deleted once.
        await self._changes.make(judge, durable=True)
