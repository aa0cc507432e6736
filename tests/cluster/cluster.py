"""One front and its storage servers in this process, on real sockets and real folders, with verbs to harm them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
from treq.client import HTTPClient
from twisted.internet.defer import Deferred, DeferredList
from twisted.web.client import Agent, HTTPConnectionPool

from splitd.config import Config as FrontConfig
from splitd.registry import load_registry
from splitd.service import Front
from storaged.config import Config as NodeConfig
from storaged.filesystem import OSFilesystem
from storaged.interfaces import IFilesystem
from storaged.service import StorageServer
from storaged.settings import Size

KEY = "0123456789abcdef0123456789abcdef"


@attrs.define
class Answer:
    """What the front answered."""

    code: int
    headers: Any
    length: int
    body: bytes

    def header(self, name: str) -> str | None:
        values = self.headers.getRawHeaders(name)
        return values[-1] if values else None

    @property
    def text(self) -> str:
        return self.body.decode()


class Node:
    """One storage server, which can be stopped, started again, and looked into."""

    def __init__(self, node_id: str, folder: Path, reactor: Any) -> None:
        self.node_id = node_id
        self.folder = folder
        self.port = 0
        self.filesystem: IFilesystem = OSFilesystem()
        self.reserve = 0
        self._reactor = reactor
        self._server: StorageServer | None = None

    async def start(self) -> None:
        config = NodeConfig(
            node=self.node_id,
            data=str(self.folder),
            cluster_key_file="",
            listen=f"tcp:{self.port}:interface=127.0.0.1",
            reserve=Size(self.reserve),
            threads=4,
        )
        self._server = StorageServer(config, KEY, self.filesystem, self._reactor)
        await self._server.start()
        assert self._server.port is not None
        self.port = self._server.port.getHost().port

    async def stop(self) -> None:
        """End it: its connections are cut, and its port refuses."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop()

    def parts(self) -> dict[str, Path]:
        """The files of its parts, by the parts' ids."""
        return {path.name: path for path in self.folder.glob("parts/*/*")}

    def half_written(self) -> list[Path]:
        return list(self.folder.glob("tmp/*"))


class Cluster:
    """A front and `count` nodes.

    :param unit: bytes of one column in a full stripe; small, so that small files have many stripes.
    """

    def __init__(self, folder: Path, reactor: Any, count: int = 6, unit: int = 1024) -> None:
        self.folder = folder
        self.unit = unit
        self.nodes = [Node(f"n{number}", folder / f"n{number}", reactor) for number in range(1, count + 1)]
        self.front: Front | None = None
        self.port = 0
        self._reactor = reactor
        self._pool = HTTPConnectionPool(reactor)
        self.client = HTTPClient(Agent(reactor, pool=self._pool))

    async def start(self) -> None:
        for node in self.nodes:
            await node.start()
        await self.start_front()

    async def start_front(self) -> None:
        registry = "".join(f"- id: {node.node_id}\n  url: http://127.0.0.1:{node.port}\n" for node in self.nodes)
        config = FrontConfig(
            data=str(self.folder / "front"),
            registry="nodes.yaml",
            cluster_key_file="",
            listen=f"tcp:{self.port}:interface=127.0.0.1",
            admin="tcp:0:interface=127.0.0.1",
            unit=Size(self.unit),
        )
        self.front = Front(config, load_registry("nodes.yaml", registry), KEY, self._reactor)
        await self.front.start()
        assert self.front.port is not None
        self.port = self.front.port.getHost().port

    async def stop_front(self) -> None:
        front, self.front = self.front, None
        if front is not None:
            await front.stop()

    async def stop(self) -> None:
        await self._pool.closeCachedConnections()
        await self.stop_front()
        await DeferredList([Deferred.fromCoroutine(node.stop()) for node in self.nodes])

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def admin_url(self) -> str:
        assert self.front is not None
        assert self.front.admin_port is not None
        return f"http://127.0.0.1:{self.front.admin_port.getHost().port}"

    async def ask(self, method: str, path: str, data: Any = None, **headers: str) -> Answer:
        """One request to the front, its whole answer in memory."""
        named: Any = {name.replace("_", "-"): value for name, value in headers.items()}
        response = await self.client.request(
            method, path if "://" in path else self.url(path), data=data, headers=named, allow_redirects=False
        )
        return Answer(response.code, response.headers, response.length, await response.content())

    def parts(self) -> dict[str, dict[str, Path]]:
        """The files of all parts: node id → part id → file."""
        return {node.node_id: node.parts() for node in self.nodes}

    def nothing_stored(self) -> bool:
        return not any(node.parts() or node.half_written() for node in self.nodes)
