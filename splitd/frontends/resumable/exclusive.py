"""Lets one request at a time use an upload.

A client that has lost its connection comes back before the server has noticed the loss.  So a new request does not wait
for the one before: it ends it, and goes on when that has stored what it had.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import attrs
from twisted.internet.defer import Deferred, succeed

from storaged.system.once import Once


@attrs.define(eq=False)
class Holder:
    """A request that uses an upload.

    :param number: no other one of the process has it.
    :ivar stop: called to end it soon; it may be called more than once.
    :ivar is_ended: whether another request has come; one that does not receive yet must not begin to.
    """

    number: int
    stop: Callable[[], object] = lambda: None
    is_ended: bool = False
    gone: Once[None] = attrs.field(factory=Once)


class Exclusive:
    """The requests that use uploads now, one for each.

    :param acquire: acquires an upload from other processes, for the request of this number; they end their requests for
        it, and the Deferred fires with None when they have.
    :param release: gives it back to them, if the request of this number has it.
    """

    def __init__(
        self,
        acquire: Callable[[str, int], Deferred[None]] = lambda *_: succeed(None),
        release: Callable[[str, int], object] = lambda *_: None,
    ) -> None:
        self._acquire = acquire
        self._release = release
        self._holders: dict[str, Holder] = {}
        self._numbers = count(1)

    async def enter(self, upload: str) -> Holder:
        """Use an upload; the request that uses it now is ended.

        :return: the place of the request; it must `leave`.
        """
        while (before := self._holders.get(upload)) is not None:
            before.is_ended = True
            before.stop()
            await before.gone.wait()
        holder = self._holders[upload] = Holder(next(self._numbers))
        try:
            await self._acquire(upload, holder.number)
        except BaseException:
            self.leave(upload, holder)
            raise
        return holder

    def end(self, upload: str, number: int) -> None:
        """End the request of this number, if it still uses an upload: one of another process waits for it."""
        holder = self._holders.get(upload)
        if holder is not None and holder.number == number:
            holder.is_ended = True
            holder.stop()

    def end_all(self) -> None:
        """End all requests: other processes may use their uploads by now."""
        for upload, holder in list(self._holders.items()):
            self.end(upload, holder.number)

    def leave(self, upload: str, holder: Holder) -> None:
        """Use it no more."""
        if self._holders.get(upload) is holder:
            del self._holders[upload]
            self._release(upload, holder.number)
        holder.gone.fire(None)
