"""A storage server of a test's cluster: it can be stopped, restarted, damaged and inspected."""

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
from storaged.system.descriptors import present_descriptors
from storaged.system.sizes import Size
from tests.cluster.harm import HarmedFilesystem
from tests.ports import free_ports

KEY = "0123456789abcdef0123456789abcdef"


def endpoint(host: str, port: int) -> str:
    """Return the Twisted endpoint that listens on an address."""
    return f"tcp:{port}:interface={quoteStringArgument(host)}"


def http_url(host: str, port: int) -> str:
    """Return the URL of a server that listens there."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Node:
    """One storage server.

    :param node_id: its id.
    :param folder: the folder of its parts.
    :param host: the address that it listens on.
    """

    def __init__(self, node_id: str, folder: Path, reactor: Any, host: str = "127.0.0.1") -> None:
        self.host = host
        self.node_id = node_id
        self.folder = folder
        self.port = free_ports()
        self.stop_timeout_s = 0.0
        self.scrub_days = 0.0
        self.key = KEY
        self.listen = ""
        self.access_log = ""
        self.filesystem = HarmedFilesystem()
        self._reactor = reactor
        self._server: StorageServer | None = None

    async def start(self) -> None:
        self._server = self.make_server()
        await self._server.start()
        assert self._server.port is not None
        self.port = self._server.port.getHost().port

    def make_server(self) -> StorageServer:
        """Return a server that the test starts."""
        config = Config(
            node=self.node_id,
            data=str(self.folder),
            cluster_key_file="",
            listen=self.listen or endpoint(self.host, self.port),
            reserve=Size(0),
            threads=4,
            stop_timeout_s=self.stop_timeout_s,
            scrub_days=self.scrub_days,
            access_log=self.access_log,
        )
        return StorageServer(config, self.key, self.filesystem, self._reactor, WallClock(), present_descriptors())

    def end(self) -> Deferred[None]:
        """Stop it as a signal does.

        :return: a Deferred that fires when it has stopped.
        """
        server, self._server = self._server, None
        assert server is not None
        return server.stop()

    async def stop(self) -> None:
        """Stop it: its connections are cut, and its port refuses new ones."""
        self.filesystem.release()
        server, self._server = self._server, None
        if server is not None:
            await server.stop()

    def parts(self) -> dict[str, Path]:
        """Return the files of its parts that are not packed, by part id."""
        return {path.name: path for path in self.folder.glob("parts/*/*")}

    def trash(self) -> list[Path]:
        """Return the files of the parts in its trash."""
        return list(self.folder.glob("trash/*"))

    @property
    def store(self) -> DiskPartStore:
        """Its part store, for direct access without the protocol."""
        assert self._server is not None
        return self._server.store

    async def listed(self) -> list[PartInfo]:
        """Return its parts, packed or not, as its store lists them."""
        return await self.store.list_parts("", 10_000)

    def half_written(self) -> list[Path]:
        return list(self.folder.glob("tmp/*"))

    def connections(self) -> list[object]:
        """The connections that the front has to it."""
        assert self._server is not None
        return self._server._site.connections()
