"""Parts that were reported as missing or damaged: each is checked once more before it counts as lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from splitd.errors import SplitdError
from splitd.interfaces.heal import IHealLedger
from splitd.interfaces.nodes import INodeRegistry
from splitd.interfaces.upkeep import IFindings
from splitd.model.manifest import Manifest
from storaged.parts.decoding import PartChecker, check_part
from storaged.parts.errors import BadPart, NodeUnavailable, PartDamaged, PartMissing, StoragedError
from storaged.parts.format import SMALL_PART, PartId, stored_size
from storaged.parts.interfaces import INodeStore
from storaged.system.parallel import settled

_MOST = 10_000
"""The most reports that wait.  Further ones are dropped: the parts will be found again."""

_AT_ONCE = 2
_LISTED = 256
"""As many as an upload may have parts."""


@implementer(IFindings)
class Suspects:
    """Checks reported parts on their nodes, and records those that are really missing or damaged.

    :param lost: called after parts were recorded as lost.
    :ivar confirmed: how many were recorded since the start.
    """

    _log = Logger()

    def __init__(self, ledger: IHealLedger, registry: INodeRegistry, lost: Callable[[], object]) -> None:
        self._ledger = ledger
        self._registry = registry
        self._lost = lost
        self._known: set[tuple[str, PartId]] = set()
        self._waiting: deque[tuple[str, PartId, int, str]] = deque()
        self._checks: set[Deferred[None]] = set()
        self._stopped = False
        self.confirmed = 0

    @property
    def idle(self) -> bool:
        """Whether no part is being checked or waits for that."""
        return not self._known

    def found(self, manifest: Manifest, index: int, problem: str) -> None:
        """Report a part; see `IFindings.found`."""
        node, part = manifest.nodes[index], manifest.part(index)
        if self._stopped or not node or (node, part) in self._known or len(self._known) >= _MOST:
            return
        self._known.add((node, part))
        self._waiting.append((node, part, stored_size(manifest.part_size(index), manifest.unit), problem))
        self._begin()

    def _begin(self) -> None:
        while self._waiting and len(self._checks) < _AT_ONCE and not self._stopped:
            check = Deferred.fromCoroutine(self._judge(*self._waiting.popleft()))
            self._checks.add(check)
            check.addErrback(self._failed)
            check.addCallback(self._ended, check)

    def _ended(self, _: None, check: Deferred[None]) -> None:
        self._checks.discard(check)
        self._begin()

    def _failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("checking a part that was reported", failure)

    def stop(self) -> Deferred[None]:
        """Check no more parts.

        :return: a Deferred that fires with None when the pending checks have ended.
        """
        self._stopped = True
        self._waiting.clear()
        ended = settled(self._checks)
        for check in list(self._checks):
            check.cancel()
        return ended

    async def _judge(self, node: str, part: PartId, size: int, problem: str) -> None:
        try:
            try:
                await self._check(node, part, size)
            except PartMissing as found:
                await self._lose(node, part, found.reason, remains=False)
            except (PartDamaged, BadPart) as found:
                await self._lose(node, part, found.reason, remains=True)
        except (StoragedError, SplitdError) as trouble:
            self._log.info(
                "part {part} on node {node} was reported ({problem}), and cannot be checked now: {trouble}",
                part=part,
                node=node,
                problem=problem,
                trouble=trouble,
            )
        finally:
            self._known.discard((node, part))

    async def _check(self, node: str, part: PartId, size: int) -> None:
        """Read a whole part.

        :raise PartMissing: the node does not hold it.
        :raise PartDamaged, BadPart: its bytes are wrong.
        """
        store = self._registry.store(node)
        if size <= SMALL_PART:
            [data] = await store.get_all([str(part)])
            if isinstance(data, StoragedError):
                raise data
            if len(data) != size:
                raise PartDamaged(f"part {part}: takes {len(data)} bytes, expected {size}")
            check_part(part, data)
            return
        try:
            await self._read(store, part, size)
        except NodeUnavailable:
            # A node breaks off in the middle of a part that its disk cannot read, and knows that the part is rotten.
            for rotten in await store.rotten(f"{part.upload}.", _LISTED):
                if rotten.part_id == str(part):
                    raise PartDamaged(rotten.reason) from None
            raise

    async def _read(self, store: INodeStore, part: PartId, size: int) -> None:
        reader = await store.open(str(part), None)
        try:
            if reader.stored_size != size:
                raise PartDamaged(f"part {part}: takes {reader.stored_size} bytes, expected {size}")
            checker = PartChecker(part, size)
            while data := await reader.read():
                checker.feed(data)
            checker.finish()
        finally:
            reader.close()

    async def _lose(self, node: str, part: PartId, problem: str, *, remains: bool) -> None:
        # A part stays noted where it is if its file cannot do without it: most of its bytes may be right, and a disk
        # that does not hold it may not be the one that belongs there.
        if await self._ledger.lose(node, [part], problem, remains=remains, if_spare=True):
            self.confirmed += 1
            self._log.warn("part {part} on node {node} is lost: {problem}", part=part, node=node, problem=problem)
            self._lost()
        else:
            self._log.warn(
                "part {part} on node {node} stays noted there: its file has no part to spare; {problem}",
                part=part,
                node=node,
                problem=problem,
            )
