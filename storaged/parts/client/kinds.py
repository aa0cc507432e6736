"""The kinds of requests of a link, and how they gather for messages."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from storaged.parts import messages
from storaged.parts.errors import BadRequest
from storaged.parts.format import SMALL_PART, is_part_id
from storaged.system.tracing import present_requests

_AT_ONCE = 1
"""Messages of one kind that are pending at the same time; requests that come meanwhile gather for the next one."""

_FULL_AT_ONCE = 3
"""The same for messages that can take no more: they would gain nothing by waiting.  Answers to as many leave a node
below what it lets pend (`ServedLink.MOST_BYTES`).
"""


@attrs.define
class Item:
    """The request of one caller: `what` holds (part id, bytes) of parts to store, otherwise part ids."""

    what: Sequence[Any]
    size: int
    answer: Deferred[list[Any]]
    requests: str = attrs.field(factory=present_requests)
    repeated: bool = False


@attrs.define
class Kind:
    """One of the three kinds of requests.

    :param message: makes a message from its number, a list of parts or ids, and the ids of clients' requests.
    :param limit: how much goes into one message, as `size` measures it; an item is not divided.
    :param size: returns the size of one part or id.
    :param total: returns the size of several; None if `fault` is to be asked about each.
    :param fault: returns an error if one part or id must not be sent, otherwise None.
    :param fits: returns whether a part or id can have a result, for `messages.read_results`.
    :param harmless: whether a request may be repeated if no answer came.
    :param gathers: whether a request waits for others of the same turn of the reactor, to share a message with them.
    :ivar waiting: the requests of the next messages, and how much they are together.
    :ivar under_way: how many messages are pending.
    """

    message: Callable[[int, list[Any], str], messages.Request]
    limit: int
    size: Callable[[Any], int]
    total: Callable[[Sequence[Any]], int | None]
    fault: Callable[[Any], BadRequest | None]
    fits: Callable[[Any, messages.Result], bool]
    harmless: bool
    gathers: bool
    waiting: deque[Item] = attrs.Factory(deque)
    waiting_size: int = 0
    under_way: int = 0

    def wait(self, item: Item, *, first: bool = False) -> None:
        """Let a request wait for the next message, behind the others or before them."""
        (self.waiting.appendleft if first else self.waiting.append)(item)
        self.waiting_size += item.size

    def take_all(self) -> list[Item]:
        """Take all items."""
        items = list(self.waiting)
        self.waiting.clear()
        self.waiting_size = 0
        return items

    def may_send(self) -> bool:
        """Return whether the next message may be sent now."""
        if self.under_way < _AT_ONCE:
            return bool(self.waiting)
        return self.under_way < _FULL_AT_ONCE and self.waiting_size >= self.limit

    def take(self) -> list[Item]:
        """Take the items of the next message."""
        items: list[Item] = []
        size = 0
        while self.waiting and size < self.limit and (not items or size + self.waiting[0].size <= self.limit):
            item = self.waiting.popleft()
            self.waiting_size -= item.size
            if not item.answer.called:  # it is not cancelled
                items.append(item)
                size += item.size
        return items


def kinds_of(epoch: Callable[[], int]) -> tuple[Kind, Kind, Kind]:
    """Return the kinds of requests that store, read and delete parts.

    :param epoch: returns the epoch of the front; 0 if it has none.
    """
    by_ids = partial(Kind, size=_one, total=_total_of_ids, fault=_fault_of_id, harmless=True, gathers=True)
    puts = Kind(
        lambda number, parts, requests: messages.Put(number, parts, epoch(), requests),
        messages.MAX_PUT,
        fits=messages.fits_put,
        size=_size_of_part,
        total=_total_of_parts,
        fault=_fault_of_part,
        harmless=False,
        gathers=False,  # who has many small files stores them together
    )
    gets = by_ids(messages.Get, messages.MAX_GET, fits=messages.fits_get)
    removes = by_ids(
        lambda number, ids, requests: messages.Remove(number, ids, epoch(), requests),
        messages.MAX_REMOVE,
        fits=messages.fits_remove,
    )
    return puts, gets, removes


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
