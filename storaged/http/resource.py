"""The base of the resources of both daemons."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from traceback import clear_frames
from typing import Any, Protocol, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer
from twisted.logger import Logger
from twisted.python.failure import Failure

from storaged.http.body import BodyBroken
from storaged.http.interfaces import IRequest
from storaged.http.reasons import reason_of

_READS = frozenset({b"GET", b"HEAD"})


class Storing(Protocol):
    """A consumer of the body of a PUT, which never pauses the producer registered with it."""

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take the producer of the body."""

    def unregisterProducer(self) -> None:
        """Take note that the producer has ended."""

    def write(self, data: bytes) -> None:
        """Take the next bytes of the body."""

    def finish(self) -> Deferred[Any]:
        """Store the body, after its last byte.

        :return: a Deferred that fires with what `StreamingResource.answer_stored` gets, or fails with what
            `StreamingResource.judge` answers.
        """

    def abort(self, reason: str) -> Deferred[None]:
        """Store nothing: the body has broken off."""


class StreamingResource:
    """Answers requests by a coroutine, `respond`, and those that need little waiting by `respond_at_once` and
    `begin_at_once`.
    """

    _log = Logger()

    def render(self, request: IRequest) -> None:
        """Answer a request."""
        try:
            answered = self._answer_at_once(request)
        except Exception:
            self.failed(Failure(), request)
            return
        if isinstance(answered, Deferred):
            answered.addCallback(self._go_on, request).addErrback(self.failed, request)
        elif not answered:
            Deferred.fromCoroutine(self._answer(request)).addErrback(self.failed, request)

    def _answer_at_once(self, request: IRequest) -> bool | Deferred[bool]:
        if request.method in _READS:
            return self.respond_at_once(request)
        return request.method == b"PUT" and bool(request.body.length) and self.put_at_once(request)

    def respond_at_once(self, request: IRequest) -> bool | Deferred[bool]:  # noqa: ARG002 - for subclasses
        """Answer a GET or a HEAD without a coroutine and its Deferreds, if nothing has to be decided on the way.

        :return: whether it is answered, or a Deferred that fires with that; if it is not, nothing was written, and
            `respond` gets it.  Nobody cancels the Deferred: what is written to a client that has left is dropped.
        """
        return False

    def put_at_once(self, request: IRequest) -> bool:
        """Take a PUT with a body whose length is known, and which has arrived with its head, or is to come.

        :return: whether it is answered, or will be; if not, nothing was done, and `respond` gets it.
        """
        storing = self.begin_at_once(request)
        if storing is None:
            return False
        body, data = request.body, request.body.early
        if data is None:
            delivered = body.deliver(cast("IConsumer", storing))
            stored = delivered.addCallbacks(lambda _: storing.finish(), _broken_off, errbackArgs=(storing,))
        else:
            body.drop_early()
            storing.write(data)
            stored = storing.finish()
        stored.addCallbacks(self.answer_stored, self._not_stored, callbackArgs=(request,), errbackArgs=(request,))
        stored.addErrback(self.failed, request)
        return True

    def begin_at_once(self, request: IRequest) -> Storing | None:  # noqa: ARG002 - for subclasses
        """Begin to store the body of a PUT without a coroutine, if nothing has to be decided on the way.

        Its length is known, and at least one byte.  Where its bytes are still to come, they are asked for
        (`100 Continue`) if this returns something.

        :return: what takes the body; None if nothing was begun, and `respond` gets the request.
        """
        return None

    def answer_stored(self, stored: Any, request: IRequest) -> None:
        """Answer a PUT of `begin_at_once`."""
        raise NotImplementedError

    async def judge(self, request: IRequest, work: Callable[[], Awaitable[None]]) -> None:
        """Do what a request asks for, and answer with its error, if there is one.

        :raise BodyBroken: the client has left.
        """
        raise NotImplementedError

    def _not_stored(self, failure: Failure, request: IRequest) -> Deferred[None] | None:
        if failure.check(BodyBroken):
            return None  # the client is gone, so there is no answer
        judged = Deferred.fromCoroutine(self.judge(request, failure.raiseException))
        return judged.addCallback(lambda _: _forget_raising(failure))

    def _go_on(self, answered: bool, request: IRequest) -> Deferred[None] | None:
        return None if answered or request.is_gone else Deferred.fromCoroutine(self._answer(request))

    async def _answer(self, request: IRequest) -> None:
        try:
            await self.respond(request)
        except BodyBroken as problem:
            # The client is gone, so there is no answer.  Twisted makes a reference cycle of an exception and its
            # Failure, which would keep the frames, and with them all buffers of the transfer, until a garbage
            # collection.
            clear_frames(problem.__traceback__)

    def failed(self, failure: Failure, request: IRequest) -> None:
        """Log a fault, and cut the connection of the request that met it."""
        self._log.failure("answering {request!r}", failure, request=request)
        request.abort()  # nobody else will end it

    async def respond(self, request: IRequest) -> None:
        """Answer a request, also if there is an error.

        :raise BodyBroken: the client has left.
        """
        raise NotImplementedError


def _broken_off(failure: Failure, storing: Storing) -> Deferred[Failure]:
    """Abort the storing of a body that has broken off; return a Deferred that fires with the failure."""
    return storing.abort(reason_of(failure.value)).addCallback(lambda _: failure)


def _forget_raising(failure: Failure) -> None:
    """Take the frames away that `raiseException` has added to an exception.

    They refer to the failure.  That makes a cycle, and what the frames hold, as a request and its body, would stay
    until a garbage collection.
    """
    assert failure.value is not None
    failure.value.__traceback__ = failure.tb


async def receive_body(request: IRequest, consumer: IConsumer, broken: Deferred[Exception]) -> None:
    """Write the whole body of a request to a consumer.

    :param broken: fires with an exception, as its result, when the consumer can take no more; it is raised here.
    :raise BodyBroken: the client left, or sent nothing for too long, before the end of the body.
    """
    delivered = request.body.deliver(consumer)
    problems: list[Exception] = []

    def give_up(problem: Exception) -> None:
        problems.append(problem)
        delivered.cancel()

    broken.addCallback(give_up)
    try:
        await delivered
    except CancelledError:
        if not problems:
            raise
    if problems:  # the body may have ended all the same
        raise problems[0]
