"""Small files with parity are stored together though some parts are missing."""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from splitd.errors import NotEnoughNodes, UploadFailed
from splitd.uploads.group import Stored
from storaged.parts.errors import NodeUnavailable
from tests.unit.test_group_commit import Service


async def missing(service: Service, stored: Deferred[Stored]) -> list[int]:
    """The indexes of the parts of a stored file that are missing, as the catalog knows it."""
    manifest, _ = await stored
    page = await service.catalog.heal_ledger.hurt("", 100)
    assert (manifest in page.versions) == bool(manifest.missing)
    return manifest.missing


@pytest_twisted.ensureDeferred
async def test_files_are_stored_together_on_fewer_nodes_than_parts_if_they_may_miss_some() -> None:
    service = await Service(7, parity=2).start()
    stored = [service.put(f"/{number}") for number in range(20)]
    service.clock.advance(0)
    assert [await missing(service, each) for each in stored] == [[7]] * 20
    assert [len(node.asked) for node in service.nodes.nodes.values()] == [1] * 7
    assert (service.parts, service.hurt.count) == (7 * 20, 20)


@pytest_twisted.ensureDeferred
async def test_files_that_would_miss_too_much_are_refused() -> None:
    service = await Service(6, parity=2).start()
    stored = [service.put(f"/{number}") for number in range(3)]
    service.clock.advance(0)
    for each in stored:
        with pytest.raises(NotEnoughNodes):
            await each
    assert service.parts == 0


@pytest_twisted.ensureDeferred
async def test_a_file_that_a_node_failed_goes_to_other_nodes_if_there_are_enough() -> None:
    service = await Service(9, parity=2).start()
    service.nodes.nodes["n2"].refuses = NodeUnavailable("its disk is broken")
    stored = service.put("/file")
    service.clock.pump([0] * 5)
    assert await missing(service, stored) == []
    assert service.hurt.count == 0


@pytest_twisted.ensureDeferred
async def test_a_file_that_a_node_failed_is_committed_without_its_part_if_there_is_no_other_node() -> None:
    service = await Service(8, parity=2).start()
    service.nodes.nodes["n2"].refuses = NodeUnavailable("its disk is broken")
    stored = [service.put(f"/{number}") for number in range(3)]
    service.clock.pump([0] * 5)
    assert [await missing(service, each) for each in stored] == [[2]] * 3
    assert len(service.nodes.nodes["n0"].asked) == 1, "nothing was sent twice"
    assert service.hurt.count == 3


@pytest_twisted.ensureDeferred
async def test_a_file_that_too_many_nodes_failed_is_stored_nowhere() -> None:
    service = await Service(8, parity=2).start()
    for node in ("n2", "n5"):
        service.nodes.nodes[node].refuses = NodeUnavailable("its disk is broken")
    stored = service.put("/file")
    service.clock.pump([0] * 5)
    with pytest.raises(UploadFailed, match="node n2: its disk is broken; node n5: its disk is broken"):
        await stored
    service.clock.advance(1.0)
    assert (service.parts, await service.catalog.lookup("/file")) == (0, None)


@pytest_twisted.ensureDeferred
async def test_a_node_that_is_silent_is_waited_for_only_a_while_and_not_chosen_again() -> None:
    service = await Service(8, parity=2).start()
    held = service.hold()
    stored = service.put("/file")
    service.clock.advance(0)
    service.clock.advance(4.9)
    assert not stored.called
    service.clock.advance(0.1)
    assert await missing(service, stored) == [0]
    assert service.nodes.down == {"n0"}
    held.pop().callback(None)  # an answer that nobody waits for any more
    again = service.put("/again")
    service.clock.advance(0.1)
    assert await missing(service, again) == [7]


@pytest_twisted.ensureDeferred
async def test_without_parity_a_silent_node_is_waited_for() -> None:
    service = await Service(6).start()
    held = service.hold()
    stored = service.put("/file")
    service.clock.advance(0)
    service.clock.advance(1000.0)
    assert not stored.called
    held.pop().callback(None)
    assert await missing(service, stored) == []
