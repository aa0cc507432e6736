"""What a connection needs of its site, and a request of its connection.

A site makes connections, and a connection makes requests; by these seams they need not know what they were made by.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from storaged.http.addresses import AddressLimit
from storaged.http.background import Background
from storaged.http.body import RequestBody
from storaged.http.flow import Flow
from storaged.http.idle import IdleConnections
from storaged.http.interfaces import IDrainingProtocol, IRequest
from storaged.http.names import OwnNames
from storaged.http.observing import Observer
from storaged.http.window import SharedWindow
from storaged.system.buffers import Piece


class Renders(Protocol):
    """What answers the requests of a site."""

    def render(self, request: IRequest) -> None:
        """Answer a request, whose body may still be arriving."""


class Site(Protocol):
    """The settings of a site's connections, and all that they share; see `StreamingSite`.

    :ivar draining: whether no more requests are taken.
    """

    resource: Renders
    observer: Observer | None
    reactor: Any
    background: Background | None
    names: OwnNames
    head_limit: int
    head_timeout_s: float
    idle_timeout_s: float
    body_timeout_s: float
    take_timeout_s: float | None
    idle_connections: IdleConnections
    addresses: AddressLimit
    window: SharedWindow
    draining: bool

    def common_headers(self, *, secure: bool) -> bytes:
        """Return the lines that each answer has.

        :param secure: whether the connection is encrypted.
        """

    def forget(self, connection: Any) -> None:
        """Forget a connection of this site that has ended."""


class AnsweredRequest(Protocol):
    """A request that is answered, though its body has not ended."""

    is_gone: bool
    body: RequestBody


class ServedConnection(Protocol):
    """The connection on which a request came, and on which its answer goes.

    :ivar peer: the other side (`IAddress`).
    :ivar host: this side (`IAddress`).
    :ivar is_secure: whether the connection is encrypted.
    :ivar known: what the resource knows of the client; None at first.
    :ivar flow: tells an answer when the client takes no more.
    """

    site: Site
    peer: Any
    host: Any
    transport: Any
    is_secure: bool
    known: object
    flow: Flow

    def write(self, pieces: Sequence[Piece]) -> None:
        """Write bytes of an answer."""

    def may_stay(self, *, body_ended: bool) -> bool:
        """Return whether the connection may be used again after the answer that begins now."""

    def answered(self) -> None:
        """Take note that the request in progress is answered, and its body has ended."""

    def discard_body(self, request: AnsweredRequest) -> None:
        """Discard the rest of the body of a request that is answered, for some seconds, and close the connection."""

    def hand_over(self, protocol: IDrainingProtocol) -> None:
        """Pass all that arrives to a different protocol from now on.  A request must be in progress."""
