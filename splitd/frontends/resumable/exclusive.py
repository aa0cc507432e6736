"""Lets one request at a time use an upload.

A client that has lost its connection comes back before the server has noticed the loss.  So a new request does not wait
for the one before: it ends it, and goes on when that has stored what it had.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred, succeed

from storaged.system.once import Once


@attrs.define(eq=False)
class Holder:
    """A request that uses an upload.

    :ivar stop: called to end it soon; it may be called more than once.
    :ivar is_ended: whether another request has come; one that does not receive yet must not begin to.
    """

    stop: Callable[[], object] = lambda: None
    is_ended: bool = False
    gone: Once[None] = attrs.field(factory=Once)


class Exclusive:
    """The requests that use uploads now, one for each.

    :param acquire: acquires an upload from other processes, which end their requests for it; fires when they have.
    :param release: gives it back to them.
    """

    def __init__(
        self,
        acquire: Callable[[str], Deferred[None]] = lambda _: succeed(None),
        release: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._acquire = acquire
        self._release = release
        self._holders: dict[str, Holder] = {}

    async def enter(self, upload: str) -> Holder:
        """Use an upload; the request that uses it now is ended.

        :return: the place of the request; it must `leave`.
        """
        while (before := self._holders.get(upload)) is not None:
            before.is_ended = True
            before.stop()
            await before.gone.wait()
        holder = self._holders[upload] = Holder()
        try:
            await self._acquire(upload)
        except BaseException:
            self.leave(upload, holder)
            raise
        return holder

    def end(self, upload: str) -> None:
        """End the request that uses an upload now, if there is one: one of another process waits for it."""
        holder = self._holders.get(upload)
        if holder is not None:
            holder.is_ended = True
            holder.stop()

    def end_all(self) -> None:
        """End all requests: other processes may use their uploads by now."""
        for upload in list(self._holders):
            self.end(upload)

    def leave(self, upload: str, holder: Holder) -> None:
        """Use it no more."""
        if self._holders.get(upload) is holder:
            del self._holders[upload]
            self._release(upload)
        holder.gone.fire(None)
