"""The front learns of rotten parts, and reports those that files need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from splitd.catalog.alone import Alone
from splitd.interfaces.nodes import INodeRegistry
from splitd.model.manifest import Manifest
from splitd.upkeep.rot import RotWatch
from splitd.upkeep.walks import Walks
from storaged.parts.errors import NodeUnavailable, StoragedError
from storaged.parts.findings import Findings
from storaged.parts.values import RottenPart
from tests.catalogs import A, B, C, manifest

AGAIN_S = 600.0


class Node:
    def __init__(self) -> None:
        self.findings = Findings()
        self.pages = 0
        self.problem: StoragedError | None = None
        self.hangs: Deferred[list[RottenPart]] | None = None

    def rotten(self, after: str, limit: int) -> Deferred[list[RottenPart]]:
        self.pages += 1
        if self.hangs is not None:
            return self.hangs
        return fail(self.problem) if self.problem else succeed(self.findings.page(after, limit))


@attrs.define
class World:
    """Some nodes and versions, and what was reported of them."""

    nodes: dict[str, Node] = attrs.Factory(lambda: {node: Node() for node in "abcdef"})
    versions: dict[str, Manifest] = attrs.Factory(lambda: {A: manifest(A, parity=2), B: manifest(B, parity=2)})
    found: list[tuple[str, int, str]] = attrs.Factory(list)
    clock: Clock = attrs.Factory(Clock)

    def store(self, node: str) -> Node:
        return self.nodes[node]

    def rotten(self) -> Mapping[str, int]:
        return {name: len(node.findings) for name, node in self.nodes.items() if len(node.findings)}

    def find_all(self, uploads: Sequence[str]) -> Deferred[list[Manifest | None]]:
        return succeed([self.versions.get(upload) for upload in uploads])

    def note(self, node: str, *parts: str) -> None:
        for part in parts:
            self.nodes[node].findings.note(part, f"{part} is wrong", 5)

    def watch(self) -> RotWatch:
        def found(version: Manifest, index: int, problem: str) -> None:
            self.found.append((version.upload, index, problem))

        registry: INodeRegistry = self  # type: ignore[assignment]
        return RotWatch(self.rotten, registry, self, found, self.clock, Walks(Alone(), self.clock))


@pytest.fixture
def world() -> World:
    return World()


@pytest_twisted.ensureDeferred
async def test_rotten_parts_are_reported_once_and_again_after_some_time(world: World) -> None:
    world.note("b", f"{A}.1", f"{B}.1")
    watch = world.watch()
    for _ in range(3):
        await watch.look()
    assert world.found == [(A, 1, f"{A}.1 is wrong"), (B, 1, f"{B}.1 is wrong")]
    world.nodes["b"].findings.forget(f"{A}.1")
    world.clock.advance(AGAIN_S)
    await watch.look()
    assert world.found[2:] == [(B, 1, f"{B}.1 is wrong")]


@pytest_twisted.ensureDeferred
async def test_only_parts_that_files_need_are_reported(world: World) -> None:
    world.note("b", f"{A}.1", f"{A}.2", f"{A}.9", f"{C}.1")  # of another node, of no part, of no version
    await world.watch().look()
    assert world.found == [(A, 1, f"{A}.1 is wrong")]


@pytest_twisted.ensureDeferred
async def test_a_part_that_was_healed_and_rots_again_is_reported_again(world: World) -> None:
    watch = world.watch()
    for _ in range(2):
        world.note("b", f"{A}.1")
        await watch.look()
        world.nodes["b"].findings.forget(f"{A}.1")
        await watch.look()
    assert len(world.found) == 2


@pytest_twisted.ensureDeferred
async def test_a_part_of_a_file_that_has_none_to_spare_is_logged_once_and_left_alone(world: World) -> None:
    world.versions = {A: manifest(A), B: manifest(B, parity=2, nodes=("", "", "c", "d", "e", "f"))}
    world.note("c", f"{A}.2", f"{B}.2")
    watch = world.watch()
    with capturedLogs() as logs:
        for _ in range(3):
            await watch.look()
            world.clock.advance(AGAIN_S)
    assert world.found == []
    assert [event["part"] for event in logs] == [f"{A}.2", f"{B}.2"]
    world.versions[B] = manifest(B, parity=2)  # it was healed
    await watch.look()
    assert world.found == [(B, 2, f"{B}.2 is wrong")]


@pytest_twisted.ensureDeferred
async def test_nodes_without_rot_are_not_asked(world: World) -> None:
    world.note("b", f"{A}.1")
    await world.watch().look()
    assert {name for name, node in world.nodes.items() if node.pages} == {"b"}


@pytest_twisted.ensureDeferred
async def test_very_many_rotten_parts_come_page_by_page(world: World) -> None:
    uploads = [f"{number:032x}" for number in range(1300)]
    world.versions = {upload: manifest(upload, parity=1) for upload in uploads}
    world.note("c", *(f"{upload}.2" for upload in uploads))
    await world.watch().look()
    assert [upload for upload, _, _ in world.found] == uploads


@pytest_twisted.ensureDeferred
async def test_a_node_that_fails_does_not_stop_the_others(world: World) -> None:
    for node, index in (("b", 1), ("c", 2)):
        world.note(node, f"{A}.{index}")
    world.nodes["b"].problem = NodeUnavailable("is gone")
    watch = world.watch()
    await watch.look()
    assert [index for _, index, _ in world.found] == [2]
    world.nodes["b"].problem = None
    await watch.look()
    assert [index for _, index, _ in world.found] == [2, 1]


def test_it_looks_from_time_to_time_and_stops(world: World) -> None:
    world.note("b", f"{A}.1")
    watch = world.watch()
    watch.start()
    world.clock.advance(60)
    assert len(world.found) == 1
    world.nodes["b"].hangs = Deferred()
    world.clock.advance(60)
    stopped = watch.stop()
    assert stopped.called
    assert world.clock.getDelayedCalls() == []
