"""The node's side of a link, which carries small parts, many in one message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock
from typing import Any, TypeAlias

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from storaged.http import ThreadSender, reason_of, write_eagerly
from storaged.parts import messages
from storaged.parts.errors import BadRequest, NodeUnavailable, StoragedError
from storaged.parts.format import SMALL_PART
from storaged.parts.frames import frame
from storaged.parts.interfaces import INodeStore, IPromptPuts
from storaged.parts.served_link import ServedLink
from storaged.parts.values import PartInfo
from storaged.system.buffers import Piece

_Outcomes: TypeAlias = Sequence[PartInfo | bytes | bool | StoragedError]


@attrs.define(eq=False)
class _Alone:
    """A `Put` that came alone, and that the thread which stores its parts answers.

    :param number: its number.
    :param size: its bytes.
    :ivar lock: held while the thread answers, and while the reactor takes the answer back.
    :ivar is_taken_back: whether the reactor sends the answer, because it has something else to send before.
    :ivar is_answered: whether the thread has answered.
    :ivar unsent: what the kernel has not taken of the answer.
    """

    number: int
    size: int
    lock: Lock = attrs.Factory(Lock)
    is_taken_back: bool = False
    is_answered: bool = False
    unsent: Sequence[Piece] = ()


class LinkServer(ServedLink):
    """Answers the requests of one link, each when all its items are done.

    A `Put` that comes alone is answered by the thread that has stored its parts, and the reactor is not woken for it.
    It takes the answer back if it has something to send meanwhile, and looks for the end when something else comes.

    :param store: the parts of the node.
    :param check_epoch: refuses the changes of a front that another one has taken over from; see `Epochs.check`.
    :param log: begins to log a request, and returns what ends that, given how many of its parts failed; None for no
        log.
    :param make_sender: makes what the thread sends answers with.
    """

    MAX_LENGTH = messages.MAX_MESSAGE
    MOST_REQUESTS = 16
    _log = Logger()

    def __init__(
        self,
        store: INodeStore,
        check_epoch: Callable[[int], None],
        log: Callable[[messages.Request], Callable[[int], None]] | None = None,
        make_sender: Callable[[Any], ThreadSender] = ThreadSender,
    ) -> None:
        super().__init__()
        self._log_request = log
        # A log needs the time of the answer, which only the reactor would know.
        self._prompt = IPromptPuts(store) if log is None and IPromptPuts.providedBy(store) else None
        self._make_sender = make_sender
        self._sender: ThreadSender | None = None
        self._alone: _Alone | None = None
        self._store = store
        self._check_epoch = check_epoch

    def stringReceived(self, string: bytes) -> None:
        """Begin a request.  After a malformed one, the link is cut, and no further request is read."""
        if self._cut:
            return
        self._settle()
        try:
            request = messages.decode_request(string)
        except BadRequest as problem:
            self._cut_off(str(problem))
            return
        size = len(string) + (len(request.parts) * SMALL_PART if isinstance(request, messages.Get) else 0)
        self._count(1, size)
        if self._requests == 1 and isinstance(request, messages.Put) and self._may_be_alone():
            self._put_alone(request, size)
        else:
            self._begin(request, size)

    def _may_be_alone(self) -> bool:
        if self._prompt is None or self._draining:
            return False
        if self._sender is None:
            self._sender = self._make_sender(self.transport)
        return self._sender.is_ready()

    def _put_alone(self, request: messages.Put, size: int) -> None:
        assert self._prompt is not None
        alone = self._alone = _Alone(request.number, size)
        try:
            self._check_epoch(request.epoch)
            self._prompt.put_all_then(request.parts, partial(self._stored_alone, alone))
        except Exception:
            self._alone = None
            self._answer(self._fault(Failure(), len(request.parts)), request.number, size)

    def _stored_alone(self, alone: _Alone, outcomes: _Outcomes) -> None:
        """Answer; in the thread that has stored the parts."""
        assert self._sender is not None
        assert self._prompt is not None
        try:
            answer = frame(_encode_answer(alone.number, outcomes))
        except Exception:
            self._prompt.tell(partial(self._not_answered, Failure()))
            return
        with alone.lock:
            if not alone.is_taken_back:
                alone.unsent = self._sender.send(answer)
                alone.is_answered = True
                if not alone.unsent:
                    return
        self._prompt.tell(partial(self._told_of, alone, outcomes))

    def _told_of(self, alone: _Alone, outcomes: _Outcomes) -> None:
        """Take note, in the reactor's thread, of the end of a `Put` whose answer is not sent, or not all of it."""
        if alone.is_answered:
            self._settle()
        else:
            self._answer(outcomes, alone.number, alone.size)

    def _settle(self) -> None:
        """End a `Put` that the thread has answered."""
        alone = self._alone
        if alone is not None and alone.is_answered:
            self._alone = None
            if alone.unsent and self.connected and not self._cut:
                write_eagerly(self.transport, alone.unsent)
            self._count(-1, -alone.size)
            self._end_where_drained()

    def _take_back(self) -> None:
        """Let the thread send nothing from now on."""
        alone = self._alone
        if alone is None:
            return
        with alone.lock:
            alone.is_taken_back = not alone.is_answered
        if alone.is_taken_back:
            self._alone = None
        else:
            self._settle()

    def drain(self) -> None:
        """Take no more requests; see `IDrainingProtocol`."""
        self._take_back()
        super().drain()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # noqa: ARG002
        """Answer nothing any more."""
        if self._sender is not None:
            self._sender.close()

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
        self._take_back()
        self._count(-1, -size)
        if self.connected and not self._cut:
            write_eagerly(self.transport, frame(_encode_answer(number, outcomes)))
        self._end_where_drained()


def _logged(outcomes: _Outcomes, ended: Callable[[int], None]) -> _Outcomes:
    ended(sum(isinstance(outcome, StoragedError) for outcome in outcomes))
    return outcomes


def _encode_answer(number: int, outcomes: _Outcomes) -> bytes:
    """Encode an answer.

    :raise ValueError: it is too long.
    """
    message = messages.encode(_answer_of(number, outcomes))
    if len(message) > messages.MAX_MESSAGE:
        raise ValueError(f"an answer of {len(message)} bytes")
    return message


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
