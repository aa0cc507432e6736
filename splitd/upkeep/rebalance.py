"""Moves parts from full nodes to empty ones, until all are evenly full."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from collections.abc import Set as SetOf
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from splitd.downloads.finding import Segmentation
from splitd.errors import (
    MoveRefused,
    NotEnoughNodes,
    RebalanceUnderWay,
    RecentlyRemoved,
    SplitdError,
)
from splitd.interfaces.catalog import ICatalog
from splitd.model.balance import GAIN, MOST_IN_VAIN, Balance, Course, Level, PartMove
from splitd.model.manifest import Manifest
from splitd.nodes.registry import NodeRegistry
from splitd.upkeep.pace import Pace
from splitd.upkeep.part_mover import PartMover
from splitd.upkeep.reaper import Reaper
from splitd.upkeep.stored_files import StoredFiles
from splitd.upkeep.walks import Walks
from storaged.http import reason_of
from storaged.parts.errors import StoragedError
from storaged.parts.format import stored_size
from storaged.parts.values import LOOK_EVERY_S
from storaged.system.clocks import WallClock
from storaged.system.parallel import settled

REBALANCE = "rebalance"
"""The task of the front that rebalances."""

TARGET = 0.01
"""The spread to reach if the operator names no other."""

_PAGE = 200
AT_ONCE = 16
"""Moves of small parts at a time."""
_LARGE_AT_ONCE = 2
_LARGE = 4 * 1024 * 1024

_COARSE = 2000
"""The first pass skips parts smaller than the surplus divided by this: a few large parts do for many small ones."""

_MOST_FAILED = 100
"""A rebalance ends after this many failed moves in a row."""


@attrs.define
class Progress:
    """The progress of a rebalance; times in milliseconds since 1970, fills as shares of a node.

    :param limit: bytes per second; None for no limit.
    :param state: "running", then "done", "stopped" or "failed".
    :param moved: the number of moved parts.
    :param bytes: their stored bytes.
    :param failed: the number of failed moves.
    :param problem: why the last move failed or, after the end, why the nodes are not even; empty if there is no reason.
    """

    began_ms: int
    target: float
    limit: float | None
    spread_before: float
    spread: float
    state: str = "running"
    ended_ms: int | None = None
    moved: int = 0
    bytes: int = 0
    failed: int = 0
    problem: str = ""


@attrs.frozen
class PlannedNode:
    """The fill of a node now, and after a rebalance."""

    id: str
    fill: float
    after: float


@attrs.frozen
class Plan:
    """The effect that a rebalance would have.

    :param spread: the present spread.
    :param after: the spread afterwards.
    :param parts: how many parts would move.
    :param bytes: the stored bytes of these parts.
    """

    spread: float
    target: float
    after: float
    parts: int
    bytes: int
    nodes: list[PlannedNode]


class Rebalance:
    """Runs one rebalance at a time, when an operator asks for it.

    A rebalance goes through all files in rounds, until the nodes are even or no move helps any more.  It may be
    stopped, and the front may end, at any moment.

    :param segmentation: finds the segments of files.
    :param clock: measures the pace.
    :param wall: tells the times that are shown.
    :ivar moved_parts: the number of parts moved since the front started.
    :ivar moved_bytes: their stored bytes.
    """

    _log = Logger()

    def __init__(
        self,
        catalog: ICatalog,
        segmentation: Segmentation,
        mover: PartMover,
        registry: NodeRegistry,
        reaper: Reaper,
        clock: Any,
        wall: WallClock,
        walks: Walks,
    ) -> None:
        self._lease = walks.lease(REBALANCE)
        self._catalog = catalog
        self._segmentation = segmentation
        self._mover = mover
        self._registry = registry
        self._reaper = reaper
        self._clock = clock
        self._wall = wall
        self._progress: Progress | None = None
        self._running: Deferred[None] | None = None
        self._pace = Pace(None, clock)
        self._failed_in_a_row = 0
        self._refused: dict[str, set[tuple[int, str]]] = {}  # by upload, as `Balance.choose` takes them
        self._failing: set[str] = set()  # nodes that failed, left out as long as other moves help
        self._stopping = False
        self.moved_parts = 0
        self.moved_bytes = 0

    @property
    def under_way(self) -> bool:
        """Whether a rebalance is running."""
        return self._running is not None

    @property
    def progress(self) -> Progress | None:
        """The progress of the running rebalance, or of the last one; None before the first."""
        return self._progress

    async def plan(self, target: float = TARGET) -> Plan:
        """Compute what a rebalance would do, without moving anything.

        :raise NotEnoughNodes: fewer than two nodes take parts.
        """
        balance = self._balance_of_some(target)
        before = {level.node_id: level.fill for level in balance.levels}
        spread, parts, size = balance.spread, 0, 0

        async def count(_path: str, _manifest: Manifest, move: PartMove) -> None:
            nonlocal parts, size
            parts += 1
            size += move.size

        await self._each_move(balance, count)
        nodes = [PlannedNode(level.node_id, before[level.node_id], level.fill) for level in balance.levels]
        return Plan(spread, target, balance.spread, parts, size, nodes)

    async def start(self, target: float = TARGET, limit: float | None = None) -> None:
        """Begin a rebalance.

        :param target: the spread to reach, as a share of a node.
        :param limit: bytes per second; None for no limit.
        :raise RebalanceUnderWay: another rebalance has not ended yet.
        :raise DoneElsewhere: another front rebalances.
        :raise NotEnoughNodes: fewer than two nodes take parts.
        """
        self._refuse_second()
        spread = self._balance_of_some(target).spread
        await self._lease.acquire()
        self._refuse_second()
        progress = Progress(self._wall.now_ms(), target, limit, spread, spread)
        self._progress, self._pace, self._failed_in_a_row = progress, Pace(limit, self._clock), 0
        self._log.info("a rebalance begins, the spread is {spread:.2%}", spread=spread)
        running = self._running = Deferred.fromCoroutine(self._run(progress))
        running.addBoth(self._ended, progress)

    def _refuse_second(self) -> None:
        if self._running is not None:
            raise RebalanceUnderWay("another rebalance has not ended yet")

    def _ended(self, result: Failure | None, progress: Progress) -> None:
        self._running, self._stopping, self._refused, self._failing = None, False, {}, set()
        progress.ended_ms = self._wall.now_ms()
        if isinstance(result, Failure):
            if result.check(CancelledError):
                progress.state = "stopped"
            else:
                progress.state, progress.problem = "failed", reason_of(result.value)
                if not result.check(SplitdError, StoragedError):
                    self._log.failure("a rebalance", result)
        else:
            progress.state = "done"
        self._log.info(
            "the rebalance is {state}: {moved} parts of {bytes} bytes moved, {failed} not, the spread is {spread:.2%} "
            "{problem}",
            **attrs.asdict(progress),
        )

    async def stop(self) -> None:
        """Stop the running rebalance, if any, and wait until it has ended.  Unfinished copies are discarded."""
        running = self._running
        if running is not None:
            over = settled([running])
            if not self._stopping:
                self._stopping = True
                running.cancel()
            await over

    async def _run(self, progress: Progress) -> None:
        try:
            await self._even_out(progress)
        finally:
            await self._lease.release()

    async def _even_out(self, progress: Progress) -> None:
        chained, stuck_at = False, math.inf
        course = Course(progress.spread, progress.target)
        while True:
            left_out = frozenset(self._failing)
            balance = self._balance(progress.target, chained=chained, without=left_out)
            moved, refused = progress.moved, self._count_refused()
            await self._round(balance, progress)
            # The spread is known only when the old copies are deleted; a reader may keep one for longer.
            await self._reaper.settle()
            # An earlier answer of a node may still count the parts that were just deleted.
            await deferLater(self._clock, LOOK_EVERY_S)
            await self._registry.ask()
            progress.spread = self._balance(progress.target).spread
            if progress.spread <= progress.target:
                progress.problem = ""
                return
            if progress.moved > moved:
                course.note(progress.spread)
            if course.is_vain:
                why = f"the last {MOST_IN_VAIN} rounds of moves have not made the spread less"
                progress.problem = progress.problem or why
                return
            is_stuck = (progress.moved, self._count_refused()) == (moved, refused)
            if is_stuck and left_out:
                self._failing.clear()
                continue
            # Chained rounds are for parts that were refused, and only as long as they help: the spread that the nodes
            # report may never reach the target, for example if their volumes share one disk.
            may_chain = refused > 0 and progress.spread <= stuck_at - progress.target * GAIN
            if is_stuck and (chained or not may_chain):
                progress.problem = progress.problem or "no part can be moved that helps"
                if refused and not progress.failed:
                    progress.problem += f"; {refused} were removed from where they should go: try again in some minutes"
                return
            chained = is_stuck
            if is_stuck:
                stuck_at = progress.spread

    def _count_refused(self) -> int:
        return sum(map(len, self._refused.values()))

    def _balance_of_some(self, target: float) -> Balance:
        balance = self._balance(target)
        if len(balance.levels) < 2:
            told = ", ".join(f"{node.entry.id} is {node.state}" for node in self._registry.nodes())
            raise NotEnoughNodes(f"two nodes that take parts are needed: {told}")
        return balance

    def _balance(self, target: float, *, chained: bool = False, without: SetOf[str] = frozenset()) -> Balance:
        levels = []
        for node in self._registry.nodes():
            takes_parts = node.takes_parts and node.entry.id not in without
            levels.append(Level(node.entry.id, node.entry.zone, *node.weighted_size, takes_parts=takes_parts))
        return Balance(levels, target, chained=chained)

    async def _round(self, balance: Balance, progress: Progress) -> None:
        """Go through all files once, and make the moves that help."""
        few, many = DeferredSemaphore(_LARGE_AT_ONCE), DeferredSemaphore(AT_ONCE)
        under_way: dict[Deferred[None], str] = {}

        async def begin(path: str, manifest: Manifest, move: PartMove) -> None:
            await self._lease.confirm()
            slots = few if move.size >= _LARGE else many
            await slots.acquire()
            if manifest.upload in under_way.values() or not self._is_possible(move, balance):
                # Another move of this version is in progress (it may have several names, or come up twice), so its
                # nodes are about to change.  Or the state of the move's nodes has changed.
                balance.undo(move)
                slots.release()
                return
            doing = Deferred.fromCoroutine(self._move(path, manifest, move, balance, progress))
            under_way[doing] = manifest.upload
            doing.addBoth(self._moved, doing, under_way, slots)
            if self._failed_in_a_row >= _MOST_FAILED:
                raise MoveRefused(f"{self._failed_in_a_row} moves failed, one after the other: {progress.problem}")

        try:
            await self._each_move(balance, begin)
            await settled(under_way)
        finally:
            for doing in list(under_way):
                doing.cancel()
            await settled(under_way)

    def _moved(
        self, result: Any, doing: Deferred[None], under_way: dict[Deferred[None], str], slots: DeferredSemaphore
    ) -> None:
        under_way.pop(doing, None)
        slots.release()
        if isinstance(result, Failure) and not result.check(CancelledError):
            self._log.failure("moving a part", result)

    def _is_possible(self, move: PartMove, balance: Balance) -> bool:
        """Whether both nodes of a move can still be used for it; a node that cannot is left out from now on."""
        nodes = {node.entry.id: node for node in self._registry.nodes()}
        source, target = nodes[move.source], nodes[move.target]
        if not source.health.usable:
            balance.leave_out(move.source)
        if not target.takes_parts or target.room < move.size:
            balance.leave_out(move.target)
        return source.health.usable and target.takes_parts and target.room >= move.size

    def _note_failing(self, move: PartMove) -> None:
        """Note the nodes of a failed move that cannot be used now.

        A node that answers and fails all the same looks well again soon: each round would wait for it anew.
        """
        for node in self._registry.nodes():
            if node.entry.id in {move.source, move.target} and not node.health.usable:
                self._failing.add(node.entry.id)

    async def _move(self, path: str, manifest: Manifest, move: PartMove, balance: Balance, progress: Progress) -> None:
        try:
            await self._mover.move(manifest, move.part, move.target, self._pace)
        except CancelledError:
            raise
        except Exception as problem:
            balance.undo(move)
            if isinstance(problem, RecentlyRemoved):
                # The node refuses it for some minutes: another part of the file may go there, or this one elsewhere.
                self._refused.setdefault(manifest.upload, set()).add((move.part, move.target))
            if isinstance(problem, MoveRefused):
                return  # the file has changed, or the node does not take the part yet: nothing is wrong
            if not isinstance(problem, StoragedError | SplitdError):
                self._log.failure("moving a part")
            self._note_failing(move)
            progress.failed += 1
            what = f"part {move.part} of {path} from {move.source} to {move.target}"
            progress.problem = f"{what}: {reason_of(problem)}"
            self._failed_in_a_row += 1
            self._log.warn("not moved: {problem}", problem=progress.problem)
        else:
            self._failed_in_a_row = 0
            progress.moved += 1
            progress.bytes += move.size
            progress.problem = ""
            self.moved_parts += 1
            self.moved_bytes += move.size
            progress.spread = balance.spread

    async def _each_move(self, balance: Balance, act: Callable[[str, Manifest, PartMove], Awaitable[None]]) -> None:
        """Go through all files, and act on each move that helps; on none if the spread is within the target already."""
        if balance.spread <= balance.target:
            return
        for least in (balance.surplus / _COARSE, 0.0):
            async for page in StoredFiles(self._catalog, self._segmentation).pages():
                for path, manifest in page:
                    if balance.is_even:
                        return
                    count, unit = len(manifest.nodes), manifest.unit
                    sizes = [stored_size(manifest.part_size(index), unit) for index in range(count)]
                    move = balance.choose(manifest.nodes, sizes, least, self._refused.get(manifest.upload, frozenset()))
                    if move is not None:
                        await act(path, manifest, move)
                await deferLater(self._clock, 0)  # let other work run
