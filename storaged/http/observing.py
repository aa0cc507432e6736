"""The seam by which a server tells of the requests that it has answered, for logs and metrics."""

from __future__ import annotations

from typing import Protocol

from storaged.http.interfaces import IObservedRequest


class Observer(Protocol):
    """Gets each request of a site at its end.  It must not raise, and must be quick."""

    def began(self, request: IObservedRequest) -> None:
        """Take note of a request whose head is complete."""

    def ended(self, request: IObservedRequest, *, whole: bool) -> None:
        """Take note of the end of a request.

        :param whole: whether all of the answer was written; false if the client left, or the answer was cut.
        """

    def refused(self, status: int, peer: str) -> None:
        """Take note of a connection that was refused before it had sent a whole head.

        :param peer: the client's address; empty on a local socket.
        """
