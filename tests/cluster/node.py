"""A storage server of a test's cluster: it can be stopped, started again, harmed, and looked into."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import quoteStringArgument

from storaged.config import Config
from storaged.parts.values import PartInfo
from storaged.service import StorageServer
from storaged.store import DiskPartStore
from storaged.system.clocks import WallClock
from storaged.system.sizes import Size
from tests.cluster.harm import HarmedFilesystem
from tests.ports import free_ports

KEY = "0123456789abcdef0123456789abcdef"


def endpoint(host: str, port: int) -> str:
    """The Twisted endpoint that listens on an address."""
    return f"tcp:{port}:interface={quoteStringArgument(host)}"


def http_url(host: str, port: int) -> str:
    """The URL of what listens there."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Node:
    """One storage server.

    :param node_id: who it is.
    :param folder: where its parts are.
    :param host: the address it listens on.
    """

    def __init__(self, node_id: str, folder: Path, reactor: Any, host: str = "127.0.0.1") -> None:
        self.host = host
        self.node_id = node_id
        self.folder = folder
        self.port = free_ports()
        self.stop_timeout_s = 0.0
        self.filesystem = HarmedFilesystem()
        self._reactor = reactor
        self._server: StorageServer | None = None

    async def start(self) -> None:
        self._server = self.make_server()
        await self._server.start()
        assert self._server.port is not None
        self.port = self._server.port.getHost().port

    def make_server(self) -> StorageServer:
        """A server that the test starts."""
        config = Config(
            node=self.node_id,
            data=str(self.folder),
            cluster_key_file="",
            listen=endpoint(self.host, self.port),
            reserve=Size(0),
            threads=4,
            stop_timeout_s=self.stop_timeout_s,
        )
        return StorageServer(config, KEY, self.filesystem, self._reactor, WallClock())

    def end(self) -> Deferred[None]:
        """Tell it to stop, as a signal does; fires when it has."""
        server, self._server = self._server, None
        assert server is not None
        return server.stop()

    async def stop(self) -> None:
        """End it: its connections are cut, and its port refuses."""
        self.filesystem.release()
        server, self._server = self._server, None
        if server is not None:
            await server.stop()

    def parts(self) -> dict[str, Path]:
        """The files of its parts that are not packed, by the parts' ids."""
        return {path.name: path for path in self.folder.glob("parts/*/*")}

    def trash(self) -> list[Path]:
        """The files of the parts that were put aside."""
        return list(self.folder.glob("trash/*"))

    @property
    def store(self) -> DiskPartStore:
        """Its part store, past the protocol."""
        assert self._server is not None
        return self._server.store

    async def listed(self) -> list[PartInfo]:
        """Its parts, packed or not, as it lists them."""
        return await self.store.list_parts("", 10_000)

    def half_written(self) -> list[Path]:
        return list(self.folder.glob("tmp/*"))

    def connections(self) -> list[object]:
        """The connections it has from the front."""
        assert self._server is not None
        return self._server._site.connections()
