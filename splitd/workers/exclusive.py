"""Resumable uploads that one request of all workers may use at a time."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from splitd.frontends.resumable.exclusive import Exclusive, Holder
from splitd.workers import methods
from splitd.workers.calls import Calls


def exclusive_of(calls: Calls) -> Exclusive:
    """Return what a worker has: it acquires each upload from the others."""

    def acquire(upload: str) -> Deferred[None]:
        def broken_off(failure: Failure) -> Failure:
            calls.tell(methods.GIVE_BACK, upload)  # it may have been acquired just before
            return failure

        return calls.call(methods.ACQUIRE, upload).addErrback(broken_off)

    return Exclusive(acquire, lambda upload: calls.tell(methods.GIVE_BACK, upload))


class Acquired:
    """The uploads that one worker uses, as the catalog's process has them.

    :param exclusive: those of all workers.
    :param end: has the worker end its request for an upload.
    """

    def __init__(self, exclusive: Exclusive, end: Callable[[str], None]) -> None:
        self._exclusive = exclusive
        self._end = end
        self._holders: dict[str, Holder] = {}

    async def acquire(self, upload: str) -> None:
        """Wait until no other worker uses an upload."""
        holder = await self._exclusive.enter(upload)
        self._holders[upload] = holder
        holder.stop = lambda: self._end(upload)
        if holder.is_ended:
            holder.stop()

    def give_back(self, upload: str) -> None:
        """Let others use an upload; nothing happens if the worker does not use it."""
        holder = self._holders.pop(upload, None)
        if holder is not None:
            self._exclusive.leave(upload, holder)

    def end(self) -> None:
        """Let others use all of them, because the worker is gone."""
        for upload in list(self._holders):
            self.give_back(upload)
