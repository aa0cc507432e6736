"""The front's side of a link: requests to one node at about the same time travel in one message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from storaged.http import why_unanswered, write_eagerly
from storaged.parts import messages
from storaged.parts.client.answers import failure_of
from storaged.parts.client.kinds import Item, Kind, kinds_of
from storaged.parts.client.patience import Patience, Wait
from storaged.parts.errors import NodeUnavailable, StoragedError
from storaged.parts.frames import FrameReceiver, frame
from storaged.parts.values import PartInfo
from storaged.system.tracing import join_requests


class Link:
    """Stores, reads and removes small parts on one node.

    It connects at the first request, and again at the next one after the connection was lost.

    :param connect: connects a protocol to the node; may fail with a `StoragedError`.
    :param clock: schedules calls.
    :param patience: limits how long the node may answer no request at all.
    :param epoch: returns the epoch of the front; 0 if it has none.
    :param node_id: the id of the node, which all errors name; empty for none.
    """

    def __init__(
        self,
        connect: Callable[[LinkClient], Deferred[Any]],
        clock: IReactorTime,
        patience: Patience,
        epoch: Callable[[], int] = int,
        node_id: str = "",
    ) -> None:
        self._connect = connect
        self._node_id = node_id
        self._clock = clock
        self._kinds = self._puts, self._gets, self._removes = kinds_of(epoch)
        self._asked: dict[int, tuple[Kind, list[Item]]] = {}
        self._number = 0
        self._client: LinkClient | None = None
        self._connecting = False
        self._flushing = False
        self._retired = False
        self._wait = Wait(patience, self._expired)

    def put_all(self, parts: Sequence[tuple[str, bytes]]) -> Deferred[list[PartInfo | StoragedError]]:
        """Store parts; see `ISmallPartStore.put_all`."""
        stored: Deferred[list[tuple[int, int] | StoragedError]] = self._ask(self._puts, parts)
        return stored.addCallback(_infos, parts)

    def get_all(self, part_ids: Sequence[str]) -> Deferred[list[bytes | StoragedError]]:
        """Read parts; see `ISmallPartStore.get_all`."""
        return self._ask(self._gets, part_ids)

    def remove_all(self, part_ids: Sequence[str]) -> Deferred[list[bool | StoragedError]]:
        """Delete parts; see `ISmallPartStore.remove_all`."""
        return self._ask(self._removes, part_ids)

    def retire(self) -> None:
        """Close the connection as soon as no request is pending; a later request opens a new one."""
        self._retired = True
        self._end_where_idle()

    def _end_where_idle(self) -> None:
        idle = not self._asked and not any(kind.waiting for kind in self._kinds)
        if self._retired and idle and self._client is not None:
            self._client.cut()

    def _ask(self, kind: Kind, what: Sequence[Any]) -> Deferred[list[Any]]:
        total = kind.total(what)
        if total is not None and total <= kind.limit:  # as nearly always
            return self._queue(kind, what, total)
        faults = [kind.fault(each) for each in what]
        each_alone = [
            self._queue(kind, [each], kind.size(each)) if fault is None else succeed([fault.on(self._node_id)])
            for each, fault in zip(what, faults, strict=True)
        ]
        return gatherResults(each_alone).addCallback(lambda outcomes: [outcome for [outcome] in outcomes])

    def _queue(self, kind: Kind, what: Sequence[Any], size: int) -> Deferred[list[Any]]:
        answer: Deferred[list[Any]] = Deferred()
        kind.wait(Item(what, size, answer))
        if not self._flushing and kind.may_send():
            if kind.gathers or self._client is None:
                self._flushing = True
                self._clock.callLater(0, self._flush)
            else:
                self._flush()
        return answer

    def _flush(self) -> None:
        self._flushing = False
        if self._client is None:
            self._connect_if_asked()
            return
        if self._client.is_cut:  # what waits goes to the next connection, when this one has ended
            return
        for kind in self._kinds:
            while kind.may_send():
                self._send(self._client, kind)

    def _send(self, client: LinkClient, kind: Kind) -> None:
        items = kind.take()
        if not items:
            return
        if not self._asked:
            self._wait.begin()
        self._number += 1
        self._asked[self._number] = kind, items
        kind.under_way += 1
        what = [each for item in items for each in item.what]
        client.send(messages.encode(kind.message(self._number, what, join_requests(item.requests for item in items))))

    def _connect_if_asked(self) -> None:
        if not self._connecting and any(kind.waiting for kind in self._kinds):
            self._connecting = True
            self._connect(LinkClient(self)).addErrback(self._not_connected)

    def connected(self, client: LinkClient) -> None:
        """Send the waiting requests: the link is established."""
        self._connecting = False
        self._client = client
        self._flush()

    def _not_connected(self, failure: Failure) -> None:
        self._connecting = False
        problem = failure_of(failure.value)
        items = [item for kind in self._kinds for item in kind.take_all()]
        _fail(items, problem.on(self._node_id))

    def answered(self, data: bytes) -> None:
        """Handle an answer.

        :raise NodeUnavailable: the bytes are not a valid answer to a pending request.  All requests are still pending
            then, and fail when the connection is cut.
        """
        answer = messages.decode_answer(data)
        kind, items = self._asked.get(answer.number, (None, []))
        if kind is None:
            raise NodeUnavailable(f"answered request {answer.number}, which is not pending")
        results = messages.read_results(answer, [each for item in items for each in item.what], kind.fits)
        if answer.problems:
            for outcome in results:
                if isinstance(outcome, StoragedError):
                    outcome.on(self._node_id)
        del self._asked[answer.number]
        kind.under_way -= 1
        if self._asked:
            self._wait.begin()
        else:
            self._wait.end()
        if kind.waiting:
            self._flush()
        start = 0
        for item in items:
            stop = start + len(item.what)
            if not item.answer.called:
                item.answer.callback(results[start:stop])
            start = stop
        self._end_where_idle()

    def _expired(self, problem: NodeUnavailable | None) -> None:
        if self._client is not None:
            self._client.problem = problem or NodeUnavailable(f"no answer in {self._wait.seconds:g} s")
            self._client.cut()

    def disconnected(self, problem: StoragedError | None, reason: Failure) -> None:
        """Handle the end of the connection: pending requests fail, or are repeated once if that does no harm.

        :param problem: the reason, if this side cut the connection.
        :param reason: the reason that the transport gives.
        """
        self._client = None
        self._wait.end()
        asked, self._asked = self._asked, {}
        lost: list[Item] = []
        for kind, items in asked.values():
            kind.under_way = 0
            for item in items:
                if problem is None and kind.harmless and not item.repeated:
                    # The node may simply have been restarted since the last request.
                    item.repeated = True
                    kind.wait(item, first=True)
                else:
                    lost.append(item)
        self._connect_if_asked()
        problem = problem or NodeUnavailable(why_unanswered(reason.value))
        _fail(lost, problem.on(self._node_id))


def _infos(
    stored: list[tuple[int, int] | StoragedError], parts: Sequence[tuple[str, bytes]]
) -> list[PartInfo | StoragedError]:
    return [
        outcome if isinstance(outcome, StoragedError) else PartInfo(part_id, *outcome)
        for (part_id, _), outcome in zip(parts, stored, strict=True)
    ]


def _fail(items: Sequence[Item], problem: StoragedError) -> None:
    for item in items:
        if not item.answer.called:
            item.answer.callback([problem] * len(item.what))


class LinkClient(FrameReceiver):
    """The connection of a link.

    :ivar is_cut: whether it was cut; its end is reported in a later turn of the reactor.
    """

    MAX_LENGTH = messages.MAX_MESSAGE
    transport: Any

    def __init__(self, link: Link) -> None:
        self._link = link
        self.is_cut = False
        self.problem: StoragedError | None = None

    def connectionMade(self) -> None:
        """Report that the link is established: the node has agreed."""
        self._link.connected(self)

    def send(self, message: bytes) -> None:
        """Send a request."""
        write_eagerly(self.transport, frame(message))

    def stringReceived(self, string: bytes) -> None:
        """Handle an answer.  After an invalid one, the connection is cut, and no more are read."""
        if self.problem is not None:
            return
        try:
            self._link.answered(string)
        except NodeUnavailable as problem:
            self.problem = problem
            self.cut()

    def lengthLimitExceeded(self, length: int) -> None:
        """Cut the connection: no answer may be that long."""
        self.problem = NodeUnavailable(f"answered {length} bytes, more than any message of a link has")
        self.cut()

    def cut(self) -> None:
        """Cut the connection."""
        self.is_cut = True
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """Report the end of the connection."""
        self._link.disconnected(self.problem, reason)
