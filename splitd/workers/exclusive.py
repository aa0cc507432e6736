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

    def acquire(upload: str, number: int) -> Deferred[None]:
        def broken_off(failure: Failure) -> Failure:
            calls.tell(methods.GIVE_BACK, upload, number)  # it may have been acquired just before
            return failure

        return calls.call(methods.ACQUIRE, upload, number).addErrback(broken_off)

    return Exclusive(acquire, lambda upload, number: calls.tell(methods.GIVE_BACK, upload, number))


class Acquired:
    """The uploads that one worker uses, as the catalog's process has them.

    Each use has the number of the worker's request, because what is told of one may arrive when it has ended, and
    another request of the same worker uses the upload.

    :param exclusive: those of all workers.
    :param end: has the worker end its request of this number for an upload.
    """

    def __init__(self, exclusive: Exclusive, end: Callable[[str, int], None]) -> None:
        self._exclusive = exclusive
        self._end = end
        self._holders: dict[str, tuple[int, Holder]] = {}

    async def acquire(self, upload: str, number: int) -> None:
        """Wait until no other worker uses an upload.

        :param number: of the request that will use it.
        """
        holder = await self._exclusive.enter(upload)
        self._holders[upload] = number, holder
        holder.stop = lambda: self._end(upload, number)
        if holder.is_ended:
            holder.stop()

    def give_back(self, upload: str, number: int) -> None:
        """Let others use an upload; nothing happens if the request of this number does not use it."""
        used_by, holder = self._holders.get(upload, (0, None))
        if holder is not None and used_by == number:
            del self._holders[upload]
            self._exclusive.leave(upload, holder)

    def end(self) -> None:
        """Let others use all of them, because the worker is gone."""
        for upload, (number, _) in list(self._holders.items()):
            self.give_back(upload, number)
