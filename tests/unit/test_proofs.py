"""Proofs of the cluster key: valid for one key, one pair of nonces, one side, one node and one cluster."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storaged.parts import proofs
from storaged.parts.errors import AccessDenied, BadRequest
from storaged.parts.proofs import Challenge, ClusterKeys, Session

OLD, NEW, OTHER = "0123456789abcdef", "fedcba9876543210", "o" * 16
KEYS = ClusterKeys([OLD])
FRONT, NODE = "ab" * 32, "cd" * 32
HERE = Challenge(FRONT, NODE)
OTHERS = [Challenge("ac" * 32, NODE), Challenge(FRONT, "ce" * 32), Challenge(NODE, FRONT)]


def test_both_sides_prove_the_key() -> None:
    assert proofs.check_nonce(FRONT) == FRONT
    assert proofs.check_node(KEYS, HERE, "n1", proofs.prove_node(KEYS, HERE, "n1")) == OLD
    header = proofs.format_proof(OLD, HERE, "n1", "c")
    assert OLD not in header
    assert proofs.check_front(KEYS, HERE, header, "n1", "c") == Session(OLD)


def test_a_proof_of_a_node_is_for_its_key_its_nonces_and_its_id() -> None:
    proven = proofs.prove_node(KEYS, HERE, "n1")
    cases = [(ClusterKeys([OTHER]), HERE, "n1"), (KEYS, HERE, "n2"), *((KEYS, each, "n1") for each in OTHERS)]
    for keys, challenge, node in cases:
        with pytest.raises(AccessDenied, match="did not prove"):
            proofs.check_node(keys, challenge, node, proven)


def test_a_proof_of_a_front_is_for_its_key_its_nonces_its_node_and_its_cluster() -> None:
    header = proofs.format_proof(OLD, HERE, "n1", "c")
    for keys, node, cluster in [
        (ClusterKeys([OTHER]), "n1", "c"),
        (KEYS, "n2", "c"),
        (KEYS, "n1", "d"),
        (KEYS, "n1", ""),
    ]:
        with pytest.raises(AccessDenied, match="key is wrong"):
            proofs.check_front(keys, HERE, header, node, cluster)
    for challenge in [None, *OTHERS]:
        with pytest.raises(AccessDenied, match="not for a nonce of this connection"):
            proofs.check_front(KEYS, challenge, header, "n1", "c")
    (node_proof,) = proofs.prove_node(KEYS, HERE, "n1")
    with pytest.raises(AccessDenied, match="key is wrong"):
        # What the node itself proves is no proof of a front.
        proofs.check_front(KEYS, HERE, f"{proofs.SCHEME} {FRONT} {NODE} {node_proof}", "n1", "")


@pytest.mark.parametrize(
    ("front", "node", "used"),
    [([OLD], [OLD, NEW], OLD), ([OLD, NEW], [OLD, NEW], OLD), ([NEW, OLD], [OLD, NEW], NEW), ([NEW, OLD], [OLD], OLD)],
)
def test_while_a_key_is_changed_the_front_uses_its_first_that_the_node_has(
    front: list[str], node: list[str], used: str
) -> None:
    front_keys, node_keys = ClusterKeys(front), ClusterKeys(node)
    assert proofs.check_node(front_keys, HERE, "n1", proofs.prove_node(node_keys, HERE, "n1")) == used
    header = proofs.format_proof(used, HERE, "n1", "c")
    session = proofs.check_front(node_keys, HERE, header, "n1", "c")
    assert node_keys.has(session.key)
    node_keys.take([OTHER])
    assert not node_keys.has(session.key)


@given(st.text() | st.lists(st.sampled_from([proofs.SCHEME, FRONT, NODE, ""]), max_size=6).map(" ".join))
def test_any_other_header_is_refused(header: str) -> None:
    with pytest.raises(AccessDenied):
        proofs.check_front(KEYS, HERE, header, "n1", "c")


@pytest.mark.parametrize("nonce", [None, "", "ab", "AB" * 32, "ab" * 33, "zz" * 32, "ab" * 32 + "\n"])
def test_what_is_no_nonce_is_refused(nonce: str | None) -> None:
    with pytest.raises(BadRequest, match="64 lower-case"):
        proofs.check_nonce(nonce)
