"""Nodes that were declared lost, and nodes that are being drained, in the registry."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from splitd.errors import NotEnoughNodes
from splitd.model.health import Health
from splitd.model.nodes import NodeEntry, RegistryInvalid, compare_entries
from splitd.nodes.file import read_registry
from splitd.nodes.registry import NodeRegistry
from storaged.parts.errors import NodeUnavailable
from tests.fired import fired
from tests.unit.test_registry import Store, registry


def entries(count: int, **states: str) -> list[NodeEntry]:
    names = [f"n{number}" for number in range(1, count + 1)]
    return list(read_registry("r", "".join(
        f"- {{id: {name}, url: 'http://{name}:1', state: {states.get(name, 'active')}}}\n" for name in names
    )))  # fmt: skip


def up(count: int) -> tuple[NodeRegistry, dict[str, Store]]:
    nodes, stores, _ = registry(count)
    nodes.poll()
    for store in stores.values():
        store.answer(1000)
    return nodes, stores


def problem_of(result: Deferred[object]) -> str:
    failures: list[Failure] = []
    result.addErrback(failures.append)
    return f"{failures[0].type.__name__}: {failures[0].value}"


def test_a_lost_node_is_asked_for_nothing_any_more() -> None:
    nodes, stores = up(3)
    pending = nodes.ask()
    nodes.replace(entries(3, n2="lost"))
    asked = len(stores["n2"].asked)
    assert (stores["n2"].retired, stores["n2"].ended) == (True, [(0.0, "it was declared lost")])
    nodes.poll()
    nodes.ask()
    nodes.refresh()
    nodes.look_again()
    assert len(stores["n2"].asked) == asked
    stores["n2"].asked[-1].errback(NodeUnavailable("it does not answer"))  # what was asked before it was lost
    [_, node, _] = nodes.nodes()
    assert (node.state, node.health.problem, node.room, nodes.is_usable("n2")) == (
        "lost",
        "it was declared lost",
        0,
        False,
    )
    assert nodes.node_ids() == ["n1", "n3"]
    store = nodes.store("n2")
    for call in (
        store.stat("p"), store.open("p", None), store.create("p", 1), store.remove("p"), store.trash("p"),
        store.list_parts("", 1), store.info(),
    ):  # fmt: skip
        assert problem_of(call) == "NodeUnavailable: node n2: it was declared lost"
    many: list[Deferred[list[Any]]] = [
        store.put_all([("p", b""), ("q", b"")]), store.get_all(["p", "q"]), store.remove_all(["p", "q"]),
        store.look_all(["p", "q"]),
    ]  # fmt: skip
    for call in many:
        assert [str(problem) for problem in fired(call)] == ["node n2: it was declared lost"] * 2
    assert not pending.called or node.state == "lost"


def test_a_node_that_is_lost_from_the_start_has_no_connection() -> None:
    asked: list[str] = []

    def connect(entry: NodeEntry) -> Store:
        asked.append(entry.id)
        return Store(entry.id)

    _, _, clock = registry()
    nodes = NodeRegistry(entries(2, n1="lost"), connect, clock, lambda: 0.5)
    nodes.poll()
    assert asked == ["n2"]
    assert [node.state for node in nodes.nodes()] == ["lost", "unknown"]


@pytest.mark.parametrize("state", ["draining", "lost"])
def test_a_node_that_is_draining_or_lost_gets_no_part(state: str) -> None:
    nodes, _ = up(3)
    nodes.replace(entries(3, n2=state))
    for _ in range(20):
        assert sorted(nodes.place(2, 1, ())) == ["n1", "n3"]
    with pytest.raises(NotEnoughNodes, match=f"n2 is {state}"):
        nodes.place(3, 1, ())


def test_a_draining_node_is_read_and_asked_as_before_and_may_be_active_again() -> None:
    nodes, stores = up(2)
    nodes.replace(entries(2, n1="draining"))
    assert (nodes.nodes()[0].state, nodes.is_usable("n1"), nodes.node_ids()) == ("draining", True, ["n1", "n2"])
    nodes.poll()
    assert len(stores["n1"].asked) == 2
    nodes.replace(entries(2))
    assert nodes.nodes()[0].takes_parts


def test_a_lost_node_stays_lost() -> None:
    nodes, _ = up(2)
    nodes.replace(entries(2, n1="lost"))
    for state in ("active", "readonly", "draining"):
        with pytest.raises(RegistryInvalid, match="node n1 was declared lost, which cannot be taken back"):
            nodes.replace(entries(2, n1=state, n2="readonly"))
    assert [node.state for node in nodes.nodes()] == ["lost", "up"]
    assert not nodes.replace(entries(2, n1="lost"))
    with pytest.raises(RegistryInvalid, match="the list ends without node n1"):
        nodes.replace(entries(2)[1:])


def test_a_node_that_is_lost_moves_nowhere() -> None:
    nodes, _ = up(2)
    nodes.replace(entries(2, n1="lost"))
    moved = [NodeEntry("n1", "http://elsewhere:1", state="lost"), *entries(2)[1:]]
    assert nodes.replace(moved).moved == ("n1",)
    assert nodes.nodes()[0].state == "lost"


def test_a_new_server_may_listen_where_a_lost_one_did() -> None:
    text = "- {id: n1, url: 'http://h:1', state: lost}\n- {id: n2, url: 'http://h:1'}\n"
    assert [entry.id for entry in read_registry("r", text)] == ["n1", "n2"]
    assert [entry.id for entry in read_registry("r", "\n".join(reversed(text.splitlines())))] == ["n2", "n1"]
    with pytest.raises(RegistryInvalid, match="url http://h:1 stands on line 2 already"):
        read_registry("r", text + "- {id: n3, url: 'http://h:1/'}\n")


def test_the_change_to_lost_is_a_change() -> None:
    assert compare_entries(entries(2), entries(2, n2="lost")).changed == ("n2",)


def test_nothing_makes_a_lost_node_well() -> None:
    health = Health(0.0)
    health.answered(0.0)
    health.lose()
    health.answered(1.0)
    health.silent(2.0, "gone", stranger=True)
    health.failed(3.0, "broke off")
    health.not_asked(4.0)
    health.forgive(5.0)
    assert (health.state, health.problem, health.usable, health.due) == (
        "lost",
        "it was declared lost",
        False,
        float("inf"),
    )
