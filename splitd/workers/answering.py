"""The catalog's end of the socket: makes the calls of one worker, and sends their answers together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import msgspec
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from splitd.interfaces.uploads import Commit
from splitd.workers.methods import COMMIT, METHODS, Method
from splitd.workers.wire import CANCEL, DONE, FAILED, NOTHING, Entry, Frames, encode_error, encode_frames, fault


class Answering(Protocol):
    """One worker's connection.  When it ends, its calls in progress are cancelled.

    :param seams: who makes the calls, by the seams of the methods.
    :param clock: calls later.
    :param lost: called when the connection has ended, and all calls too.
    """

    _log = Logger()

    def __init__(self, seams: Mapping[str, Any], clock: IReactorTime, lost: Callable[[], object]) -> None:
        self._seams = seams
        self._clock = clock
        self._lost = lost
        self._frames = Frames()
        self._calls: dict[int, Deferred[Any]] = {}
        self._answers: list[Entry] = []
        self._flush: IDelayedCall | None = None
        self._open = True

    def dataReceived(self, data: bytes) -> None:
        """Make calls."""
        try:
            for entries in self._frames.feed(data):
                self._make(entries)
        except (ValueError, IndexError, msgspec.DecodeError):
            self._log.failure("calls of a worker")
            cast(Any, self.transport).abortConnection()

    def _make(self, entries: Sequence[Entry]) -> None:
        commits: list[tuple[int, Commit]] = []
        for number, what, body in entries:
            if what == COMMIT.number:
                commits.append((number, COMMIT.arguments(body)[0][0]))
                continue
            if commits:
                self._commit(commits)
                commits = []
            if what == CANCEL:
                call = self._calls.get(number)
                if call is not None:
                    call.cancel()
                continue
            self._begin(number, METHODS[what], body)
        if commits:
            self._commit(commits)

    def _commit(self, commits: Sequence[tuple[int, Commit]]) -> None:
        made = self._seams["ledger"].commit_all([commit for _, commit in commits])
        for (number, _), committed in zip(commits, made, strict=True):
            self._wait(number, COMMIT, committed)

    def _begin(self, number: int, method: Method[Any], body: msgspec.Raw) -> None:
        given, named = method.arguments(body)
        self._wait(number, method, maybeDeferred(getattr(self._seams[method.seam], method.name), *given, **named))

    def _wait(self, number: int, method: Method[Any], made: Deferred[Any]) -> None:
        if number:
            self._calls[number] = made
        made.addCallbacks(
            self._done, self._failed, callbackArgs=(number, method), errbackArgs=(number, method)
        ).addErrback(self._failed, number, method)

    def _done(self, result: Any, number: int, method: Method[Any]) -> None:
        self._answer(number, DONE, method.encode_result(result)) if number else None

    def _failed(self, failure: Failure, number: int, method: Method[Any]) -> None:
        assert failure.value is not None
        body = encode_error(failure.value)
        if body is None:
            if not failure.check(CancelledError):
                self._log.failure("{method}, called by a worker", failure, method=method)
            body = fault(failure.value)
        if number:
            self._answer(number, FAILED, body)

    def tell(self, number: int, what: int, body: msgspec.Raw = NOTHING) -> None:
        """Tell or ask the worker something; see `splitd.workers.wire`."""
        if self._open:
            self._send((number, what, body))

    def end(self) -> None:
        """End the connection at once."""
        cast(Any, self.transport).abortConnection()

    def _answer(self, number: int, what: int, body: msgspec.Raw) -> None:
        self._calls.pop(number, None)
        if not self._open:
            if not self._calls:
                self._lost()
            return
        self._send((number, what, body))

    def _send(self, entry: Entry) -> None:
        self._answers.append(entry)
        if self._flush is None:
            self._flush = self._clock.callLater(0, self._write)

    def _write(self) -> None:
        self._flush = None
        answers, self._answers = self._answers, []
        for frame in encode_frames(answers) if self._open else ():
            cast(Any, self.transport).write(frame)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002 - Twisted passes it
        """Cancel the calls in progress; changes that were judged already are made all the same."""
        self._open = False
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        if not self._calls:
            self._lost()
            return
        for call in list(self._calls.values()):
            call.cancel()
