"""The registry's knowledge of its nodes, and when it polls them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from splitd.model.nodes import NodeEntry
from splitd.nodes.registry import NodeRegistry
from storaged.parts.errors import NodeUnavailable
from storaged.parts.values import NodeInfo, PartInfo


class Store:
    """A node that answers when the test decides."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.asked: list[Deferred[NodeInfo]] = []
        self.ended: list[tuple[float, str]] = []
        self.retired = False

    def info(self) -> Deferred[NodeInfo]:
        self.asked.append(Deferred())
        return self.asked[-1]

    def retire(self) -> None:
        self.retired = True

    def end_waits(self, since: float, problem: NodeUnavailable) -> None:
        self.ended.append((since, str(problem)))

    def stat(self, part_id: str) -> Deferred[PartInfo]:
        return fail(NodeUnavailable(f"part {part_id} broke off").on(self.node))

    def answer(self, free: int) -> None:
        self.asked[-1].callback(NodeInfo(self.node, "c", 1000, free))


def registry(count: int = 1) -> tuple[NodeRegistry, dict[str, Store], Clock]:
    clock, stores = Clock(), {f"n{number}": Store(f"n{number}") for number in range(1, count + 1)}
    entries = [NodeEntry(node, f"http://{node}:1") for node in stores]
    return NodeRegistry(entries, lambda entry: stores[entry.id], clock, lambda: 0.5), stores, clock


def test_a_node_is_asked_one_question_at_a_time_and_what_was_reserved_is_taken_off_once() -> None:
    nodes, stores, _ = registry()
    nodes.poll()
    stores["n1"].answer(1000)
    nodes.reserve("n1", 300)
    first, second, third = nodes.ask(), nodes.ask(), nodes.refresh()
    assert len(stores["n1"].asked) == 2
    nodes.reserve("n1", 100)
    stores["n1"].answer(700)
    assert all(each.called for each in (first, second, third))
    [node] = nodes.nodes()
    assert (node.reserved, node.room) == (100, 600)


def test_a_poll_is_not_answered_by_a_request_that_was_sent_before_it() -> None:
    nodes, stores, _ = registry()
    nodes.ask()
    first, second = nodes.poll(), nodes.poll()
    assert len(stores["n1"].asked) == 1
    stores["n1"].asked[0].errback(NodeUnavailable("connection refused").on("n1"))
    assert (first.called, second.called, len(stores["n1"].asked)) == (False, False, 2)
    stores["n1"].answer(1000)
    [node] = nodes.nodes()
    assert (first.called, second.called, node.state) == (True, True, "up")


def test_a_poll_asks_nobody_any_more_after_a_stop() -> None:
    nodes, stores, _ = registry()
    nodes.ask()
    polled = nodes.poll()
    nodes.stop()
    assert (polled.called, len(stores["n1"].asked)) == (True, 1)


def test_room_for_parts_of_unknown_size_is_kept_until_it_is_released() -> None:
    nodes, stores, _ = registry()
    nodes.poll()
    stores["n1"].answer(1000)
    assert nodes.place(1, 200, (), is_guess=True) == ["n1"]
    nodes.ask()
    stores["n1"].answer(900)
    [node] = nodes.nodes()
    assert node.room == 700
    nodes.release("n1", 200)
    assert node.room == 900


def test_asking_forgives_nothing_and_a_look_of_the_operators_does() -> None:
    nodes, stores, clock = registry()
    nodes.poll()
    stores["n1"].answer(1000)
    for _ in range(4):
        nodes.failed("n1", "disk error")
        clock.advance(0.5)
        [node] = nodes.nodes()
        clock.advance(node.health.due - clock.seconds())
        nodes.ask()
        stores["n1"].answer(1000)
    nodes.failed("n1", "disk error")
    nodes.ask()
    stores["n1"].answer(1000)
    assert node.state == "down"
    nodes.poll()
    stores["n1"].answer(1000)
    assert node.state == "up"


def test_nodes_that_were_asked_together_are_not_asked_together_for_ever() -> None:
    nodes, stores, clock = registry(6)
    chances = iter([number / 10 for number in range(100)])
    nodes = NodeRegistry(
        [node.entry for node in nodes.nodes()], lambda entry: stores[entry.id], clock, lambda: next(chances)
    )
    nodes.ask()
    for store in stores.values():
        store.answer(1000)
    assert len({node.health.due for node in nodes.nodes()}) == 6


def test_the_latency_of_a_node_is_that_of_its_last_answer() -> None:
    nodes, stores, clock = registry()
    [node] = nodes.nodes()
    nodes.poll()
    assert node.latency_s is None
    clock.advance(0.25)
    stores["n1"].answer(1000)
    assert node.latency_s == 0.25
    nodes.ask()
    clock.advance(0.5)
    stores["n1"].asked[-1].errback(NodeUnavailable("gone"))
    assert node.latency_s is None


