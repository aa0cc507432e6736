"""The node's side of a link: small parts come and go, many in one message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.protocols.basic import Int32StringReceiver
from twisted.python.failure import Failure

from storaged import batches
from storaged.errors import BadRequest, NodeUnavailable, StoragedError
from storaged.interfaces import INodeStore, PartInfo

_AT_ONCE = 16
"""Requests under way before the front is made to wait."""


class LinkServer(Int32StringReceiver):
    """Answers the requests of one link, each when all that it asks for is done.

    :param store: where the parts lie.
    """

    MAX_LENGTH = batches.MAX_MESSAGE
    transport: Any
    _log = Logger()

    def __init__(self, store: INodeStore) -> None:
        self._store = store
        self._under_way = 0

    def stringReceived(self, string: bytes) -> None:
        """Take a request."""
        try:
            request = batches.decode_request(string)
        except BadRequest as problem:
            self._log.error("a link is cut: {problem}", problem=str(problem))
            self.transport.abortConnection()
            return
        self._under_way += 1
        if self._under_way == _AT_ONCE:
            self.transport.pauseProducing()
        self._begin(request)

    def lengthLimitExceeded(self, length: int) -> None:
        """Take the end: no message is that long."""
        self._log.error("a link is cut: a message of {length} bytes", length=length)
        self.transport.abortConnection()

    def _begin(self, request: batches.Request) -> None:
        work: Sequence[Deferred[Any]]
        if isinstance(request, batches.Put):
            put = self._store.put
            work = [put(part_id, data) for part_id, data in request.parts]
        elif isinstance(request, batches.Get):
            work = list(map(self._store.get, request.parts))
        else:
            work = list(map(self._store.remove, request.parts))
        _Results(self, request.number, work)

    def answer(self, answer: batches.Answer) -> None:
        """Send an answer."""
        if self._under_way == _AT_ONCE and self.connected:
            self.transport.resumeProducing()
        self._under_way -= 1
        if self.connected:
            self.sendString(batches.encode(answer))


class _Results:
    """Waits for the results of one request."""

    _log = Logger()

    def __init__(self, server: LinkServer, number: int, work: Sequence[Deferred[Any]]) -> None:
        self._server = server
        self._answer = batches.Answer(number, [None] * len(work), {})
        self._missing = len(work)
        for index, deferred in enumerate(work):
            deferred.addCallbacks(self._good, self._bad, callbackArgs=(index,), errbackArgs=(index,))
        if not work:
            server.answer(self._answer)

    def _good(self, result: PartInfo | bytes | bool, index: int) -> None:
        if isinstance(result, PartInfo):
            self._answer.results[index] = result.stored, result.modified_ms
        else:
            self._answer.results[index] = result
        self._count()

    def _bad(self, failure: Failure, index: int) -> None:
        problem = failure.value
        if not isinstance(problem, StoragedError):
            self._log.failure("a part of a link's request", failure)
            problem = NodeUnavailable(f"{type(problem).__name__}: {problem}")
        self._answer.problems[index] = batches.encode_problem(problem)
        self._count()

    def _count(self) -> None:
        self._missing -= 1
        if not self._missing:
            self._server.answer(self._answer)
