"""Reads the HTTP answers of a node."""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from storaged.http import ResponseDone, reason_of
from storaged.parts import wire
from storaged.parts.errors import NodeUnavailable, NotAsked, StoragedError
from storaged.parts.values import PartInfo
from storaged.system.descriptors import Shortage

_ANSWER_LIMIT = 4 * 1024 * 1024
_NUMBER = re.compile(r"[0-9]{1,18}")


def failure_of(problem: BaseException | None, part_id: str = "") -> StoragedError:
    """Return the error of a request that got no answer: `NotAsked` if this process lacks descriptors or memory.

    :param part_id: the part that was in transfer; empty if the request is about no part.
    """
    if isinstance(problem, StoragedError):
        return problem
    if isinstance(problem, Shortage):
        return NotAsked(f"{problem}, so the node was not asked")
    reason = reason_of(problem)
    return NodeUnavailable(f"part {part_id}: {reason}" if part_id else reason)


def error_of(response: Any) -> StoragedError:
    """Return the error that an answer reports."""
    return wire.parse_error(response.code, (response.headers.getRawHeaders(wire.ERROR_HEADER) or [None])[0])


def part_info(part_id: str, response: Any) -> PartInfo:
    """Read the size and the time of a part from an answer's headers.

    :raise NodeUnavailable: one of the two headers is missing, or is not a number.
    """
    stored_size, modified_ms = (
        _number((response.headers.getRawHeaders(name) or [""])[0])
        for name in (wire.STORED_HEADER, wire.MODIFIED_HEADER)
    )
    if stored_size is None or modified_ms is None:
        raise NodeUnavailable(f"part {part_id}: answered {response.code} without its size and time")
    return PartInfo(part_id, stored_size, modified_ms)


def _number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None


class _AnswerReader(Protocol):
    transport: Any

    def __init__(self) -> None:
        self.done: Deferred[bytes] = Deferred(lambda _: self.transport.loseConnection())
        self._pieces: list[bytes] = []
        self._size = 0

    def dataReceived(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= _ANSWER_LIMIT:
            self._pieces.append(data)
        else:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = ResponseDone) -> None:  # type: ignore[assignment]
        if self.done.called:  # cancelled
            return
        if self._size > _ANSWER_LIMIT:
            self.done.errback(NodeUnavailable(f"answered more than {_ANSWER_LIMIT} bytes"))
        elif reason.check(ResponseDone):
            self.done.callback(b"".join(self._pieces))
        else:
            self.done.errback(NodeUnavailable(reason_of(reason.value)))


def read_all(response: Any) -> Deferred[bytes]:
    """Read the body of an answer, which gives the connection back to the pool.

    :return: a Deferred that fires with the body.  Cancelling it ends the connection.
    :raise NodeUnavailable: the connection broke before the end of the body, or the body has more than 4 MiB.
    """
    reader = _AnswerReader()
    response.deliverBody(reader)
    return reader.done


def cancellable(request: Deferred[Any]) -> Deferred[Any]:
    """Make a request fail with `CancelledError` when it is cancelled.

    The Agent itself would report that the name was not found, or no answer received, as if it was the node's fault.
    """

    def cancel(answer: Deferred[Any]) -> None:
        answer.errback(CancelledError())
        request.cancel()

    def report(result: Any) -> None:
        if not answer.called:
            answer.callback(result)

    answer: Deferred[Any] = Deferred(cancel)
    request.addBoth(report)
    return answer
