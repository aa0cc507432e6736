"""Where the front is reached: the ports of clients, of programs made for S3, and of operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IListeningPort

from splitd.config import Config
from splitd.frontends.http.redirect import Redirect
from splitd.frontends.http.targets import HEAD_LIMIT
from splitd.frontends.observing.observers import Observing
from storaged.http import Background, Observer, StreamingResource, StreamingSite
from storaged.http.handover import Handover
from storaged.http.listening import drain, listen, open_certificates
from storaged.http.tls import CertificateFolders

if TYPE_CHECKING:
    from splitd.tracing import Tracing

_REDIRECTED = 64
"""The most connections at the same time to the port that leads to the one with TLS."""

_LINGER_S = 1.0
"""For how long idle connections may send one more request when this program is about to be replaced."""

_OPERATORS = 32
"""The most connections to the operators' port at the same time."""


class IBalance(Protocol):
    """Decides which of several processes accepts a connection."""

    def guard(self, port: Any) -> None:
        """Let connections at a port be accepted in turns."""


class Endpoints:
    """The ports of the front.  Operators are served from the first moment of a start to the last of a stop.

    :param clients: answers the requests of clients.
    :param s3: answers the requests of S3; None if nobody has a key for it.
    :param connections: how many connections of clients there may be at the same time, on each of their ports.
    :param certificates: keeps the certificates of the endpoints with TLS.
    :param background: sends large answers.
    :param tracing: traces the requests of clients; None for no traces.
    :param handover: passes the listening sockets on from program to program; None if nothing does.
    :ivar site: serves the clients.
    :ivar port: where clients connect; None before.
    :ivar tls_port: where they connect with TLS, besides `port`; None before, and if there is none.
    :ivar s3_port: where programs made for S3 connect; None before, and if there are no keys for it.
    :ivar redirect_port: where they are led to the same URL with TLS; None before, and if there is none.
    :ivar admin_port: where operators connect; None before.
    """

    def __init__(
        self,
        config: Config,
        clients: StreamingResource,
        s3: StreamingResource | None,
        connections: int,
        observing: Observing,
        certificates: CertificateFolders,
        reactor: Any,
        *,
        background: Background,
        handover: Handover | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._handover = handover
        if tracing is not None:
            clients, s3 = tracing.resource(clients), None if s3 is None else tracing.resource(s3)
        self._per_address: int | None = None
        self._config = config
        self._reactor = reactor
        self._background = background
        self._certificates = certificates
        self._observing = observing
        self.site = self._make_site(clients, connections, observing.clients)
        self._s3 = None if s3 is None else self._make_site(s3, connections, observing.clients)
        self._redirects = self._make_site(
            Redirect(self._redirected_to, checks_names=bool(config.names)), _REDIRECTED, None
        )
        self._operators: StreamingSite | None = None
        self.port: IListeningPort | None = None
        self.tls_port: IListeningPort | None = None
        self.s3_port: IListeningPort | None = None
        self.redirect_port: IListeningPort | None = None
        self.admin_port: IListeningPort | None = None

    def _make_site(self, resource: StreamingResource, connections: int, observer: Observer | None) -> StreamingSite:
        config = self._config
        return StreamingSite(
            resource,
            self._reactor,
            idle_timeout_s=config.idle_timeout_s,
            body_timeout_s=config.client_timeout_s,
            head_limit=HEAD_LIMIT,
            head_timeout_s=config.head_timeout_s,
            idle_limit=config.idle_connections,
            names=config.own_names(),
            take_timeout_s=config.client_timeout_s,
            connection_limit=connections,
            address_limit=_share(connections),
            observer=observer,
            hsts_s=config.hsts_s,
            background=self._background,
        )

    def limit_connections(self, connections: int) -> None:
        """Set how many connections of clients there may be at the same time, on each of their ports."""
        for site in self._client_sites():
            site.admission.limit = connections
        self.limit_addresses(self._per_address)

    def limit_addresses(self, per_address: int | None) -> None:
        """Set how many of them an address may have, on each of the ports; None for half of them."""
        self._per_address = per_address
        for site in self._client_sites():
            site.addresses.limit = per_address or _share(site.admission.limit)

    @property
    def refused_connections(self) -> int:
        """How many connections of clients were refused, because their addresses had too many."""
        return sum(site.addresses.refused for site in self._client_sites())

    @property
    def connections(self) -> int:
        """How many connections of clients there are."""
        return sum(len(site.connections()) for site in self._client_sites())

    def _client_sites(self) -> list[StreamingSite]:
        return [site for site in (self.site, self._s3) if site is not None]

    def _redirected_to(self) -> int:
        port: Any = self.tls_port or self.port
        return self._config.redirect_port or int(port.getHost().port)

    async def serve_operators(self, resource: StreamingResource) -> None:
        """Listen for operators.

        :param resource: answers their requests.
        :raise SettingsError: the endpoint cannot be listened on.
        """
        config = self._config
        self._operators = self._make_site(resource, _OPERATORS, self._observing.operators)
        if self._handover is not None:
            # An endpoint that has changed may have the port of one that the settings do not name any more.
            named = config.admin, config.listen, config.listen_tls, config.s3, config.redirect
            self._handover.drop_others(named)
        self.admin_port = await self._listen(config.admin, self._operators)

    async def end_operators(self) -> None:
        """Listen for operators no longer, and end their connections."""
        if self.admin_port is not None and self._operators is not None:
            await maybeDeferred(self.admin_port.stopListening)
            await drain(self._operators, 0, self._reactor)

    async def serve_clients(self) -> None:
        """Listen for clients.

        :raise SettingsError: an endpoint cannot be listened on.
        """
        config = self._config
        self.port = await self._listen(config.listen, self.site)
        if config.listen_tls:
            self.tls_port = await self._listen(config.listen_tls, self.site)
        if self._s3 is not None and config.s3:
            self.s3_port = await self._listen(config.s3, self._s3)
        if config.redirect:
            self.redirect_port = await self._listen(config.redirect, self._redirects)

    async def watch_certificates(self) -> None:
        """Read the certificates at whose endpoints other processes listen, and watch them.

        :raise SettingsError: they cannot be used.
        """
        for endpoint in (self._config.listen, self._config.listen_tls):
            await open_certificates(endpoint, self._certificates)

    def accept_in_turns(self, balance: IBalance) -> None:
        """Share the connections at all ports of clients with other processes that listen there."""
        for port in (self.port, self.tls_port, self.s3_port, self.redirect_port):
            if port is not None:
                balance.guard(port)

    async def _listen(self, endpoint: str, site: StreamingSite) -> IListeningPort:
        return await listen(self._reactor, endpoint, site, self._certificates, self._handover)

    async def end_clients(self) -> None:
        """Listen for clients no longer; wait `stop_timeout_s` for the requests in progress, then end them."""
        for port in (self.port, self.tls_port, self.s3_port, self.redirect_port):
            if port is not None:
                await maybeDeferred(port.stopListening)
        if self.redirect_port is not None:
            await drain(self._redirects, 0, self._reactor)
        linger_s = _LINGER_S if self._handover is not None and self._handover.leaving else 0
        sites = self._client_sites()
        stop_s, reactor = self._config.stop_timeout_s, self._reactor
        await gatherResults([Deferred.fromCoroutine(drain(site, stop_s, reactor, linger_s)) for site in sites])


def _share(connections: int | None) -> int | None:
    """Return how many connections one address may have of all, so that it cannot keep the others out."""
    return None if connections is None else max(1, connections // 2)
