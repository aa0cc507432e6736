"""One front and its storage servers in this process, on real sockets and real folders, with methods to damage them."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from treq.client import HTTPClient
from twisted.internet.defer import Deferred, DeferredList
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.iweb import IAgent
from zope.interface import implementer

from splitd.access.entries import read_users
from splitd.config import Config
from splitd.nodes.entries import read_registry
from splitd.service import Front
from storaged.system.clocks import WallClock
from storaged.system.descriptors import present_descriptors
from storaged.system.sizes import Size
from tests.cluster.harm import HarmedFilesystem
from tests.cluster.node import KEY, Node, endpoint, http_url
from tests.cluster.raw import RawClient, connect
from tests.cluster.waiting import becomes
from tests.ports import free_ports

_LOOK_S = 0.005


@attrs.define
class Answer:
    """An answer of the front."""

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


_LOOPBACK6 = "ipv6-loopback"


def _named(url: str) -> str:
    """Return a URL that treq accepts: it does not know IPv6 addresses."""
    return url.replace("[::1]", _LOOPBACK6)


@implementer(IAgent)
class _Loopback6:
    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def request(self, method: bytes, uri: bytes, headers: Any = None, bodyProducer: Any = None) -> Any:  # noqa: N803
        return self._agent.request(method, uri.replace(_LOOPBACK6.encode(), b"[::1]"), headers, bodyProducer)


class Cluster:
    """A front and its nodes.

    :param count: how many nodes.
    :param unit: bytes of one column in a full stripe; small, so that small files have many stripes.
    :param host: the address that all of them listen on.
    :param front_reactor: the reactor of the front; None for that of all others.
    :param settings: more settings of the front.
    :ivar users: the file of the users, read at the start of the front; None for none.
    :ivar s3_key: the only key for S3, used from the start of the front on; None for none.
    """

    def __init__(
        self,
        folder: Path,
        reactor: Any,
        count: int = 6,
        unit: int = 1024,
        host: str = "127.0.0.1",
        front_reactor: Any = None,
        **settings: Any,
    ) -> None:
        self.host = host
        self.folder = folder
        self.unit = unit
        # Copies of the journal are tested by test_journal_copies.py; elsewhere a node may come or go without them.
        self.settings: dict[str, Any] = {"node_timeout_s": 60.0, "stop_timeout_s": 0.0, "journal_copies": 0, **settings}
        self.nodes = [Node(f"n{number}", folder / f"n{number}", reactor, host) for number in range(1, count + 1)]
        self.urls: dict[str, str] = {}
        self.users: Path | None = None
        self.tracing: Any = None
        self.s3_key: tuple[str, str] | None = None
        self.descriptors = present_descriptors()
        self.journal_filesystem = HarmedFilesystem()
        self.front: Front | None = None
        self.registry = folder / "nodes.yaml"
        self.port = free_ports()
        self._reactor = reactor
        self._front_reactor = front_reactor or reactor
        self._pool = HTTPConnectionPool(reactor)
        self.client = HTTPClient(_Loopback6(Agent(reactor, pool=self._pool)))
        self._raw: list[RawClient] = []

    async def start(self) -> None:
        for node in self.nodes:
            await node.start()
        await self.start_front()

    async def start_front(self) -> None:
        self.front = self.make_front()
        await self.front.start()
        assert self.front.endpoints.port is not None
        self.port = self.front.endpoints.port.getHost().port

    def make_front(self, reactor: Any = None) -> Front:
        """Return a front that the test starts.

        :param reactor: its reactor; None for the cluster's.
        """
        self.write_registry()
        config = self.make_front_config()
        users = None if self.users is None else read_users(config.users, self.users.read_text())
        entries = read_registry(config.registry, self.registry.read_text())
        return Front(
            config,
            entries,
            KEY,
            self.journal_filesystem,
            reactor or self._front_reactor,
            WallClock(),
            self.descriptors,
            users,
            tracing=self.tracing,
            s3_key=self.s3_key,
        )

    def make_other_front(self) -> Front:
        """Return a second front over the same catalog in a database, which the test starts."""
        port, self.port = self.port, free_ports()
        try:
            return self.make_front()
        finally:
            self.port = port

    def make_front_config(self) -> Config:
        """Return the settings of the front.

        :raise ValueError: they cannot be used.
        """
        return Config(
            data=str(self.folder / "front"),
            registry=str(self.registry),
            cluster_key_file="",
            admin=endpoint(self.host, 0),
            unit=Size(self.unit),
            users=str(self.users or ""),
            s3=endpoint(self.host, 0),
            **{
                "listen": endpoint(self.host, self.port),
                "small_part": Size(0),
                "connect_timeout_s": 60.0,  # a busy machine is no reason to do without a node
                **self.settings,
            },
        )

    def write_registry(self) -> None:
        """Write a registry with the URLs of all nodes."""
        self.registry.write_text(
            "".join(f"- id: {node.node_id}\n  url: {self._node_url(node)}\n" for node in self.nodes)
        )

    def _node_url(self, node: Node) -> str:
        return self.urls.get(node.node_id, http_url(node.host, node.port))

    async def new_node(self, size: int | None = None) -> Node:
        """Start another storage server, which is not in the registry yet.

        :param size: the capacity that its disk reports; None for the real size.
        """
        number = len(self.nodes) + 1
        node = Node(f"n{number}", self.folder / f"n{number}", self._reactor, self.host)
        node.filesystem.size = size
        self.nodes.append(node)
        await node.start()
        return node

    async def reload(self) -> Answer:
        """Make the front read the registry."""
        return await self.ask("POST", f"{self.admin_url}/reload")

    async def stop_front(self) -> None:
        front, self.front = self.front, None
        if front is not None:
            await front.stop()

    async def restart_front(self) -> None:
        await self.stop_front()
        await self.start_front()

    async def change_front(self, **settings: Any) -> None:
        """Restart the front with other settings: short patience, say, once what needs no harm is done."""
        self.settings.update(settings)
        await self.restart_front()

    async def crash_front(self) -> None:
        """Stop the front in such a way that it writes nothing more."""
        self.journal_filesystem.room = 0
        await self.stop_front()
        self.journal_filesystem.room = None

    async def look_at_nodes(self) -> None:
        """Make the front poll all nodes now."""
        assert self.front is not None
        await self.front.registry.poll()

    async def disks_are_known(self) -> None:
        """Wait until the front has taken note of the disks of all nodes, and has nothing to write any more."""

        async def known() -> bool:
            assert self.front is not None
            return len(await self.front.catalog.disks.checked_disks()) == len(self.nodes)

        await becomes(known, "the front knows all disks")

    async def stop(self) -> None:
        for client in self._raw:
            client.reset()
        for node in self.nodes:
            node.filesystem.release()
        await self._pool.closeCachedConnections()
        await self.stop_front()
        await DeferredList([Deferred.fromCoroutine(node.stop()) for node in self.nodes])

    # Harm

    async def break_node(self, number: int) -> None:
        """Take a node away: its connections are cut, and its port refuses new ones."""
        await self.nodes[number].stop()

    async def mend_node(self, number: int) -> None:
        """Restart a node without any damage, and restart the front, which then finds it."""
        node = self.nodes[number]
        await node.stop()
        node.filesystem.room = None
        await node.start()
        await self.restart_front()

    def hang_node(self, number: int) -> None:
        """Make a node stop answering, because its disk does not answer."""
        self.nodes[number].filesystem.hold()

    def fill_node(self, number: int, room: int = 0) -> None:
        """Make a node's disk full after `room` more bytes are written."""
        self.nodes[number].filesystem.room = room

    async def refill_node(self, number: int, room: int) -> None:
        """Restart a node with `room` bytes of room, and restart the front, which then knows."""
        node = self.nodes[number]
        await node.stop()
        self.fill_node(number, room)
        await node.start()
        await self.restart_front()

    def part_files(self) -> list[Path]:
        """Return the files of the parts of the only file, by the parts' index."""
        files = [path for node in self.nodes for path in node.parts().values()]
        return sorted(files, key=lambda path: int(path.suffix[1:]))

    def corrupt_part(self, index: int, offset: int) -> None:
        """Flip one bit in a part of the only file."""
        file = self.part_files()[index]
        data = bytearray(file.read_bytes())
        data[offset] ^= 0x10
        file.write_bytes(data)

    # Use

    def url(self, path: str) -> str:
        return http_url(self.host, self.port) + path

    @property
    def admin_url(self) -> str:
        assert self.front is not None
        assert self.front.endpoints.admin_port is not None
        return http_url(self.host, self.front.endpoints.admin_port.getHost().port)

    @property
    def s3_url(self) -> str:
        assert self.front is not None
        assert self.front.endpoints.s3_port is not None
        return http_url(self.host, self.front.endpoints.s3_port.getHost().port)

    async def ask(self, method: str, path: str, data: Any = None, **headers: str) -> Answer:
        """Send one request to the front; return its whole answer."""
        named: Any = {name.replace("_", "-"): value for name, value in headers.items()}
        response = await self.client.request(
            method, _named(path if "://" in path else self.url(path)), data=data, headers=named, allow_redirects=False
        )
        return Answer(response.code, response.headers, response.length, await response.content())

    async def put(self, path: str, data: bytes, **headers: str) -> Answer:
        return await self.ask("PUT", path, data, **headers)

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.ask("GET", path, **headers)

    async def connect(self, receive_buffer: int | None = None) -> RawClient:
        """Return a raw connection to the front; it is cut at the end of the test."""
        client = await connect(self.port, receive_buffer)
        self._raw.append(client)
        return client

    def bound_sending(self, size: int) -> None:
        """Let the kernel keep about so many bytes for a client that does not read, on each new connection."""
        assert self.front is not None
        assert self.front.endpoints.port is not None
        self.front.endpoints.port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)  # type: ignore[attr-defined]

    async def status(self) -> Any:
        """Return the answer to `GET /status`."""
        return json.loads((await self.ask("GET", f"{self.admin_url}/status")).body)

    async def status_becomes(self, holds: Callable[[Any], object]) -> Any:
        """Wait until a condition holds for the status."""
        status: Any = None

        async def look() -> object:
            nonlocal status
            status = await self.status()
            return holds(status)

        try:
            await becomes(look, "the status", _LOOK_S)
        except AssertionError as problem:
            raise AssertionError(f"{problem}: {status}") from None
        return status

    def parts(self) -> dict[str, dict[str, Path]]:
        """Return the files of all parts: node id → part id → file."""
        return {node.node_id: node.parts() for node in self.nodes}

    def nothing_stored(self) -> bool:
        return not any(node.parts() or node.half_written() for node in self.nodes)

    def uploads_stored(self) -> set[str]:
        """Return the uploads that have parts, complete or half-written."""
        found = [name for node in self.nodes for name in node.parts()]
        found += [path.name for node in self.nodes for path in node.half_written()]
        return {name.partition(".")[0] for name in found}
