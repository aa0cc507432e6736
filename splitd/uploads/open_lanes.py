"""The open lanes of one upload.  Some may fail, or be too slow, as long as enough are left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from splitd.errors import NotEnoughSpace, UploadFailed
from splitd.interfaces.nodes import INodeRegistry
from splitd.uploads.lanes import Intent, Lane, name_failed
from storaged.http import reason_of
from storaged.parts.errors import NodeUnavailable, NoSpace, StoragedError
from storaged.system.buffers import Piece

_LOOK_AGAIN_S = 1.0
"""The longest time between two looks at lanes that are full, while the full ones are too many to be dropped."""


@implementer(IPushProducer)
class _LaneSource:
    """The producer of one part writer."""

    def __init__(self, set_full: Callable[[int, bool], None], index: int) -> None:
        self._set_full = set_full
        self._index = index

    def pauseProducing(self) -> None:
        """Take note that the lane is full."""
        self._set_full(self._index, True)

    def resumeProducing(self) -> None:
        """Take note that the lane has room again."""
        self._set_full(self._index, False)

    def stopProducing(self) -> None:
        """Take note that the lane has failed; `when_broken` reports that as well."""
        self.resumeProducing()


class OpenLanes:
    """The lanes of one upload, by the indexes of its parts.

    A lane that fails is dropped, and its part stays unstored, if the upload may miss one more part.  So is a lane that
    takes nothing for some time while the others wait for it.

    :param lanes: the lanes; there may be fewer than parts.
    :param registry: learns which nodes were too slow.
    :param clock: measures how long a lane takes nothing.
    :param slow_s: the seconds after which a lane that takes nothing is dropped.
    :param set_full: called with True when no more bytes should come, and with False when they may come again.
    :param broke: called with the reason when too many lanes have failed.
    """

    _log = Logger()

    def __init__(
        self,
        intent: Intent,
        lanes: Mapping[int, Lane],
        registry: INodeRegistry,
        clock: IReactorTime,
        slow_s: float,
        set_full: Callable[[bool], None],
        broke: Callable[[UploadFailed | NotEnoughSpace], None],
    ) -> None:
        self._intent = intent
        self._lanes = dict(lanes)
        self._opened = [lane.node for lane in lanes.values()]
        self._registry = registry
        self._clock = clock
        self._slow_s = slow_s
        self._report_full = set_full
        self._broke = broke
        self._failed: dict[str, StoragedError] = {}
        self._full: dict[int, float] = {}  # since when each full lane is full
        self._look: IDelayedCall | None = None
        self._finished: Deferred[None] | None = None
        self._unfinished: set[int] = set()
        self._over = False

    def __bool__(self) -> bool:
        """Whether there are lanes."""
        return bool(self._lanes)

    @property
    def _spare(self) -> int:
        """How many more lanes may fail."""
        return len(self._lanes) - self._intent.least

    def nodes(self) -> tuple[str, ...]:
        """Return the node of each part; "" for parts that have no lane, or whose lane was dropped."""
        width = self._intent.layout.width
        return tuple(self._lanes[index].node if index in self._lanes else "" for index in range(width))

    def watch(self) -> None:
        """Take note from now on of lanes that fail, or are full."""
        for index, lane in list(self._lanes.items()):
            lane.writer.registerProducer(_LaneSource(self._set_full, index), True)
            lane.writer.when_broken().addCallback(self._lane_broke, index)

    def write(self, index: int, piece: Piece) -> None:
        """Send a piece of a part's payload; do nothing if the part has no lane any more."""
        lane = self._lanes.get(index)
        if lane is not None:
            lane.write(piece)

    def _set_full(self, index: int, full: bool) -> None:
        if self._finished is not None:
            return
        if full and index in self._lanes:
            self._full.setdefault(index, self._clock.seconds())
        else:
            self._full.pop(index, None)
        self._full_changed()

    def _full_changed(self) -> None:
        if self._full and self._look is None and self._spare > 0 and not self._over:
            self._look = self._clock.callLater(self._slow_s, self._look_for_slow)
        elif not self._full:
            self._end_look()
        self._report_full(bool(self._full))

    def _end_look(self) -> None:
        look, self._look = self._look, None
        if look is not None and look.active():
            look.cancel()

    def _look_for_slow(self) -> None:
        """Drop the lanes that have been full for too long, unless so many are full that it is not their fault."""
        self._look = None
        now = self._clock.seconds()
        slow = [index for index, since in self._full.items() if now - since >= self._slow_s]
        if len(self._full) <= self._spare:
            for index in slow:
                self._drop_slow(index, "took nothing of it")
        if self._full and self._look is None and self._spare > 0:
            self._look = self._clock.callLater(min(self._slow_s, _LOOK_AGAIN_S), self._look_for_slow)

    def _drop_slow(self, index: int, what: str) -> None:
        part = f"part {self._intent.upload}.{index}"
        problem = NodeUnavailable(f"{part}: {what} for {self._slow_s:g} s, while the other nodes waited")
        self._registry.failed(self._lanes[index].node, problem.reason)
        self._drop(index, problem)

    def _lane_broke(self, problem: BaseException | None, index: int) -> None:
        if index not in self._lanes or self._over:
            return
        if not isinstance(problem, StoragedError):
            problem = NodeUnavailable(reason_of(problem))
        if self._spare > 0:
            self._drop(index, problem)
            return
        self._failed[self._lanes[index].node] = problem
        error = self._explain()
        if self._finished is None:
            self._broke(error)
        elif not self._finished.called:
            self._finished.errback(error)

    def _explain(self) -> UploadFailed | NotEnoughSpace:
        full = all(isinstance(problem, NoSpace) for problem in self._failed.values())
        return (NotEnoughSpace if full else UploadFailed)(name_failed(self._failed))

    def _drop(self, index: int, problem: StoragedError) -> None:
        """Go on without a lane.  What it has stored is deleted after the end of the upload."""
        lane = self._lanes.pop(index)
        self._failed[lane.node] = problem
        self._log.warn(
            "upload {upload} of {path} goes on without part {index}: {problem}",
            upload=self._intent.upload,
            path=self._intent.path,
            index=index,
            problem=problem.on(lane.node),
        )
        lane.writer.abort()
        self._full.pop(index, None)
        self._full_changed()
        self._unfinished.discard(index)
        self._look_whether_finished()

    def finish(self) -> Deferred[None]:
        """End all parts.

        :return: a Deferred that fires with None when enough parts are durable, and no other part can be expected to be
            so soon.  Cancelling it ends the wait; `abort` the lanes then.
        :raise UploadFailed: too many lanes have failed.
        :raise NotEnoughSpace: they have failed because their nodes are full.
        """
        finished = self._finished = Deferred()
        self._end_look()
        self._full.clear()
        self._unfinished = set(self._lanes)
        for index, lane in list(self._lanes.items()):
            lane.finish().addCallbacks(self._stored, self._not_stored, callbackArgs=(index,), errbackArgs=(index,))
        self._look_whether_finished()
        return finished

    def _stored(self, _: Any, index: int) -> None:
        self._unfinished.discard(index)
        self._look_whether_finished()

    def _not_stored(self, failure: Failure, index: int) -> None:
        self._lane_broke(failure.value, index)

    def _look_whether_finished(self) -> None:
        if self._finished is None or self._finished.called or self._over:
            return
        if not self._unfinished:
            self._end_look()
            self._finished.callback(None)
        elif len(self._unfinished) <= self._spare and self._look is None:
            self._look = self._clock.callLater(self._slow_s, self._drop_unfinished)

    def _drop_unfinished(self) -> None:
        self._look = None
        for index in list(self._unfinished):
            self._drop_slow(index, "stored nothing of it")

    def abort(self) -> Deferred[Any]:
        """End all lanes, and store nothing.

        :return: a Deferred that fires when all connections have ended.  It does not fail.
        """
        self._over = True
        self._end_look()
        return DeferredList([lane.writer.abort() for lane in self._lanes.values()], consumeErrors=True)

    def release(self) -> None:
        """Release the room that was reserved on all nodes because the size is unknown."""
        self._over = True
        self._end_look()
        for node in self._opened:
            self._intent.release(self._registry, node)
