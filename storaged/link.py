"""The node's side of a link, which carries small parts, many in one message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from storaged.http import reason_of, write_eagerly
from storaged.parts import messages
from storaged.parts.errors import BadRequest, NodeUnavailable, StoragedError
from storaged.parts.format import SMALL_PART
from storaged.parts.frames import frame
from storaged.parts.interfaces import INodeStore
from storaged.parts.served_link import ServedLink
from storaged.parts.values import PartInfo

_Outcomes: TypeAlias = Sequence[PartInfo | bytes | bool | StoragedError]


class LinkServer(ServedLink):
    """Answers the requests of one link, each when all its items are done.

    :param store: the parts of the node.
    :param check_epoch: refuses the changes of a front that another one has taken over from; see `Epochs.check`.
    :param log: begins to log a request, and returns what ends that, given how many of its parts failed; None for no
        log.
    """

    MAX_LENGTH = messages.MAX_MESSAGE
    MOST_REQUESTS = 16
    _log = Logger()

    def __init__(
        self,
        store: INodeStore,
        check_epoch: Callable[[int], None],
        log: Callable[[messages.Request], Callable[[int], None]] | None = None,
    ) -> None:
        super().__init__()
        self._log_request = log
        self._store = store
        self._check_epoch = check_epoch

    def stringReceived(self, string: bytes) -> None:
        """Begin a request.  After a malformed one, the link is cut, and no further request is read."""
        if self._cut:
            return
        try:
            request = messages.decode_request(string)
        except BadRequest as problem:
            self._cut_off(str(problem))
            return
        size = len(string) + (len(request.parts) * SMALL_PART if isinstance(request, messages.Get) else 0)
        self._count(1, size)
        self._begin(request, size)

    def _begin(self, request: messages.Request, size: int) -> None:
        work: Deferred[Any] = maybeDeferred(self._ask, request)
        work.addErrback(self._fault, len(request.parts))
        if self._log_request is not None:
            work.addCallback(_logged, self._log_request(request))
        work.addCallback(self._answer, request.number, size)
        work.addErrback(self._not_answered)

    def _ask(self, request: messages.Request) -> Deferred[Any]:
        if isinstance(request, messages.Get):
            return self._store.get_all(request.parts)
        self._check_epoch(request.epoch)
        if isinstance(request, messages.Put):
            return self._store.put_all(request.parts)
        return self._store.remove_all(request.parts)

    def _fault(self, failure: Failure, count: int) -> list[StoragedError]:
        problem = failure.value
        if not isinstance(problem, StoragedError):
            self._log.failure("a request of a link", failure)
            problem = NodeUnavailable(reason_of(problem))
        return [problem] * count

    def _not_answered(self, failure: Failure) -> None:
        self._log.failure("an answer of a link", failure)
        if self.connected:
            self._cut_off(f"an answer could not be sent: {reason_of(failure.value)}")

    def _answer(self, outcomes: _Outcomes, number: int, size: int) -> None:
        self._count(-1, -size)
        if self.connected and not self._cut:
            message = messages.encode(_answer_of(number, outcomes))
            if len(message) > messages.MAX_MESSAGE:
                raise ValueError(f"an answer of {len(message)} bytes")
            write_eagerly(self.transport, frame(message))
        self._end_where_drained()


def _logged(outcomes: _Outcomes, ended: Callable[[int], None]) -> _Outcomes:
    ended(sum(isinstance(outcome, StoragedError) for outcome in outcomes))
    return outcomes


def _answer_of(number: int, outcomes: _Outcomes) -> messages.Answer:
    results: list[messages.Result] = []
    problems = {}
    for index, outcome in enumerate(outcomes):
        if isinstance(outcome, PartInfo):
            results.append((outcome.stored_size, outcome.modified_ms))
        elif isinstance(outcome, StoragedError):
            results.append(None)
            problems[index] = messages.encode_problem(outcome)
        else:
            results.append(outcome)
    return messages.Answer(number, results, problems)
