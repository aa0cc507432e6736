"""The front's side of a link: requests to one node at about the same time travel in one message."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from storaged.http import why_unanswered, write_eagerly
from storaged.parts import messages
from storaged.parts.client.answers import failure_of
from storaged.parts.client.patience import Patience, Wait
from storaged.parts.errors import BadRequest, NodeUnavailable, StoragedError
from storaged.parts.format import SMALL_PART, is_part_id
from storaged.parts.frames import FrameReceiver, frame
from storaged.parts.values import PartInfo
from storaged.system.tracing import join_requests, present_requests

_AT_ONCE = 1
"""Messages of one kind that are pending at the same time; requests that come meanwhile gather for the next one."""


@attrs.define
class _Item:
    """The request of one caller: `what` holds (part id, bytes) of parts to store, otherwise part ids."""

    what: Sequence[Any]
    size: int
    answer: Deferred[list[Any]]
    requests: str = attrs.field(factory=present_requests)
    repeated: bool = False


@attrs.define
class _Kind:
    """One of the three kinds of requests.

    :param message: makes a message from its number, a list of parts or ids, and the ids of clients' requests.
    :param limit: how much goes into one message, as `size` measures it; an item is not divided.
    :param size: returns the size of one part or id.
    :param total: returns the size of several; None if `fault` is to be asked about each.
    :param fault: returns an error if one part or id must not be sent, otherwise None.
    :param fits: returns whether a part or id can have a result, for `messages.read_results`.
    :param harmless: whether a request may be repeated if no answer came.
    :param gathers: whether a request waits for others of the same turn of the reactor, to share a message with them.
    """

    message: Callable[[int, list[Any], str], messages.Request]
    limit: int
    size: Callable[[Any], int]
    total: Callable[[Sequence[Any]], int | None]
    fault: Callable[[Any], BadRequest | None]
    fits: Callable[[Any, messages.Result], bool]
    harmless: bool
    gathers: bool
    waiting: deque[_Item] = attrs.Factory(deque)
    under_way: int = 0

    def take(self) -> list[_Item]:
        """Take the items of the next message."""
        items: list[_Item] = []
        size = 0
        while self.waiting and size < self.limit and (not items or size + self.waiting[0].size <= self.limit):
            item = self.waiting.popleft()
            if not item.answer.called:  # it is not cancelled
                items.append(item)
                size += item.size
        return items


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
        self._puts = _Kind(
            lambda number, parts, requests: messages.Put(number, parts, epoch(), requests),
            messages.MAX_PUT,
            _size_of_part,
            _total_of_parts,
            _fault_of_part,
            messages.fits_put,
            harmless=False,
            gathers=False,  # who has many small files stores them together
        )
        self._gets = _Kind(
            messages.Get,
            messages.MAX_GET,
            _one,
            _total_of_ids,
            _fault_of_id,
            messages.fits_get,
            harmless=True,
            gathers=True,
        )
        self._removes = _Kind(
            lambda number, parts, requests: messages.Remove(number, parts, epoch(), requests),
            messages.MAX_REMOVE,
            _one,
            _total_of_ids,
            _fault_of_id,
            messages.fits_remove,
            harmless=True,
            gathers=True,
        )
        self._kinds = (self._puts, self._gets, self._removes)
        self._asked: dict[int, tuple[_Kind, list[_Item]]] = {}
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

    def _ask(self, kind: _Kind, what: Sequence[Any]) -> Deferred[list[Any]]:
        total = kind.total(what)
        if total is not None and total <= kind.limit:  # as nearly always
            return self._queue(kind, what, total)
        faults = [kind.fault(each) for each in what]
        each_alone = [
            self._queue(kind, [each], kind.size(each)) if fault is None else succeed([fault.on(self._node_id)])
            for each, fault in zip(what, faults, strict=True)
        ]
        return gatherResults(each_alone).addCallback(lambda outcomes: [outcome for [outcome] in outcomes])

    def _queue(self, kind: _Kind, what: Sequence[Any], size: int) -> Deferred[list[Any]]:
        answer: Deferred[list[Any]] = Deferred()
        kind.waiting.append(_Item(what, size, answer))
        if not self._flushing and kind.under_way < _AT_ONCE:
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
            while kind.waiting and kind.under_way < _AT_ONCE:
                self._send(self._client, kind)

    def _send(self, client: LinkClient, kind: _Kind) -> None:
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
        items = [item for kind in self._kinds for item in kind.waiting]
        for kind in self._kinds:
            kind.waiting.clear()
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
        lost: list[_Item] = []
        for kind, items in asked.values():
            kind.under_way = 0
            for item in items:
                if problem is None and kind.harmless and not item.repeated:
                    # The node may simply have been restarted since the last request.
                    item.repeated = True
                    kind.waiting.appendleft(item)
                else:
                    lost.append(item)
        self._connect_if_asked()
        problem = problem or NodeUnavailable(why_unanswered(reason.value))
        _fail(lost, problem.on(self._node_id))


def _one(_: str) -> int:
    return 1


def _size_of_part(part: tuple[str, bytes]) -> int:
    return len(part[1])


def _total_of_ids(part_ids: Sequence[str]) -> int | None:
    return len(part_ids) if all(map(is_part_id, part_ids)) else None


def _total_of_parts(parts: Sequence[tuple[str, bytes]]) -> int | None:
    total = 0
    for part_id, data in parts:
        if len(data) > SMALL_PART or not is_part_id(part_id):
            return None
        total += len(data)
    return total


def _fault_of_id(part_id: str) -> BadRequest | None:
    return None if is_part_id(part_id) else BadRequest(f"not a part id: {part_id!r}")


def _fault_of_part(part: tuple[str, bytes]) -> BadRequest | None:
    part_id, data = part
    if len(data) <= SMALL_PART and is_part_id(part_id):
        return None
    if len(data) > SMALL_PART:
        return BadRequest(f"part {part_id!r}: {len(data)} bytes, a small part has at most {SMALL_PART}")
    return _fault_of_id(part_id)


def _infos(
    stored: list[tuple[int, int] | StoragedError], parts: Sequence[tuple[str, bytes]]
) -> list[PartInfo | StoragedError]:
    return [
        outcome if isinstance(outcome, StoragedError) else PartInfo(part_id, *outcome)
        for (part_id, _), outcome in zip(parts, stored, strict=True)
    ]


def _fail(items: Sequence[_Item], problem: StoragedError) -> None:
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
