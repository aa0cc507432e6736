"""How long a node is waited for."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Patience:
    """Runs while it is the node's turn, and calls when it has run out.

    :param clock: calls later.
    :param exhausted: called when it was the node's turn for `patience_s` without a break.
    """

    def __init__(self, clock: IReactorTime, patience_s: float, exhausted: Callable[[], None]) -> None:
        self.seconds = patience_s
        self._clock = clock
        self._exhausted = exhausted
        self._call: IDelayedCall | None = None

    def begin(self) -> None:
        """It is the node's turn, from now on."""
        self.end()
        self._call = self._clock.callLater(self.seconds, self._run_out)

    def end(self) -> None:
        """The node did its part.  May be called again."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _run_out(self) -> None:
        self._call = None
        self._exhausted()
