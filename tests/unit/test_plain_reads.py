"""Small files that need all their parts are read at once, unless it is known that a part will be missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from splitd.downloads.cache import VersionCache
from splitd.downloads.downloads import Downloads
from splitd.downloads.pins import Pins
from splitd.downloads.sources import Sources
from splitd.model.erasure import cut_whole
from splitd.model.manifest import Manifest
from splitd.model.striping import Layout
from splitd.model.traffic import Traffic
from splitd.store import ObjectStore
from storaged.parts.errors import NodeUnavailable, StoragedError
from storaged.parts.format import encode_parts
from storaged.parts.messages import MAX_GET

DATA = b"a small file"
LAYOUT = Layout(6, 0, 1024)
NODES = tuple(f"n{number}" for number in range(1, 7))


def file(number: int) -> Manifest:
    return Manifest(f"{number:032x}", len(DATA), 0, LAYOUT.data, 0, LAYOUT.unit, NODES)


FILE = file(1)


class Nodes:
    """The nodes and their registry.

    :ivar away: those that do not answer.
    :ivar known_away: those of them that the registry knows of.
    :ivar reads: those that were asked for parts, and for how many, in order.
    """

    def __init__(self) -> None:
        self.away: set[str] = set()
        self.known_away: set[str] = set()
        self.reads: list[tuple[str, int]] = []

    def is_usable(self, node: str) -> bool:
        return node not in self.known_away

    def store(self, node: str) -> Any:
        return Store(self, node)

    def get(self, node: str, part_id: str) -> bytes | StoragedError:
        if node in self.away:
            return NodeUnavailable("it is away")
        upload, index = part_id.split(".")
        assert NODES[int(index)] == node
        return encode_parts(upload, LAYOUT.unit, cut_whole(LAYOUT, DATA))[int(index)]

    def asked(self, requests: float) -> None:
        """Count requests, as the policy of reads."""


class Store:
    def __init__(self, nodes: Nodes, node: str) -> None:
        self._nodes, self._node = nodes, node

    def get_all(self, part_ids: Sequence[str]) -> Deferred[list[bytes | StoragedError]]:
        self._nodes.reads.append((self._node, len(part_ids)))
        return succeed([self._nodes.get(self._node, part_id) for part_id in part_ids])


@pytest.fixture
def nodes() -> Nodes:
    return Nodes()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def downloads(nodes: Nodes, clock: Clock) -> Downloads:
    unused: Any = None
    sources = Sources(nodes, nodes, clock, unused)  # type: ignore[arg-type]
    return Downloads(sources, unused, Pins(), lambda _: None, VersionCache(0), Traffic(), small_part=65536)


def read(downloads: Downloads, clock: Clock, *files: Manifest) -> list[bytes | None]:
    """Return what reads in one turn have come to; nothing for those that were not begun."""
    came = list[bytes | None]()
    for each in files:
        reading = downloads.read_soon(each)
        if reading is not None:
            reading.addCallback(came.append)
    clock.advance(0)
    return came


def test_all_parts_are_asked_for(nodes: Nodes, downloads: Downloads, clock: Clock) -> None:
    assert read(downloads, clock, FILE) == [DATA]
    assert nodes.reads == [(node, 1) for node in NODES]
    assert read(downloads, clock, FILE) == [DATA]
    assert nodes.reads == [(node, 1) for node in NODES] * 2


def test_the_parts_of_files_that_are_read_together_are_asked_for_together(
    nodes: Nodes, downloads: Downloads, clock: Clock
) -> None:
    files = [file(number) for number in range(1, 20)]
    assert read(downloads, clock, *files) == [DATA] * len(files)
    assert nodes.reads == [(node, count) for node in NODES for count in (MAX_GET, len(files) - MAX_GET)]


def test_a_node_that_does_not_answer_leaves_the_file_to_the_way_that_tells_why(
    nodes: Nodes, downloads: Downloads, clock: Clock
) -> None:
    nodes.away = {"n3"}
    assert read(downloads, clock, FILE, file(2)) == [None, None]


def test_no_node_is_asked_in_vain_where_one_is_known_to_be_away(
    nodes: Nodes, downloads: Downloads, clock: Clock
) -> None:
    nodes.away = nodes.known_away = {"n3"}
    assert read(downloads, clock, FILE) == []
    assert nodes.reads == []


class Catalog:
    """Knows the name of a file, which it has to prove; counts the proofs that were asked for."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self.proofs = 0

    def known_file(self, _: str) -> Any:
        return self._manifest, self._prove

    def _prove(self) -> Deferred[bool]:
        self.proofs += 1
        return succeed(True)


@pytest.mark.parametrize(
    ("change", "away", "proofs"),
    [
        ({}, set(), 1),
        ({}, {"n3"}, 0),
        ({"size": 16 * 1024 * 1024}, set(), 0),
        ({"parity": 1, "nodes": (*NODES, "n7")}, set(), 0),
    ],
)
def test_no_proof_is_asked_for_a_file_that_is_left_to_the_other_way(
    nodes: Nodes, downloads: Downloads, change: dict[str, Any], away: set[str], proofs: int
) -> None:
    nodes.known_away = away
    unused: Any = None
    catalog: Any = Catalog(msgspec.structs.replace(FILE, **change))
    others = {"wake_reaper": unused, "new_token": unused, "wall": unused}
    store = ObjectStore(catalog, unused, unused, unused, unused, unused, downloads, unused, **others)
    assert (store.read_soon("/a") is not None) == bool(proofs)
    assert catalog.proofs == proofs
