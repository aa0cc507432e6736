"""Part stores at the remote end of a connection, for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.task import Clock, deferLater
from twisted.python.threadpool import ThreadPool

from storaged.http import NodeConnections, StreamingSite
from storaged.identity import Identity
from storaged.journals.store import journals_of
from storaged.parts.client import RemotePartStore
from storaged.parts.findings import Findings
from storaged.resource import PartResource
from storaged.system.filesystem import OSFilesystem
from storaged.system.interfaces import IFilesystem
from storaged.system.read_ahead import ReadAhead
from tests.contract.disks import started_disk
from tests.contract.parts import CLUSTER, NODE_ID

KEY = "0123456789abcdef"
_TIMEOUT_S = 60


@asynccontextmanager
async def started_node(
    folder: Path,
    filesystem: IFilesystem,
    pool: ThreadPool,
    clock: Clock,
    patience_s: float = _TIMEOUT_S,
    read_ahead: ReadAhead | None = None,
    epoch: Callable[[], int] = int,
    findings: Findings | None = None,
    *,
    journal_disk: IFilesystem | None = None,
) -> AsyncIterator[RemotePartStore]:
    """Start a disk part store behind a server on a socket; return the client's view of it."""
    from twisted.internet import reactor

    async with started_disk(folder, filesystem, pool, clock, findings=findings) as store:
        identity = Identity(str(folder), NODE_ID, OSFilesystem(), pool, reactor)
        identity.load()
        journals = journals_of(f"{folder}/journals", journal_disk or OSFilesystem(), pool, reactor)
        await journals.start()
        site = StreamingSite(
            PartResource(store, identity, KEY, read_ahead or ReadAhead(pool, reactor), journals, store.rechecks.add),
            reactor,
            idle_timeout_s=_TIMEOUT_S,
            body_timeout_s=_TIMEOUT_S,
        )
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(site)
        connections = NodeConnections(reactor, connect_timeout_s=_TIMEOUT_S, idle_timeout_s=_TIMEOUT_S)
        url = f"http://127.0.0.1:{port.getHost().port}"
        yield RemotePartStore(NODE_ID, url, KEY, lambda: CLUSTER, connections, reactor, patience_s, epoch)
        await deferLater(reactor, 0)  # lets a connection whose answer was just read return to the pool
        await connections.close()
        await port.stopListening()
        site.abort_connections()
        journals.stop()
