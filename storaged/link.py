"""The node's side of a link: small parts come and go, many in one message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.protocols.basic import Int32StringReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from storaged.http import IDrainingProtocol, write_eagerly
from storaged.parts import messages
from storaged.parts.errors import BadRequest, NodeUnavailable, StoragedError
from storaged.parts.interfaces import INodeStore
from storaged.parts.values import PartInfo

_AT_ONCE = 16
"""Requests under way before the front is made to wait."""


@implementer(IDrainingProtocol)
class LinkServer(Int32StringReceiver):
    """Answers the requests of one link, each when all that it asks for is done.

    :param store: where the parts lie.
    """

    MAX_LENGTH = messages.MAX_MESSAGE
    transport: Any
    _log = Logger()

    def __init__(self, store: INodeStore) -> None:
        self._store = store
        self._under_way = 0
        self._draining = False
        self._cut = False

    def stringReceived(self, string: bytes) -> None:
        """Take a request; those behind one that is wrong are not read."""
        if self._cut:
            return
        try:
            request = messages.decode_request(string)
        except BadRequest as problem:
            self._cut_off(str(problem))
            return
        self._under_way += 1
        if self._under_way == _AT_ONCE:
            self.transport.pauseProducing()
        self._begin(request)

    def lengthLimitExceeded(self, length: int) -> None:
        """Take the end: no message is that long."""
        self._cut_off(f"a message of {length} bytes")

    def _cut_off(self, reason: str) -> None:
        self._log.error("a link is cut: {reason}", reason=reason)
        self._cut = True
        self.transport.abortConnection()

    def drain(self) -> None:
        """Take no more requests; see `IDrainingProtocol`."""
        self._draining = True
        self.transport.pauseProducing()
        self._end_where_drained()

    def _end_where_drained(self) -> None:
        if self._draining and not self._under_way and self.connected:
            self.transport.loseConnection()

    def _begin(self, request: messages.Request) -> None:
        work: Deferred[Any] = maybeDeferred(self._ask, request)
        work.addErrback(self._fault, len(request.parts))
        work.addCallback(self._answer, request.number)
        work.addErrback(self._not_answered)

    def _ask(self, request: messages.Request) -> Deferred[Any]:
        if isinstance(request, messages.Put):
            return self._store.put_all(request.parts)
        if isinstance(request, messages.Get):
            return self._store.get_all(request.parts)
        return self._store.remove_all(request.parts)

    def _fault(self, failure: Failure, count: int) -> list[StoragedError]:
        problem = failure.value
        if not isinstance(problem, StoragedError):
            self._log.failure("a request of a link", failure)
            problem = NodeUnavailable(f"{type(problem).__name__}: {problem}")
        return [problem] * count

    def _not_answered(self, failure: Failure) -> None:
        self._log.failure("an answer of a link", failure)
        if self.connected:
            self._cut_off(f"an answer could not be sent: {failure.getErrorMessage()}")

    def _answer(self, outcomes: Sequence[PartInfo | bytes | bool | StoragedError], number: int) -> None:
        if self._under_way == _AT_ONCE and self.connected and not self._draining:
            self.transport.resumeProducing()
        self._under_way -= 1
        if self.connected and not self._cut:
            message = messages.encode(_tell(number, outcomes))
            if len(message) > messages.MAX_MESSAGE:
                raise ValueError(f"an answer of {len(message)} bytes")
            write_eagerly(self.transport, [len(message).to_bytes(4, "big"), message])
        self._end_where_drained()


def _tell(number: int, outcomes: Sequence[PartInfo | bytes | bool | StoragedError]) -> messages.Answer:
    results: list[messages.Result] = []
    problems = {}
    for index, outcome in enumerate(outcomes):
        if isinstance(outcome, PartInfo):
            results.append((outcome.stored, outcome.modified_ms))
        elif isinstance(outcome, StoragedError):
            results.append(None)
            problems[index] = messages.encode_problem(outcome)
        else:
            results.append(outcome)
    return messages.Answer(number, results, problems)
