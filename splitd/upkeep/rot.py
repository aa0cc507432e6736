"""Fetches what the scrubs of the nodes have found, and reports the rotten parts that files need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from splitd.errors import CatalogReadOnly, DoneElsewhere, SplitdError
from splitd.interfaces.nodes import INodeRegistry
from splitd.interfaces.versions import IVersions
from splitd.model.manifest import Manifest
from splitd.upkeep.walks import Walks
from storaged.parts.errors import StoragedError
from storaged.parts.format import is_part_id, parse_part_id
from storaged.parts.values import RottenPart
from storaged.system.parallel import gather

_LOOK_S = 20.0
"""Seconds between two looks at what the nodes report; they are asked about as often."""

_PAGE = 500
_MOST = 10_000
"""The most rotten parts that are fetched of one node."""

_AGAIN_S = 600.0
"""After this time, in seconds, a part that is still rotten is reported again."""


class RotWatch:
    """Watches the nodes that report rotten parts.

    :param rotten: returns how many rotten parts each usable node has reported, without those that have none.
    :param found: called with a version that has parts to spare, the index of a part of it that is rotten, and what is
        wrong with it.
    :param clock: measures time, and calls later.
    """

    _log = Logger()

    def __init__(
        self,
        rotten: Callable[[], Mapping[str, int]],
        registry: INodeRegistry,
        versions: IVersions,
        found: Callable[[Manifest, int, str], object],
        clock: Any,
        walks: Walks,
    ) -> None:
        self._rotten = rotten
        self._registry = registry
        self._versions = versions
        self._found = found
        self._clock = clock
        self._reported: dict[str, dict[str, float]] = {}  # for each node, when each part was reported
        self._walk = walks.walk("fetching the rotten parts of nodes", self._look, _LOOK_S)

    def start(self) -> None:
        """Look periodically from now on."""
        self._walk.start()

    def stop(self) -> Deferred[None]:
        """Stop looking.

        :return: a Deferred that fires with None when nothing is fetched any more.
        """
        return self._walk.stop()

    def look(self) -> Deferred[None]:
        """Fetch the lists of the nodes that have rotten parts, all at the same time, and report what is new in them.

        :return: a Deferred that fires with None when that is done, or cannot be done now.
        """
        return self._walk.look()

    async def _look(self) -> None:
        nodes = self._rotten()
        self._reported = {node: self._reported.get(node, {}) for node in nodes}
        try:
            await gather([self._look_at(node) for node in nodes])
        except CatalogReadOnly as problem:
            self._log.info("rotten parts are not looked at now: {problem}", problem=str(problem))
            raise

    async def _look_at(self, node: str) -> None:
        try:
            parts = await self._fetch(node)
        except (CancelledError, DoneElsewhere):
            raise
        except (StoragedError, SplitdError) as problem:
            self._log.warn("the rotten parts of node {node} are not known: {problem}",
                           node=node, problem=str(problem))  # fmt: skip
            return
        now = self._clock.seconds()
        before, reported = self._reported[node], {}
        for start in range(0, len(parts), _PAGE):
            await self._walk.confirm()
            for manifest, part in await self._needed(node, parts[start : start + _PAGE]):
                at = reported[part.part_id] = before.get(part.part_id, now)
                is_news = part.part_id not in before
                if manifest.spare <= 0:
                    # Nothing can be done, and to check it again would read all of it.
                    if is_news:
                        self._log.error("part {part} on node {node} is rotten, and its file has no part to spare; "
                                        "splitctl check says which it is: {reason}",
                                        part=part.part_id, node=node, reason=part.reason)  # fmt: skip
                elif is_news or now - at >= _AGAIN_S:
                    reported[part.part_id] = now
                    self._found(manifest, parse_part_id(part.part_id).index, part.reason)
        self._reported[node] = reported

    async def _fetch(self, node: str) -> list[RottenPart]:
        store = self._registry.store(node)
        parts: list[RottenPart] = []
        after = ""
        while len(parts) < _MOST:
            page: list[RottenPart] = await store.rotten(after, _PAGE)
            if not page or page[-1].part_id <= after:
                break
            after = page[-1].part_id
            parts += [part for part in page if is_part_id(part.part_id)]
        return parts

    async def _needed(self, node: str, parts: Sequence[RottenPart]) -> list[tuple[Manifest, RottenPart]]:
        """Return the parts that a file needs, each with its version.  The others are doomed, or orphans."""
        ids = [parse_part_id(part.part_id) for part in parts]
        versions = await self._versions.find_all([part_id.upload for part_id in ids])
        return [
            (manifest, part)
            for part, part_id, manifest in zip(parts, ids, versions, strict=True)
            if manifest is not None and manifest.nodes[part_id.index : part_id.index + 1] == (node,)
        ]
