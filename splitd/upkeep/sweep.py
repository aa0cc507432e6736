"""Finds the parts on the nodes that nobody knows of, and has them put aside.

A part becomes one nobody knows of when the front loses the power before the record of its upload was synced, or when a
disk brings back what was deleted.  What the catalog knows and does not need is the reaper's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from splitd.errors import SplitdError, SweepUnderWay
from splitd.interfaces.catalog import IUploadLedger
from splitd.interfaces.nodes import INodeRegistry
from splitd.model.uploads import upload_time_ms
from storaged.parts.errors import NodeUnavailable, StoragedError
from storaged.parts.format import PartId, is_part_id, parse_part_id
from storaged.parts.values import PartInfo
from storaged.system.clocks import WallClock
from storaged.system.parallel import gather, settled
from storaged.system.periodic import Periodic

_PAGE = 2_000
_ASKED = 1000
_EXAMPLES = 10
_FIRST_S = 3600.0


@attrs.define
class NodeFindings:
    """What a sweep found on a node.

    :param parts: parts that were looked at.
    :param bytes: what they take.
    :param orphans: parts that nobody knows of, and that are old enough.
    :param orphan_bytes: what they take.
    :param young: parts that nobody knows of, and that may be of an upload that has just begun.
    :param trashed: orphans that were put aside.
    :param examples: the ids of some orphans.
    :param problem: why the node was not looked through, or not swept; empty where it was.
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
    """What a sweep found, and did.

    :param began_ms: when it began, milliseconds since 1970.
    :param dry_run: whether it was only to look.
    :param stopped: why it put nothing aside; empty where it did, or found nothing.
    """

    began_ms: int
    dry_run: bool
    nodes: list[NodeFindings]
    stopped: str = ""

    @property
    def orphans(self) -> int:
        """The orphans on all nodes."""
        return sum(node.orphans for node in self.nodes)

    @property
    def trashed(self) -> int:
        """Those that were put aside."""
        return sum(node.trashed for node in self.nodes)


