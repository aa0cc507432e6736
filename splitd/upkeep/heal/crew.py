"""Does the work on single versions, a few at a time."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping
from functools import partial
from typing import Any

import msgspec
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.logger import Logger

from splitd.errors import CatalogReadOnly, MoveRefused, NotEnoughNodes, SplitdError
from splitd.interfaces.nodes import IReadPolicy
from splitd.model.holdings import PartCopy
from splitd.model.manifest import Manifest
from splitd.nodes.registry import NodeRegistry
from splitd.upkeep.heal.pauses import Pauses
from splitd.upkeep.heal.rate import Rate
from splitd.upkeep.heal.rebuild import Rebuilder
from splitd.upkeep.heal.targets import choose_targets
from splitd.upkeep.pace import Pace
from splitd.upkeep.part_mover import PartMover
from storaged.http import reason_of
from storaged.parts.errors import StoragedError
from storaged.parts.format import stored_size
from storaged.system.parallel import settled

_SMALL_AT_ONCE = 16
_LARGE_AT_ONCE = 2
_LARGE = 4 * 1024 * 1024


class Crew:
    """Rebuilds and moves parts of versions, several versions at a time.

    :param policy: learns which nodes are being filled: they are read from last.
    :param clock: measures pauses and the rate.
    :param limit: bytes of stored parts per second; None for no limit.
    :ivar failed: how many attempts have failed since the start.
    :ivar problem: why the last attempt failed; empty if it did not.
    """

    _log = Logger()

    def __init__(
        self,
        mover: PartMover,
        rebuilder: Rebuilder,
        registry: NodeRegistry,
        policy: IReadPolicy,
        clock: Any,
        limit: float | None,
    ) -> None:
        self._mover = mover
        self._rebuilder = rebuilder
        self._registry = registry
        self._policy = policy
        self._clock = clock
        self._pace = Pace(limit, clock)
        self._few, self._many = DeferredSemaphore(_LARGE_AT_ONCE), DeferredSemaphore(_SMALL_AT_ONCE)
        self._under_way: dict[str, Deferred[None]] = {}
        self.pauses = Pauses(clock)
        self.rate = Rate(clock)
        self.limit = limit
        self.failed = 0
        self.problem = ""

    def set_limit(self, limit: float | None) -> None:
        """Change the limit of bytes per second; parts in progress keep theirs."""
        if limit != self.limit:
            self.limit, self._pace = limit, Pace(limit, self._clock)

    @property
    def busy(self) -> bool:
        """Whether anything is being rebuilt or moved."""
        return bool(self._under_way)

    async def end_unended(self) -> None:
        """Abort what could not be aborted when it failed, because nothing could be changed then."""
        await self._mover.end_unended()

    def may_begin(self, manifest: Manifest) -> bool:
        """Whether a version is neither worked on nor left alone for a while."""
        return manifest.upload not in self._under_way and not self.pauses.holds(manifest.upload)

    async def rebuild(self, manifest: Manifest, indexes: list[int], unread: set[str]) -> None:
        """Begin to rebuild parts of a version, once few enough others are worked on.

        :param indexes: which parts; those that find no node are left out.
        :param unread: the ids of nodes that are not to be read.
        :raise NotEnoughNodes: no node can take any of the parts.  Nothing was begun.
        """
        nodes = tuple("" if node in unread else node for node in manifest.nodes)
        source = msgspec.structs.replace(manifest, nodes=nodes)

        async def work(targets: Mapping[int, str]) -> None:
            copies = [PartCopy(manifest.upload, index, node) for index, node in targets.items()]
            await self._mover.journalled(copies, partial(self._rebuilder.rebuild, source, targets, self._pace))

        await self._begin(manifest, indexes, work)

    async def move(self, manifest: Manifest, index: int) -> None:
        """Begin to move a part of a version to another node, once few enough others are worked on.

        :raise NotEnoughNodes: no node can take the part.  Nothing was begun.
        """

        async def work(targets: Mapping[int, str]) -> None:
            await self._mover.move(manifest, index, targets[index], self._pace)

        await self._begin(manifest, [index], work)

    async def _begin(self, manifest: Manifest, indexes: list[int], work: Any) -> None:
        upload = manifest.upload
        size = max(stored_size(manifest.part_size(index), manifest.unit) for index in indexes)
        slots = self._few if size >= _LARGE else self._many
        await slots.acquire()
        try:
            targets = self._choose(manifest, indexes)
        except BaseException:
            slots.release()
            raise
        self._fill(targets.values(), is_filled=True)
        doing = self._under_way[upload] = Deferred.fromCoroutine(self._do(manifest, targets, work(targets)))

        def ended(_: Any) -> None:
            del self._under_way[upload]
            self._fill(targets.values(), is_filled=False)
            slots.release()

        doing.addBoth(ended)

    def _fill(self, nodes: Iterable[str], *, is_filled: bool) -> None:
        for node in nodes:
            self._policy.fill(node, is_filled=is_filled)

    def _choose(self, manifest: Manifest, indexes: list[int]) -> dict[int, str]:
        try:
            return choose_targets(self._registry, manifest, indexes, self.pauses.refusing(manifest.upload))
        except NotEnoughNodes:
            return choose_targets(self._registry, manifest, indexes, ())

    async def _do(self, manifest: Manifest, targets: Mapping[int, str], work: Coroutine[Any, Any, None]) -> None:
        upload = manifest.upload
        try:
            await work
        except CancelledError:
            return
        except MoveRefused:
            # A target does not take the part yet, another move is under way, or the file is gone: nothing is wrong.
            self.pauses.refused(upload, set(targets.values()))
        except Exception as problem:
            if not isinstance(problem, StoragedError | SplitdError):
                self._log.failure("healing a part")
            self.failed += 1
            self.problem = f"parts {', '.join(map(str, targets))} of {manifest.title}: {reason_of(problem)}"
            self.pauses.failed(upload)
            if not isinstance(problem, CatalogReadOnly):
                self._log.info("not healed: {problem}", problem=self.problem)
        else:
            self.problem = ""
            self.pauses.ended(upload)
            sizes = [stored_size(manifest.part_size(index), manifest.unit) for index in targets]
            self.rate.count(len(sizes), sum(sizes))

    def stop(self) -> Deferred[None]:
        """Cancel the work.

        :return: a Deferred that fires with None when it has ended.
        """
        doing = list(self._under_way.values())
        over = settled(doing)
        for each in doing:
            each.cancel()
        return over
