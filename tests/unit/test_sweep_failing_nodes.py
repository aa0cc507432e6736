"""Nodes that fail, are silent or list nonsense do not keep the others from being swept."""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, fail, succeed

from storaged.parts.errors import NodeUnavailable
from storaged.parts.memory import MemoryPartStore
from storaged.parts.values import PartInfo
from tests.clocks import wall_of
from tests.unit.sweeping import GRACE_S, IDS, Identity, place


@pytest_twisted.ensureDeferred
async def test_a_node_that_cannot_be_asked_is_left_for_the_next_time() -> None:
    at = await place()
    await at.put_parts(at.new_id())
    at.clock.advance(GRACE_S + 1)
    at.down = {"n2"}
    findings = await at.sweep.run()
    assert [node.problem for node in findings.nodes] == ["", "connection refused", ""]
    assert len(at.trashed()) == 2
    at.down = set()
    await at.sweep.run()
    assert len(at.trashed()) == 3


@pytest_twisted.ensureDeferred
async def test_silent_nodes_keep_no_others_waiting() -> None:
    at = await place()
    await at.put_parts(at.new_id())
    at.clock.advance(GRACE_S + 1)
    silent = [f"silent-{number}" for number in range(20)]
    at.ids = [*silent, *IDS]
    held: list[Deferred[list[PartInfo]]] = []
    for node in silent:
        at.stores[node] = MemoryPartStore(capacity=1, identity=Identity(node), clock=at.clock, wall=wall_of(at.clock))
        at.stores[node].list_parts = lambda *_: held.append(Deferred()) or held[-1]  # type: ignore[method-assign,func-returns-value]
    asked: list[str] = []
    for node in IDS:
        lists = at.stores[node].list_parts
        at.stores[node].list_parts = (  # type: ignore[method-assign]
            lambda after, limit, node=node, lists=lists: asked.append(node) or lists(after, limit)
        )
    sweeping = at.sweep.run()
    assert (sorted(asked), len(held)) == (sorted(IDS * 2), 20)  # each to its end, while the others are silent
    for each in held:
        each.errback(NodeUnavailable("no answer"))
    findings = await sweeping
    assert [node.problem for node in findings.nodes] == ["no answer"] * 20 + [""] * 3
    assert len(at.trashed()) == 3


@pytest.mark.parametrize("listed", [["x"], [f"{1:032x}.0"], [f"{2:032x}.0", f"{1:032x}.0"]])
@pytest_twisted.ensureDeferred
async def test_a_node_whose_list_makes_no_sense_spoils_no_other_nodes_sweep(listed: list[str]) -> None:
    at = await place()
    await at.put_parts(at.new_id())
    at.clock.advance(GRACE_S + 1)
    page = [PartInfo(part_id, 100, 1) for part_id in listed]
    at.stores["n2"].list_parts = lambda *_: succeed(page)  # type: ignore[method-assign]
    findings = await at.sweep.run()
    assert [bool(node.problem) for node in findings.nodes] == [False, True, False]
    assert "listed" in findings.nodes[1].problem
    assert [node.trashed for node in findings.nodes] == [1, 0, 1]


@pytest_twisted.ensureDeferred
async def test_a_node_that_fails_while_orphans_are_put_aside_is_swept_again_next_time() -> None:
    at = await place()
    for _ in range(3):
        await at.put_parts(at.new_id())
    at.clock.advance(GRACE_S + 1)
    puts_aside = at.stores["n2"].trash
    answers = iter([True, False])
    at.stores["n2"].trash = (  # type: ignore[method-assign]
        lambda part: puts_aside(part) if next(answers) else fail(NodeUnavailable("its disk fails"))
    )
    findings = await at.sweep.run()
    assert [node.trashed for node in findings.nodes] == [3, 1, 3]
    assert findings.nodes[1].problem == "its disk fails; 2 orphans are left for the next sweep"
