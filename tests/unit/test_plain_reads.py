"""Small files that need all their parts are read at once, unless it is known that a part will be missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed

from splitd.downloads.cache import VersionCache
from splitd.downloads.downloads import Downloads
from splitd.downloads.pins import Pins
from splitd.downloads.sources import Sources
from splitd.model.erasure import cut_whole
from splitd.model.manifest import Manifest
from splitd.model.striping import Layout
from splitd.model.traffic import Traffic
from storaged.parts.errors import NodeUnavailable, StoragedError
from storaged.parts.format import encode_parts

DATA = b"a small file"
LAYOUT = Layout(6, 0, 1024)
UPLOAD = f"{1:032x}"
NODES = tuple(f"n{number}" for number in range(1, 7))
FILE = Manifest(UPLOAD, len(DATA), 0, LAYOUT.data, 0, LAYOUT.unit, NODES)


class Nodes:
    """The nodes and their registry.

    :ivar away: those that do not answer.
    :ivar known_away: those of them that the registry knows of.
    :ivar reads: those that were asked for a part, in order.
    """

    def __init__(self) -> None:
        parts = encode_parts(UPLOAD, LAYOUT.unit, cut_whole(LAYOUT, DATA))
        self._parts = dict(zip(NODES, parts, strict=True))
        self.away: set[str] = set()
        self.known_away: set[str] = set()
        self.reads: list[str] = []

    def is_usable(self, node: str) -> bool:
        return node not in self.known_away

    def store(self, node: str) -> Any:
        return Store(self, node)

    def get(self, node: str) -> bytes | StoragedError:
        self.reads.append(node)
        return NodeUnavailable("it is away") if node in self.away else self._parts[node]

    def asked(self, requests: float) -> None:
        """Count requests, as the policy of reads."""


class Store:
    def __init__(self, nodes: Nodes, node: str) -> None:
        self._nodes, self._node = nodes, node

    def get_all(self, _: Sequence[str]) -> Deferred[list[bytes | StoragedError]]:
        return succeed([self._nodes.get(self._node)])


@pytest.fixture
def nodes() -> Nodes:
    return Nodes()


@pytest.fixture
def downloads(nodes: Nodes) -> Downloads:
    unused: Any = None
    sources = Sources(nodes, nodes, unused, unused)  # type: ignore[arg-type]
    return Downloads(sources, unused, Pins(), lambda _: None, VersionCache(0), Traffic(), small_part=65536)


def read(downloads: Downloads) -> list[bytes | None]:
    """Return what a read has come to; nothing if it was not begun."""
    reading, came = downloads.read_soon(FILE), list[bytes | None]()
    if reading is not None:
        reading.addCallback(came.append)
    return came


def test_all_parts_are_asked_for(nodes: Nodes, downloads: Downloads) -> None:
    assert read(downloads) == [DATA]
    assert nodes.reads == list(NODES)


def test_a_node_that_does_not_answer_leaves_the_file_to_the_way_that_tells_why(
    nodes: Nodes, downloads: Downloads
) -> None:
    nodes.away = {"n3"}
    assert read(downloads) == [None]


def test_no_node_is_asked_in_vain_where_one_is_known_to_be_away(nodes: Nodes, downloads: Downloads) -> None:
    nodes.away = nodes.known_away = {"n3"}
    assert read(downloads) == []
    assert nodes.reads == []