def test_an_answer_from_a_place_that_was_left_counts_for_nothing() -> None:
    nodes, stores, _ = registry()
    nodes.poll()
    old = stores["n1"]
    stores["n1"] = Store("n1")
    nodes.replace([NodeEntry("n1", "http://elsewhere:1")])
    old.asked[-1].errback(NodeUnavailable("gone"))
    stores["n1"].answer(1000)
    [node] = nodes.nodes()
    assert (node.state, old.retired, stores["n1"].retired) == ("up", True, False)


def test_requests_that_wait_for_a_node_end_when_a_later_question_shows_that_it_is_down() -> None:
    nodes, stores, clock = registry()
    clock.advance(100)
    nodes.poll()
    clock.advance(5)
    stores["n1"].asked[-1].errback(NodeUnavailable("connection refused").on("n1"))
    assert stores["n1"].ended == [(100, "connection refused")]
    nodes.poll()
    clock.advance(10)
    assert stores["n1"].ended[1:] == [(105, "no answer in 10 s")]


@pytest_twisted.ensureDeferred
async def test_a_node_that_fails_a_request_is_down_before_the_caller_learns_of_it() -> None:
    nodes, stores, _ = registry()
    nodes.poll()
    stores["n1"].answer(1000)
    with pytest.raises(NodeUnavailable):
        await nodes.store("n1").stat("p")
    [node] = nodes.nodes()
    assert (node.state, node.health.problem) == ("down", "part p broke off")


@pytest_twisted.ensureDeferred
async def test_a_failure_at_a_place_that_was_left_does_not_count_against_the_node() -> None:
    nodes, stores, _ = registry()
    nodes.poll()
    stores["n1"].answer(1000)
    old = nodes.store("n1")
    stores["n1"] = Store("n1")
    nodes.replace([NodeEntry("n1", "http://elsewhere:1")])
    stores["n1"].answer(1000)
    with pytest.raises(NodeUnavailable):
        await old.stat("p")
    [node] = nodes.nodes()
    assert node.state == "up"


@pytest.mark.parametrize("ask", [NodeRegistry.start, NodeRegistry.poll, NodeRegistry.ask, NodeRegistry.refresh])
def test_a_silent_node_keeps_nobody_waiting_for_long_and_its_answer_counts_when_it_comes(
    ask: Callable[[NodeRegistry], Deferred[None]],
) -> None:
    nodes, stores, clock = registry(2)
    nodes.poll()
    for store in stores.values():
        store.answer(1000)
    clock.advance(10.0)
    waiting = ask(nodes)
    stores["n1"].answer(900)
    clock.advance(1.0)
    assert not waiting.called
    clock.advance(2.0)
    assert waiting.called
    assert [node.free for node in nodes.nodes()] == [900, 1000]
    stores["n2"].answer(800)
    assert [node.free for node in nodes.nodes()] == [900, 800]
    nodes.stop()


@pytest.mark.parametrize("ask", [NodeRegistry.start, NodeRegistry.poll, NodeRegistry.ask])
def test_what_nodes_have_answered_while_this_process_stood_still_counts(
    ask: Callable[[NodeRegistry], Deferred[None]],
) -> None:
    nodes, stores, clock = registry(2)
    waiting = ask(nodes)
    stores["n1"].answer(1000)
    clock.advance(60)
    assert not waiting.called
    stores["n2"].answer(1000)  # it is read after the timers
    assert waiting.called
    assert [(node.state, node.free) for node in nodes.nodes()] == [("up", 1000), ("up", 1000)]
    waiting = nodes.ask()
    clock.advance(60)
    clock.advance(1)
    assert waiting.called
    assert [node.state for node in nodes.nodes()] == ["down", "down"]
    nodes.stop()


def test_a_recovery_is_told_when_a_node_can_be_used_again_and_only_then() -> None:
    nodes, stores, clock = registry()
    recovered: list[str] = []
    nodes.watch_recoveries(recovered.append)
    nodes.poll()
    stores["n1"].answer(1000)
    assert recovered == ["n1"]
    nodes.ask()
    stores["n1"].answer(0)  # it is full, and can be used
    assert recovered == ["n1"]
    nodes.failed("n1", "disk error")
    clock.advance(1.0)
    nodes.ask()
    stores["n1"].answer(1000)
    assert recovered == ["n1", "n1"]


def test_a_node_that_is_suspected_is_asked_at_once_and_used_until_it_fails_to_answer() -> None:
    nodes, stores, _ = registry(2)
    nodes.poll()
    for store in stores.values():
        store.answer(1000)
    nodes.suspect("n2")
    nodes.suspect("n2")
    nodes.suspect("nobody")
    assert [len(store.asked) for store in stores.values()] == [1, 2]
    assert nodes.is_usable("n2")
    stores["n2"].asked[-1].errback(NodeUnavailable("no answer").on("n2"))
    assert (nodes.is_usable("n1"), nodes.is_usable("n2")) == (True, False)
    nodes.suspect("n2")  # it is down already, and asked after pauses
    assert len(stores["n2"].asked) == 2


def test_a_node_that_is_suspected_and_answers_stays_in_use() -> None:
    nodes, stores, _ = registry()
    nodes.poll()
    stores["n1"].answer(1000)
    nodes.suspect("n1")
    stores["n1"].answer(1000)
    assert nodes.is_usable("n1")
