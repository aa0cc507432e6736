"""The front's side of a link: what is asked of one node at about the same time travels in one message."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.protocols.basic import Int32StringReceiver
from twisted.python.failure import Failure

from storaged import batches
from storaged.client.answers import reason_of
from storaged.client.patience import Patience
from storaged.errors import NodeUnavailable, StoragedError
from storaged.streaming import write_eagerly

_AT_ONCE = 1
"""Requests of one kind under way: while the node works on one, the next one travels; the others gather."""


@attrs.define
class _Item:
    """Something asked for: of a part to store its id and bytes, otherwise a part's id."""

    what: Any
    size: int
    answer: Deferred[Any]
    repeated: bool = False


@attrs.define
class _Kind:
    """One of the three things that can be asked for.

    :param message: makes the request, of its number and a list of what each item asks.
    :param limit: how much goes into one request, in the items' sizes.
    :param harmless: whether it may be asked again where no answer came.
    """

    message: Callable[[int, list[Any]], batches.Request]
    limit: int
    harmless: bool
    waiting: deque[_Item] = attrs.Factory(deque)
    under_way: int = 0

    def take(self) -> list[_Item]:
        """The items of the next request."""
        items: list[_Item] = []
        size = 0
        while self.waiting and size < self.limit:
            item = self.waiting.popleft()
            if not item.answer.called:  # who asked has not given up
                items.append(item)
                size += item.size
        return items


