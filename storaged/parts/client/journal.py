"""The front's side of a journal's link."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from storaged.http import reason_of, write_eagerly
from storaged.parts import journals, wire
from storaged.parts.errors import NodeUnavailable, StoragedError
from storaged.parts.frames import FrameReceiver, frame
from storaged.parts.journals import Answer, Append, CopyState, Open, Piece, Trim


def encode_append(append: Append) -> list[bytes]:
    """Encode an append, as pieces for `JournalLink.append`; the same for all holders."""
    return frame(journals.encode(append))


class JournalLink(FrameReceiver):
    """Writes the copy of a journal on one node.  An error of the node ends the connection.

    The number of an `Append` is that of its first record; other requests have negative numbers.

    :param appended: called with the number after that of the last durable record, at each answer to an append.
    :param lost: called once with the reason when the connection has ended.
    """

    MAX_LENGTH = journals.MAX_LINES
    transport: Any

    def __init__(self, appended: Callable[[int], None], lost: Callable[[StoragedError], None]) -> None:
        self._appended = appended
        self._lost = lost
        self._problem: StoragedError | None = None
        self._number = 0
        self._asked: dict[int, Deferred[Answer]] = {}

    def open(self, epoch: int, front: str, run: str) -> Deferred[CopyState]:
        """Begin to write the copy.

        :return: a Deferred that fires with what the copy holds.
        :raise StoragedError: the node refused it, or the connection ended.
        """
        return self._ask(lambda number: Open(number, epoch, front, run)).addCallback(_state)

    def trim(self, upcoming: int) -> Deferred[int]:
        """Drop the records from a number on; with 0, all of the copy.

        :return: a Deferred that fires with the number after that of the last record.
        """
        return self._ask(lambda number: Trim(number, upcoming)).addCallback(_next)

    def piece(self, upcoming: int, epoch: int, offset: int, size: int, data: bytes) -> Deferred[int]:
        """Send a piece of a snapshot; see `storaged.parts.journals.Piece`.

        :return: a Deferred that fires with the number after that of the last record.
        """
        return self._ask(lambda number: Piece(number, upcoming, epoch, offset, size, data)).addCallback(_next)

    def append(self, encoded: list[bytes]) -> None:
        """Send an encoded `Append`."""
        if self.connected:
            write_eagerly(self.transport, encoded)

    def _ask(self, make: Callable[[int], journals.Request]) -> Deferred[Answer]:
        if not self.connected:
            return fail(self._problem or NodeUnavailable("the connection has ended"))
        self._number -= 1
        answer: Deferred[Answer] = Deferred()
        self._asked[self._number] = answer
        write_eagerly(self.transport, frame(journals.encode(make(self._number))))
        return answer

    def stringReceived(self, string: bytes) -> None:
        """Handle an answer."""
        if self._problem is not None:
            return
        try:
            answer = journals.decode_answer(string)
        except NodeUnavailable as problem:
            self.cut(problem)
            return
        if answer.problem:
            self.cut(wire.parse_error_text(answer.problem))
        elif answer.number > 0:
            self._appended(answer.next)
        else:
            waiting = self._asked.pop(answer.number, None)
            if waiting is None:
                self.cut(NodeUnavailable(f"answered request {answer.number}, which is not pending"))
            else:
                waiting.callback(answer)

    def lengthLimitExceeded(self, length: int) -> None:
        """Cut the connection: no answer may be that long."""
        self.cut(NodeUnavailable(f"answered {length} bytes, more than any message of a journal's link has"))

    def cut(self, problem: StoragedError) -> None:
        """End the connection.

        :param problem: the reason that `lost` is called with.
        """
        if self._problem is None:
            self._problem = problem
            if self.connected:
                self.transport.abortConnection()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """Report the end of the connection."""
        problem = self._problem = self._problem or NodeUnavailable(reason_of(reason.value))
        asked, self._asked = self._asked, {}
        for answer in asked.values():
            answer.errback(problem)
        self._lost(problem)


def _next(answer: Answer) -> int:
    return answer.next


def _state(answer: Answer) -> CopyState:
    if answer.state is None:
        raise NodeUnavailable("answered without the state of its copy")
    return answer.state
