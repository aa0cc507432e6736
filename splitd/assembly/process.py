"""What each process of a front has, whatever it does: threads, keys and certificates, connections to the nodes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from splitd.access.secrets import Seal
from splitd.capacity import IDLE_SHARE
from splitd.config import Config
from splitd.model.nodes import NodeEntry
from splitd.own_files import OwnFiles
from storaged.http import Background, NodeConnections, NodeTrust
from storaged.http.handover import Handover
from storaged.http.tls import CertificateFolders
from storaged.parts.client import RemotePartStore, look_first
from storaged.parts.proofs import ClusterKeys
from storaged.parts.values import NodeInfo
from storaged.system.clocks import WallClock
from storaged.system.descriptors import Descriptors

if TYPE_CHECKING:
    from splitd.tracing import Tracing

_NODE_IDLE_S = 120
"""How long an idle connection to a node is kept; the node keeps it longer."""

_HASHES = 2
"""How many threads compute the MD5 of objects."""


class FrontProcess:
    """The process, and its way to the nodes.

    :param keys: the cluster keys, which are kept up to date.
    :param reactor: runs the process, and measures spans of time; setting the wall clock does not affect it.
    :param wall: tells the times that are shown or stored.
    :param descriptors: bound how many clients are served at once.
    :param cluster: returns the id of the cluster; empty while it is not known.
    :param epoch: returns the epoch of which nodes take requests.
    :param handover: passes the listening sockets on from program to program; None if nothing does.
    :param tracing: traces what requests do; None for no traces.
    :ivar pool: the threads that read and write files.
    :ivar background: sends large answers to clients.
    :ivar seal: seals the secrets of users.
    """

    def __init__(
        self,
        config: Config,
        keys: ClusterKeys,
        reactor: Any,
        wall: WallClock,
        descriptors: Descriptors,
        *,
        cluster: Callable[[], str],
        epoch: Callable[[], int],
        handover: Handover | None,
        tracing: Tracing | None,
    ) -> None:
        self.config = config
        self.keys = keys
        self.reactor = reactor
        self.wall = wall
        self.descriptors = descriptors
        self.handover = handover
        self.tracing = tracing
        self._cluster = cluster
        self._epoch = epoch
        self.pool = ThreadPool(1, 4, name="files")
        self._hashes = ThreadPool(0, _HASHES, name="hashes")
        self._sends = ThreadPool(1, 1, name="sends")
        self.background = Background(reactor, self._sends)
        self.seal = Seal(*keys.all())
        self.certificates = CertificateFolders(self.in_thread, reactor, wall)
        trust = NodeTrust()
        self.connections = NodeConnections(
            reactor,
            connect_timeout_s=config.connect_timeout_s,
            idle_timeout_s=_NODE_IDLE_S,
            idle_limit=descriptors.limit // IDLE_SHARE,
            trust=trust,
            wrap=None if tracing is None else tracing.client,
        )
        self.own_files = OwnFiles(
            config, keys, self.seal, trust, self.connections, self.certificates, self.in_thread, reactor
        )

    def in_thread(self, call: Callable[[], Any]) -> Deferred[Any]:
        """Make a call in a thread that reads and writes files."""
        return deferToThreadPool(self.reactor, self.pool, call)

    def compute(self, call: Callable[[], Any]) -> Deferred[Any]:
        """Make a call in a thread that computes."""
        return deferToThreadPool(self.reactor, self._hashes, call)

    def connect(self, entry: NodeEntry) -> RemotePartStore:
        """Return the part store of a node."""
        store = RemotePartStore(
            entry.id,
            entry.url,
            self.keys,
            self._cluster,
            self.connections,
            self.reactor,
            self.config.node_timeout_s,
            self._epoch,
        )
        return store if self.tracing is None else self.tracing.node(store, entry.id)

    def look_first(self, entry: NodeEntry) -> Deferred[tuple[NodeInfo, bool]]:
        """Ask a server that is not a node yet what it is; see `look_first`."""
        timeout_s = self.config.node_timeout_s
        return look_first(entry.id, entry.url, self.keys, self.connections, self.reactor, timeout_s)

    async def start(self, enter: Callable[..., Awaitable[None]]) -> None:
        """Start the threads, and watch the files of keys and certificates.

        :param enter: starts a stage; see `Stages.enter`.
        """
        await enter(self.pool.start, self.pool.stop)
        await enter(self._hashes.start, self._hashes.stop)
        await enter(self._sends.start, self._sends.stop)
        await enter(nothing, self.certificates.stop)
        await enter(nothing, self.own_files.stop_renewing)
        await enter(self.own_files.start, self.own_files.stop)


def nothing() -> None:
    """Start nothing: this stage only has something to stop."""
