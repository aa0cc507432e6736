from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitd.cli.local.plan import ClusterPlan, choose_next, choose_numbers

_IDS = st.sets(st.integers(1, 30).map(lambda number: f"n{number}"))


def test_the_ports_follow_from_the_front_s() -> None:
    plan = ClusterPlan(Path("/v"), 9000, (1, 2, 7))
    assert plan.ports() == {
        9000: "the front",
        9001: "the operators' HTTP",
        9002: "S3",
        9011: "node n1",
        9012: "node n2",
        9017: "node n7",
    }
    assert plan.url == "http://127.0.0.1:9000"
    assert plan.admin == "http://127.0.0.1:9001"
    assert plan.s3 == "http://127.0.0.1:9002"
    assert [node.url for node in plan.nodes] == [f"http://127.0.0.1:{port}" for port in (9011, 9012, 9017)]


def test_the_front_is_told_where_everything_is() -> None:
    assert ClusterPlan(Path("/v"), 9000, (1,)).settings() == {
        "data": "/v/front/data",
        "listen": "tcp:9000:interface=127.0.0.1",
        "admin": "tcp:9001:interface=127.0.0.1",
        "s3": "tcp:9002:interface=127.0.0.1",
        "s3_key_file": "/v/s3.key",
        "registry": "/v/nodes.yaml",
        "cluster_key_file": "/v/cluster.key",
    }


def test_a_node_is_told_who_it_is() -> None:
    assert ClusterPlan(Path("/v"), 9000, (3,)).nodes[0].settings() == {
        "node": "n3",
        "data": "/v/nodes/n3/data",
        "listen": "tcp:9013:interface=127.0.0.1",
        "cluster_key_file": "/v/cluster.key",
    }


@pytest.mark.parametrize(("port", "number"), [(65525, 1), (65535, 6), (0, 1)])
def test_ports_that_do_not_exist_are_refused(port: int, number: int) -> None:
    with pytest.raises(ValueError, match=f"ports {port} to {port + 10 + number}"):
        ClusterPlan(Path("/v"), port, (number,))


def test_a_new_cluster_has_as_many_nodes_as_asked_for() -> None:
    assert choose_numbers(6, set(), set()) == (1, 2, 3, 4, 5, 6)


def test_a_new_node_takes_no_id_of_a_foreign_node() -> None:
    assert choose_numbers(3, {"n1", "n2", "nas"}, {"n1"}) == (1, 3, 4)


@given(st.integers(6, 40), _IDS, _IDS)
def test_no_node_of_a_cluster_is_ever_left_out(count: int, own: set[str], foreign: set[str]) -> None:
    chosen = [f"n{number}" for number in choose_numbers(count, own | foreign, own)]
    assert own <= set(chosen)
    assert len(chosen) == max(count, len(own))
    assert not set(chosen) & (foreign - own)


@given(st.integers(1, 9), _IDS, _IDS, _IDS)
def test_growth_finishes_what_was_begun_and_takes_no_id_twice(
    count: int, own: set[str], foreign: set[str], joined: set[str]
) -> None:
    chosen = [f"n{number}" for number in choose_next(count, foreign, own, joined)]
    assert len(set(chosen)) == count
    assert not set(chosen) & joined
    assert not set(chosen) & (foreign - own)
    begun = own - joined
    assert set(chosen) <= begun or begun <= set(chosen)
