"""Proofs of the cluster key: valid for one key, one pair of nonces, one side and one request, and for a short time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from storaged.parts import proofs
from storaged.parts.errors import AccessDenied, BadRequest

KEY = "0123456789abcdef"
FRONT = "ab" * 32
REQUEST = "GET /v1/node"


def challenges(clock: Clock, secret: bytes = b"s" * 32) -> proofs.Challenges:
    return proofs.Challenges(KEY, secret, clock.seconds)


def test_both_sides_prove_the_key() -> None:
    node = challenges(Clock())
    nonce = node.issue(FRONT)
    assert proofs.check_nonce(nonce) == nonce
    proofs.check_node(KEY, FRONT, nonce, proofs.prove_node(KEY, FRONT, nonce))
    header = proofs.format_proof(KEY, FRONT, nonce, REQUEST)
    assert KEY not in header
    node.check(header, REQUEST)


def test_a_proof_of_a_node_is_for_its_key_and_its_nonces() -> None:
    proof = proofs.prove_node(KEY, FRONT, "cd" * 32)
    for key, front, node in [("other" * 4, FRONT, "cd" * 32), (KEY, "ac" * 32, "cd" * 32), (KEY, FRONT, "ce" * 32)]:
        with pytest.raises(AccessDenied, match="did not prove"):
            proofs.check_node(key, front, node, proof)


def test_a_proof_of_a_front_is_for_one_request_key_and_node_and_not_for_long() -> None:
    clock = Clock()
    clock.advance(1000)
    node = challenges(clock)
    nonce = node.issue(FRONT)
    header = proofs.format_proof(KEY, FRONT, nonce, REQUEST)
    with pytest.raises(AccessDenied, match="key is wrong"):
        node.check(header, "GET /v1/parts?after=&limit=1")
    with pytest.raises(AccessDenied, match="key is wrong"):
        node.check(proofs.format_proof("other" * 4, FRONT, nonce, REQUEST), REQUEST)
    with pytest.raises(AccessDenied, match="key is wrong"):
        # What the node itself proves is no proof of a front.
        node.check(f"{proofs.SCHEME} {FRONT} {nonce} {proofs.prove_node(KEY, FRONT, nonce)}", REQUEST)
    with pytest.raises(AccessDenied, match="not of this node"):
        challenges(clock, b"t" * 32).check(header, REQUEST)
    with pytest.raises(AccessDenied, match="not of this node"):
        node.check(proofs.format_proof(KEY, FRONT, "cd" * 32, REQUEST), REQUEST)
    clock.advance(proofs.NONCE_LIFE_S)
    node.check(header, REQUEST)
    clock.advance(1)
    with pytest.raises(AccessDenied, match="too old"):
        node.check(header, REQUEST)


@given(st.text() | st.lists(st.sampled_from([proofs.SCHEME, FRONT, "cd" * 32, ""]), max_size=6).map(" ".join))
def test_any_other_header_is_refused(header: str) -> None:
    with pytest.raises(AccessDenied):
        challenges(Clock()).check(header, REQUEST)


@pytest.mark.parametrize("nonce", [None, "", "ab", "AB" * 32, "ab" * 33, "zz" * 32, "ab" * 32 + "\n"])
def test_what_is_no_nonce_is_refused(nonce: str | None) -> None:
    with pytest.raises(BadRequest, match="64 lower-case"):
        proofs.check_nonce(nonce)