class Link:
    """What is put into, got from and removed from one node.

    It connects when something is asked, and again after the connection was lost.

    :param node_id: for the messages of errors.
    :param connect: connects a protocol to the node, and fails with a `StoragedError`.
    :param clock: calls later.
    :param patience_s: how long the node may leave everything unanswered.
    """

    def __init__(
        self, node_id: str, connect: Callable[[LinkClient], Deferred[Any]], clock: IReactorTime, patience_s: float
    ) -> None:
        self._node_id = node_id
        self._connect = connect
        self._clock = clock
        self._puts = _Kind(batches.Put, batches.MAX_PUT, harmless=False)
        self._gets = _Kind(batches.Get, batches.MAX_GET, harmless=True)
        self._removes = _Kind(batches.Remove, batches.MAX_REMOVE, harmless=True)
        self._kinds = (self._puts, self._gets, self._removes)
        self._asked: dict[int, tuple[_Kind, list[_Item]]] = {}
        self._number = 0
        self._client: LinkClient | None = None
        self._connecting = False
        self._flushing = False
        self._patience = Patience(clock, patience_s, self._give_up)

    def put(self, part_id: str, data: bytes) -> Deferred[tuple[int, int] | StoragedError]:
        """Store a part: a Deferred of the bytes stored and the time, in milliseconds since 1970; or of an error."""
        return self._ask(self._puts, (part_id, data), len(data))

    def get(self, part_id: str) -> Deferred[bytes | StoragedError]:
        """Read a part."""
        return self._ask(self._gets, part_id, 1)

    def remove(self, part_id: str) -> Deferred[bool | StoragedError]:
        """Delete a part; whether there was one."""
        return self._ask(self._removes, part_id, 1)

    def _ask(self, kind: _Kind, what: Any, size: int) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        kind.waiting.append(_Item(what, size, answer))
        if not self._flushing and kind.under_way < _AT_ONCE:
            # Not at once: what others ask in this turn of the reactor goes into the same message.
            self._flushing = True
            self._clock.callLater(0, self._flush)
        return answer

    def _flush(self) -> None:
        self._flushing = False
        if self._client is None:
            self._connect_if_asked()
            return
        for kind in self._kinds:
            while kind.waiting and kind.under_way < _AT_ONCE:
                self._send(self._client, kind)

    def _send(self, client: LinkClient, kind: _Kind) -> None:
        items = kind.take()
        if not items:
            return
        if not self._asked:
            self._patience.begin()
        self._number += 1
        self._asked[self._number] = kind, items
        kind.under_way += 1
        client.send(batches.encode(kind.message(self._number, [item.what for item in items])))

    def _connect_if_asked(self) -> None:
        if not self._connecting and any(kind.waiting for kind in self._kinds):
            self._connecting = True
            self._connect(LinkClient(self)).addErrback(self._not_connected)

    def connected(self, client: LinkClient) -> None:
        """Learn that the link is up."""
        self._connecting = False
        self._client = client
        self._flush()

    def _not_connected(self, failure: Failure) -> None:
        self._connecting = False
        problem = failure.value
        if not isinstance(problem, StoragedError):
            problem = NodeUnavailable(f"node {self._node_id}: {reason_of(problem)}")
        items = [item for kind in self._kinds for item in kind.waiting]
        for kind in self._kinds:
            kind.waiting.clear()
        _fail(items, problem)

    def answered(self, data: bytes) -> None:
        """Take an answer.

        :raise NodeUnavailable: it is not one.
        """
        answer = batches.decode_answer(data)
        kind, items = self._asked.get(answer.number, (None, []))
        if kind is None or len(items) != len(answer.results):
            raise NodeUnavailable(f"answered {len(answer.results)} results to request {answer.number}")
        del self._asked[answer.number]
        kind.under_way -= 1
        if self._asked:
            self._patience.begin()
        else:
            self._patience.end()
        if kind.waiting:
            self._flush()
        for index, (item, result) in enumerate(zip(items, answer.results, strict=True)):
            if item.answer.called:
                continue
            if index in answer.problems:
                item.answer.callback(batches.decode_problem(answer.problems[index]))
            else:
                item.answer.callback(result)

    def _give_up(self) -> None:
        if self._client is not None:
            self._client.problem = NodeUnavailable(f"node {self._node_id}: no answer in {self._patience.seconds:g} s")
            self._client.cut()

    def disconnected(self, problem: StoragedError | None, reason: Failure) -> None:
        """Learn that the link is down: what has no answer fails, or is asked once more where that does no harm.

        :param problem: why it was cut from this side.
        """
        self._client = None
        self._patience.end()
        asked, self._asked = self._asked, {}
        lost: list[_Item] = []
        for kind, items in asked.values():
            kind.under_way = 0
            for item in items:
                if problem is None and kind.harmless and not item.repeated:
                    # The node may only have been started anew since it was last asked.
                    item.repeated = True
                    kind.waiting.appendleft(item)
                else:
                    lost.append(item)
        self._connect_if_asked()
        _fail(lost, problem or NodeUnavailable(f"node {self._node_id}: the link broke: {reason_of(reason.value)}"))


def _fail(items: Sequence[_Item], problem: StoragedError) -> None:
    for item in items:
        if not item.answer.called:
            item.answer.callback(problem)


class LinkClient(Int32StringReceiver):
    """The connection of a link."""

    MAX_LENGTH = batches.MAX_MESSAGE
    transport: Any

    def __init__(self, link: Link) -> None:
        self._link = link
        self.problem: StoragedError | None = None

    def connectionMade(self) -> None:
        """Begin: the node has agreed."""
        self._link.connected(self)

    def send(self, message: bytes) -> None:
        """Send a request."""
        write_eagerly(self.transport, [len(message).to_bytes(4, "big"), message])

    def stringReceived(self, string: bytes) -> None:
        """Take an answer."""
        try:
            self._link.answered(string)
        except NodeUnavailable as problem:
            self.problem = problem
            self.cut()

    def lengthLimitExceeded(self, length: int) -> None:
        """Take the end: no answer is that long."""
        self.problem = NodeUnavailable(f"answered {length} bytes, more than any message of a link has")
        self.cut()

    def cut(self) -> None:
        """End the connection."""
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """Take the end."""
        self._link.disconnected(self.problem, reason)
