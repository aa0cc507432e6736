"""What the registry knows of its nodes, and when it asks them."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from splitd.model.nodes import NodeEntry
from splitd.nodes.registry import NodeRegistry
from storaged.parts.errors import NodeUnavailable
from storaged.parts.values import NodeInfo


class Store:
    """A node that answers when it is told to."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.asked: list[Deferred[NodeInfo]] = []

    def info(self) -> Deferred[NodeInfo]:
        self.asked.append(Deferred())
        return self.asked[-1]

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
    first, second, third = nodes.ask(), nodes.poll(), nodes.refresh()
    assert len(stores["n1"].asked) == 2
    nodes.reserve("n1", 100)
    stores["n1"].answer(700)
    assert all(each.called for each in (first, second, third))
    [node] = nodes.nodes()
    assert (node.reserved, node.room) == (100, 600)


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


def test_an_answer_from_a_place_that_was_left_counts_for_nothing() -> None:
    nodes, stores, _ = registry()
    nodes.poll()
    old = stores["n1"]
    stores["n1"] = Store("n1")
    nodes.replace([NodeEntry("n1", "http://elsewhere:1")])
    old.asked[-1].errback(NodeUnavailable("gone"))
    stores["n1"].answer(1000)
    [node] = nodes.nodes()
    assert node.state == "up"