class Sweep:
    """Compares what the nodes hold with what the catalog knows, every so often and when asked.

    :param node_ids: the nodes there are.
    :param interval_s: between two sweeps; the first comes an hour after the start, at the latest.  0 for none.
    :param grace_s: parts younger than that are left alone.
    :param share: of a node's parts; where more are orphans, something else is wrong, and none is touched.
    :param clock: measures the interval.
    :param wall: tells how old a part is.
    :ivar last: what the last one found; None before the first.
    """

    _log = Logger()

    def __init__(
        self,
        ledger: IUploadLedger,
        registry: INodeRegistry,
        clock: Any,
        wall: WallClock,
        *,
        interval_s: float,
        grace_s: float,
        share: float,
    ) -> None:
        self._ledger = ledger
        self._registry = registry
        self._wall = wall
        self._interval_s = interval_s
        self._grace_s = grace_s
        self._share = share
        self._under_way: Deferred[Findings] | None = None
        self._rounds = Periodic(self._go, interval_s, clock, "the sweep")
        self.last: Findings | None = None

    def start(self) -> None:
        """Begin to wait for the first."""
        if self._interval_s:
            # Not after a whole interval: a front that is often started again would never come to it.
            self._rounds.start(min(_FIRST_S, self._interval_s))

    def stop(self) -> Deferred[None]:
        """Cancel the one under way, and begin no more.

        :return: a Deferred that fires when the one under way has ended.
        """
        self._rounds.stop()
        if self._under_way is None:
            return settled([])
        ended = settled([self._under_way])
        self._under_way.cancel()
        return ended

    def _go(self) -> Deferred[None]:
        return self.run().addCallbacks(_nothing, self._broke_off)

    def _broke_off(self, failure: Failure) -> None:
        if not failure.check(CancelledError, SweepUnderWay):
            self._log.failure("a sweep", failure)

    def run(self, *, dry_run: bool = False, share: float | None = None) -> Deferred[Findings]:
        """Sweep now.

        :param dry_run: only look.
        :param share: in place of the usual one.
        :return: a Deferred of what was found.
        :raise SweepUnderWay: another one has not ended yet.
        """
        if self._under_way is not None:
            return fail(SweepUnderWay("another sweep has not ended yet"))
        self._under_way = Deferred.fromCoroutine(self._sweep(dry_run, self._share if share is None else share))
        return self._under_way.addBoth(self._ended)

    def _ended(self, result: Any) -> Any:
        self._under_way = None
        if isinstance(result, Findings):
            self.last = result
        return result

    async def _sweep(self, dry_run: bool, share: float) -> Findings:
        began_ms = self._wall.now_ms()
        findings = Findings(began_ms, dry_run, [NodeFindings(node) for node in self._registry.node_ids()])
        # Each node for itself: one that does not answer keeps no place from the others.
        orphans = await gather([self._look(node, began_ms) for node in findings.nodes])
        # A part that was moved meanwhile is as old as its upload: the catalog is asked again before anything is done.
        orphans = await gather([self._keep(*each) for each in zip(findings.nodes, orphans, strict=True)])
        findings.stopped = _objection(findings.nodes, share)
        if findings.stopped:
            self._log.error("the sweep stops: {reason}", reason=findings.stopped)
        elif not dry_run:
            await gather([self._put_aside(*each) for each in zip(findings.nodes, orphans, strict=True)])
        self._log.info(
            "sweep: {orphans} orphans among {parts} parts, {trashed} put aside",
            orphans=findings.orphans,
            parts=sum(node.parts for node in findings.nodes),
            trashed=findings.trashed,
        )
        return findings

    async def _look(self, node: NodeFindings, began_ms: int) -> list[tuple[str, int]]:
        """The ids of the orphans of a node, and the bytes that each takes."""
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
        """Note what goes wrong with a node, so that the others are swept all the same."""
        try:
            yield
        except CancelledError:
            raise
        except (StoragedError, SplitdError) as problem:
            node.problem = str(problem)
        except Exception as problem:
            self._log.failure("sweeping node {node}", node=node.node)
            node.problem = f"{type(problem).__name__}: {problem}"

    async def _judge(self, node: NodeFindings, page: Sequence[PartInfo], before_ms: int) -> list[tuple[str, int]]:
        node.parts += len(page)
        node.bytes += sum(info.stored_size for info in page)
        unknown = set(await self._ledger.orphans(node.node, [parse_part_id(info.part_id) for info in page]))
        orphans = []
        for info in page if unknown else ():
            part = parse_part_id(info.part_id)
            if part not in unknown:
                continue
            # By the front's clock and by the node's: one of them may have been wrong.
            if max(upload_time_ms(part.upload), info.modified_ms) >= before_ms:
                node.young += 1
            else:
                orphans.append((info.part_id, info.stored_size))
        return orphans

    async def _keep(self, node: NodeFindings, found: Sequence[tuple[str, int]]) -> list[str]:
        """The ids of those orphans of a node that are still orphans; they are the findings."""
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
                node.trashed += await store.trash(waiting[0])
                waiting.popleft()
        if waiting:
            node.problem = f"{node.problem}; {len(waiting)} orphans are left for the next sweep"


def _refuse_disorder(page: Sequence[PartInfo], after: str) -> None:
    """Refuse a page that is not in ascending order behind the one before: a node that repeats itself has no last page.

    :raise NodeUnavailable: it is not, or holds what is no part id.
    """
    for info in page:
        if not is_part_id(info.part_id):
            raise NodeUnavailable(f"listed {info.part_id[:100]!r}, which is not a part id")
        if info.part_id <= after:
            raise NodeUnavailable(f"listed part {info.part_id} after {after}")
        after = info.part_id


def _objection(nodes: Sequence[NodeFindings], share: float) -> str:
    """Why nothing should be put aside; empty where it may."""
    for node in nodes:
        if node.orphans > node.parts * share:
            return (
                f"of the {node.parts} parts on node {node.node} nobody knows {node.orphans}, "
                f"more than {100 * share:.3g} % of them: was the journal lost, or an old one brought back?"
            )
    return ""


def _nothing(_: Any) -> None:
    """What a sweep by the clock leaves: it can be looked up."""
