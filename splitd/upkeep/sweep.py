"""Finds orphans, which are parts on the nodes that the catalog does not know, and moves them to the nodes' trash.

Orphans are left when the front loses power before the record of an upload was synced, or when a disk brings back what
was deleted.  The parts that the catalog knows and does not need are doomed: the reaper deletes them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from splitd.errors import DoneElsewhere, SplitdError, SweepInterrupted, SweepUnderWay
from splitd.interfaces.nodes import INodeRegistry
from splitd.interfaces.uploads import IUploadLedger
from splitd.model.uploads import upload_time_ms
from splitd.upkeep.walks import Walks
from storaged.http import reason_of
from storaged.parts.errors import NodeUnavailable, StoragedError
from storaged.parts.format import PartId, is_part_id, parse_part_id
from storaged.parts.values import PartInfo
from storaged.system.clocks import WallClock
from storaged.system.parallel import gather, settled

_PAGE = 2_000
_ASKED = 1000
_EXAMPLES = 10
_FIRST_S = 3600.0
_NEVER_S = 1e9

SWEEP = "sweep"
"""The task of the front that sweeps, because it is time or an operator has asked for it."""


@attrs.define
class NodeFindings:
    """The findings of a sweep on one node.

    :param parts: how many parts were checked.
    :param bytes: their stored bytes.
    :param orphans: how many parts are unknown to the catalog and old enough.
    :param orphan_bytes: the stored bytes of the orphans.
    :param young: how many parts are unknown to the catalog, but may belong to an upload that has just begun.
    :param trashed: how many orphans were moved to the trash.
    :param examples: the ids of some orphans.
    :param problem: why the node was not searched, or not swept, to the end; empty if it was.
    """

    node: str
    parts: int = 0
    bytes: int = 0
    orphans: int = 0
    orphan_bytes: int = 0
    young: int = 0
    trashed: int = 0
    examples: list[str] = attrs.field(factory=list)
    problem: str = ""


@attrs.define
class Findings:
    """The findings of a sweep.

    :param began_ms: when it began, milliseconds since 1970.
    :param dry_run: whether it only searched.
    :param stopped: why it moved nothing to the trash; empty if it did, or found no orphans.
    """

    began_ms: int
    dry_run: bool
    nodes: list[NodeFindings]
    stopped: str = ""

    @property
    def orphans(self) -> int:
        """How many orphans there are on all nodes."""
        return sum(node.orphans for node in self.nodes)

    @property
    def trashed(self) -> int:
        """How many of them were moved to the trash."""
        return sum(node.trashed for node in self.nodes)


class Sweep:
    """Compares the parts on the nodes with the catalog, periodically and on request.

    :param wall: tells how old a part is.
    :param interval_s: seconds between two sweeps, 0 for none; the first comes an hour after the start at the latest.
    :param grace_s: parts younger than this many seconds are left alone.
    :param share: if more than this share of a node's parts are orphans, something else is wrong: no part is touched.
    :param held: says why no part may be touched just now; empty if nothing speaks against it.
    :ivar last: the findings of the last sweep; None before the first.
    """

    _log = Logger()

    def __init__(
        self,
        ledger: IUploadLedger,
        registry: INodeRegistry,
        walks: Walks,
        wall: WallClock,
        *,
        interval_s: float,
        grace_s: float,
        share: float,
        held: Callable[[], str] = lambda: "",
    ) -> None:
        self._held = held
        self._ledger = ledger
        self._registry = registry
        self._wall = wall
        self._interval_s = interval_s
        self._grace_s = grace_s
        self._share = share
        self._under_way: Deferred[Findings] | None = None
        self._interrupted = self._stopped = False
        self._walk = walks.walk("the sweep", self._go, interval_s or _NEVER_S)
        self._lease = walks.lease(SWEEP)
        self.last: Findings | None = None

    def start(self) -> None:
        """Begin to sweep periodically."""
        if self._interval_s:
            # The first sweep does not wait a whole interval: a front that is often restarted would never sweep.
            self._walk.start(min(_FIRST_S, self._interval_s))

    def stop(self) -> Deferred[None]:
        """Cancel the sweep in progress, and begin no more.

        :return: a Deferred that fires with None when the sweep in progress has ended.
        """
        self._stopped, under_way = True, self._under_way
        if under_way is None:
            return self._walk.stop()
        ended = settled([under_way, self._walk.stop(cancel=False)])
        under_way.cancel()
        return ended

    @property
    def under_way(self) -> bool:
        """Whether a sweep is in progress."""
        return self._under_way is not None

    def interrupt(self) -> Deferred[bool]:
        """End the sweep in progress; what it has moved to the trash stays there.

        :return: a Deferred that fires with whether there was one, when it has ended.
        """
        under_way = self._under_way
        if under_way is None:
            return succeed(False)
        ended = settled([under_way])
        self._interrupted = True
        under_way.cancel()
        return ended.addCallback(lambda _: True)

    async def _go(self) -> None:
        if self._stopped:
            return
        try:
            await self.run()
        except (SweepInterrupted, SweepUnderWay):
            return

    def run(self, *, dry_run: bool = False, share: float | None = None) -> Deferred[Findings]:
        """Sweep now.

        :param dry_run: whether to search only, and move nothing to the trash.
        :param share: used in place of the configured one.
        :return: a Deferred that fires with the findings.  Cancelling it ends the sweep.
        :raise SweepUnderWay: another sweep has not ended yet.
        :raise SweepInterrupted: `interrupt` has ended it.
        :raise DoneElsewhere: another front sweeps.
        """
        if self._under_way is not None:
            return fail(SweepUnderWay("another sweep has not ended yet"))
        self._under_way = Deferred.fromCoroutine(self._sweep(dry_run, self._share if share is None else share))
        return self._under_way.addBoth(self._ended)

    def _ended(self, result: Any) -> Any:
        self._under_way, interrupted = None, self._interrupted
        self._interrupted = False
        if interrupted and isinstance(result, Failure) and result.check(CancelledError):
            return Failure(SweepInterrupted("an operator has ended the sweep"))
        if isinstance(result, Findings):
            self.last = result
        return result

    async def _sweep(self, dry_run: bool, share: float) -> Findings:
        try:
            await self._lease.confirm()
            return await self._compare(dry_run, share)
        finally:
            await self._lease.release()

    async def _compare(self, dry_run: bool, share: float) -> Findings:
        began_ms = self._wall.now_ms()
        findings = Findings(began_ms, dry_run, [NodeFindings(node) for node in self._registry.node_ids()])
        # All nodes at once: a node that does not answer takes no slot from the others.
        orphans = await gather([self._look(node, began_ms) for node in findings.nodes])
        # A part that was moved during the search is as old as its upload, so it may look like an orphan: the catalog is
        # asked again before any part is moved to the trash.
        orphans = await gather([self._keep(*each) for each in zip(findings.nodes, orphans, strict=True)])
        findings.stopped = (self._held() if findings.orphans else "") or _objection(findings.nodes, share)
        if findings.stopped:
            self._log.error("the sweep stops: {reason}", reason=findings.stopped)
        elif not dry_run:
            await gather([self._put_aside(*each) for each in zip(findings.nodes, orphans, strict=True)])
        self._log.info(
            "sweep: {orphans} orphans among {parts} parts, {trashed} moved to the trash",
            orphans=findings.orphans,
            parts=sum(node.parts for node in findings.nodes),
            trashed=findings.trashed,
        )
        return findings

    async def _look(self, node: NodeFindings, began_ms: int) -> list[tuple[str, int]]:
        """Find the orphans of a node; return the id and the stored bytes of each."""
        orphans: list[tuple[str, int]] = []
        after = ""
        with self._noting(node):
            store = self._registry.store(node.node)
            while page := await store.list_parts(after, _PAGE):
                _refuse_disorder(page, after)
                after = page[-1].part_id
                for start in range(0, len(page), _ASKED):
                    some = page[start : start + _ASKED]
                    orphans += await self._judge(node, some, began_ms - int(self._grace_s * 1000))
        return [] if node.problem else orphans

    @contextmanager
    def _noting(self, node: NodeFindings) -> Iterator[None]:
        """Note the failure of a node instead of raising it, so that the other nodes are swept all the same."""
        try:
            yield
        except (CancelledError, DoneElsewhere):
            raise
        except StoragedError as problem:
            node.problem = problem.reason
        except SplitdError as problem:
            node.problem = str(problem)
        except Exception as problem:
            self._log.failure("sweeping node {node}", node=node.node)
            node.problem = reason_of(problem)

    async def _judge(self, node: NodeFindings, page: Sequence[PartInfo], before_ms: int) -> list[tuple[str, int]]:
        node.parts += len(page)
        node.bytes += sum(info.stored_size for info in page)
        unknown = set(await self._ledger.orphans(node.node, [parse_part_id(info.part_id) for info in page]))
        orphans = []
        for info in page if unknown else ():
            part = parse_part_id(info.part_id)
            if part not in unknown:
                continue
            # A part is old only if the front's clock and the node's clock agree: one of them may have been wrong.
            if max(upload_time_ms(part.upload), info.modified_ms) >= before_ms:
                node.young += 1
            else:
                orphans.append((info.part_id, info.stored_size))
        return orphans

    async def _keep(self, node: NodeFindings, found: Sequence[tuple[str, int]]) -> list[str]:
        """Keep the parts of a node that are still orphans: note them in the findings, and return their ids."""
        orphans: set[PartId] = set()
        for start in range(0, len(found), _ASKED):
            some = [parse_part_id(part) for part, _ in found[start : start + _ASKED]]
            orphans.update(await self._ledger.orphans(node.node, some))
        kept = [(part, stored_size) for part, stored_size in found if parse_part_id(part) in orphans]
        node.orphans = len(kept)
        node.orphan_bytes = sum(stored_size for _, stored_size in kept)
        node.examples = [part for part, _ in kept[:_EXAMPLES]]
        return [part for part, _ in kept]

    async def _put_aside(self, node: NodeFindings, orphans: list[str]) -> None:
        waiting = deque(orphans)
        with self._noting(node):
            store = self._registry.store(node.node)
            while waiting:
                await self._lease.confirm()
                node.trashed += await store.trash(waiting[0])
                waiting.popleft()
        if waiting:
            node.problem = f"{node.problem}; {len(waiting)} orphans are left for the next sweep"


def _refuse_disorder(page: Sequence[PartInfo], after: str) -> None:
    """Refuse a page that is not in ascending order after the page before.

    A node that repeats itself would never reach its last page.

    :raise NodeUnavailable: the page is not in ascending order, or lists something that is not a part id.
    """
    for info in page:
        if not is_part_id(info.part_id):
            raise NodeUnavailable(f"listed {info.part_id[:100]!r}, which is not a part id")
        if info.part_id <= after:
            raise NodeUnavailable(f"listed part {info.part_id} after {after}")
        after = info.part_id


def _objection(nodes: Sequence[NodeFindings], share: float) -> str:
    """Say why no orphan may be moved to the trash; empty if they may."""
    for node in nodes:
        if node.orphans > node.parts * share:
            return (
                f"of the {node.parts} parts on node {node.node} nobody knows {node.orphans}, "
                f"more than {100 * share:.3g} % of them: was the journal lost, or an old one brought back?"
            )
    return ""
