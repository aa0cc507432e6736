"""The connections of one client to all nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol
from weakref import WeakSet

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.web.client import URI, Agent, HTTPConnectionPool

from storaged.http.client import NodeClient
from storaged.http.gets import Gets
from storaged.http.greeting import Greeting
from storaged.http.node_endpoints import GreetedEndpoints, NodeEndpoints
from storaged.http.site import BUFFER_SIZE
from storaged.http.trust import NodeTrust
from storaged.http.upgrade import UpgradingProtocol
from storaged.http.window import SharedWindow
from storaged.system.origin import Origin

_MOST_IDLE = 64
"""The most idle connections that are kept to one node."""

_IDLE_LIMIT = 8192
"""The most idle connections that are kept to all nodes, unless a different limit is set."""

RENEW_PAUSE_S = 1.0
"""Seconds between two nodes whose connections are replaced: enough for a copy of the journal to be connected again."""

_ALL_TRANSFERS = 12 * 1024 * 1024
"""Bytes that all bodies to and from the nodes together may hold in memory, if they are more than `_FEW`."""

_FEW = 24
"""So many bodies hold 1 MiB each: four downloads of six parts.  A read of half the size costs nearly as much."""


class _Pool(HTTPConnectionPool):
    """Keeps idle connections, but none that was in use when `renew` was called."""

    def __init__(self, reactor: Any) -> None:
        super().__init__(reactor, persistent=True)
        self._old: WeakSet[Any] = WeakSet()
        self._used: WeakSet[Any] = WeakSet()

    def getConnection(self, key: Any, endpoint: Any) -> Deferred[Any]:
        return super().getConnection(key, endpoint).addCallback(self._note)

    def _note(self, connection: Any) -> Any:
        self._used.add(connection)
        return connection

    def _putConnection(self, key: Any, connection: Any) -> None:  # a private name: called when an answer is complete
        if connection in self._old:
            connection.transport.loseConnection()
        else:
            super()._putConnection(key, connection)

    def renew(self) -> Deferred[None]:
        """Use no connection again that exists now.

        :return: a Deferred that fires with None when the idle ones are closed.
        """
        self._old = WeakSet(self._used)
        closed: Deferred[None] = self.closeCachedConnections()
        return closed


class _Upgrades(Factory):
    """A factory for one protocol."""

    def __init__(self, protocol: UpgradingProtocol) -> None:
        self._protocol = protocol

    def buildProtocol(self, _addr: Any) -> UpgradingProtocol:
        return self._protocol


class IRenewable(Protocol):
    """A user of connections that have been upgraded."""

    def renew(self) -> None:
        """Use new connections from now on, and end the old ones when what they do is done."""


class NodeConnections:
    """The connections from one client to all nodes.

    :param connect_timeout_s: seconds to wait for a connection.
    :param idle_timeout_s: seconds for which an idle connection is kept.  The server must keep it longer; otherwise a
        request could be sent on a connection that is just being closed.
    :param idle_limit: how many idle connections are kept at once, approximately.
    :param trust: which certificates of nodes are believed; None for those that the system trusts.
    :param wrap: returns what stands in for a new client; None for the client itself.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        connect_timeout_s: float,
        idle_timeout_s: int,
        idle_limit: int = _IDLE_LIMIT,
        trust: NodeTrust | None = None,
        wrap: Callable[[NodeClient], NodeClient] | None = None,
    ) -> None:
        self._wrap = wrap
        self._pool = _Pool(reactor)
        self._pool.maxPersistentPerHost = _MOST_IDLE
        self._idle_limit = idle_limit
        self._clients: WeakSet[NodeClient] = WeakSet()
        self._gets: WeakSet[Gets] = WeakSet()  # each as long as its client, or one of its connections
        self._pool.cachedConnectionTimeout = idle_timeout_s
        self._endpoints = NodeEndpoints(reactor, connect_timeout_s, trust or NodeTrust())
        self._upgraded: set[UpgradingProtocol] = set()
        self._lasting: set[UpgradingProtocol] = set()
        self._connecting: set[Deferred[Any]] = set()
        self._closed = False
        self._reactor = reactor
        self._renewable: WeakSet[IRenewable] = WeakSet()
        self.window = SharedWindow(_ALL_TRANSFERS, BUFFER_SIZE, self._endpoints.limit_buffers, few=_FEW)
        """The bytes of a body that may wait in memory; each body enters the window, and leaves it at its end."""

    def client(self, origin: Origin, greet: Greeting | None = None) -> NodeClient:
        """Return a client for requests to one node; all clients share the connections.

        :param greet: greets the node on each new connection; None to begin with requests.
        """
        uri = URI.fromBytes(origin.url.encode("ascii"))
        gets = Gets(
            lambda: self._endpoints.greeted(uri, greet),
            origin.authority,
            self._reactor,
            idle_timeout_s=self._pool.cachedConnectionTimeout,
            most_idle=lambda: self._pool.maxPersistentPerHost,
        )
        self._gets.add(gets)
        endpoints = GreetedEndpoints(self._endpoints, greet, gets)
        agent = Agent.usingEndpointFactory(self._reactor, endpoints, self._pool)
        client = NodeClient(agent, gets, origin)
        self._clients.add(client)
        # One half of the connections is the agent's, the other one that of the GET requests.
        self._pool.maxPersistentPerHost = max(1, min(_MOST_IDLE, self._idle_limit // (2 * len(self._clients))))
        return client if self._wrap is None else self._wrap(client)

    async def upgrade(
        self,
        origin: Origin,
        path: str,
        headers: Mapping[str, str],
        name: str,
        protocol: IProtocol,
        *,
        greet: Greeting | None = None,
        lasting: bool = False,
    ) -> None:
        """Connect a protocol that begins as an HTTP request.

        :param path: the path of the request; begins with a slash.
        :param name: the protocol's name.
        :param greet: greets the node first; None to begin with the request.
        :param lasting: whether the connection outlives `end_transfers`.
        :raise NotUpgraded: the server did not agree to the protocol.
        """
        url = origin.url + path
        uri = URI.fromBytes(url.encode("ascii"))
        host = {"Host": origin.authority}
        upgrading = UpgradingProtocol(uri.originForm.decode("ascii"), {**host, **headers}, name, protocol)
        if self._closed:
            raise ConnectionAbortedError(f"no connection to {url}: this client has ended")
        connecting = self._endpoints.greeted(uri, greet).connect(_Upgrades(upgrading))
        self._connecting.add(connecting)
        try:
            await connecting
        finally:
            self._connecting.discard(connecting)
        kept = self._lasting if lasting else self._upgraded
        kept.add(upgrading)
        upgrading.when_lost().addCallback(lambda _: kept.discard(upgrading))
        await upgrading.done

    def renewable(self, user: IRenewable) -> None:
        """Have a user of upgraded connections take part in `renew`, for as long as it exists."""
        self._renewable.add(user)

    async def renew(self) -> None:
        """Replace all connections by new ones, while requests go on: those in progress end on the old connections.

        The connections to the nodes are replaced node by node, a second after each other.
        """
        await DeferredList([self._pool.renew(), *(gets.renew() for gets in list(self._gets))])
        for user in list(self._renewable):
            user.renew()
            await deferLater(self._reactor, RENEW_PAUSE_S)
            if self._closed:
                return

    async def close(self) -> None:
        """Close all connections, also those that are being made."""
        self._upgraded |= self._lasting
        await self.end_transfers()

    async def end_transfers(self) -> None:
        """Close all connections but the lasting ones, also those that are being made."""
        self._closed = True
        for connecting in list(self._connecting):
            connecting.cancel()
        for upgraded in list(self._upgraded):
            upgraded.transport.abortConnection()
            await upgraded.when_lost()
        await DeferredList([self._pool.closeCachedConnections(), *(gets.close() for gets in list(self._gets))])
