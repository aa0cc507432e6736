"""Lets one request at a time use an upload.

A client that has lost its connection comes back before the server has noticed the loss.  So a new request does not wait
for the one before: it ends it, and goes on when that has stored what it had.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

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
    """The requests that use uploads now, one for each."""

    def __init__(self) -> None:
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
        return holder

    def leave(self, upload: str, holder: Holder) -> None:
        """Use it no more."""
        if self._holders.get(upload) is holder:
            del self._holders[upload]
        holder.gone.fire(None)
