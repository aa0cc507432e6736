"""The part protocol: both ends read messages alike, and a node that sends garbage counts as unusable."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from storaged.parts import errors, wire
from storaged.parts.proofs import ClusterKeys
from storaged.parts.values import NodeInfo, PartInfo

sizes = st.integers(0, 2**63 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]))
NAMES = {kind.__name__ for kind in wire.STATUS}
printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=500)


def kinds(root: type[errors.StoragedError]) -> set[type[errors.StoragedError]]:
    return {root}.union(*map(kinds, root.__subclasses__()))


def test_every_error_that_a_node_raises_has_a_status() -> None:
    never_sent = {errors.StoragedError, errors.PartError, errors.NotAsked}
    assert set(wire.STATUS) == kinds(errors.StoragedError) - never_sent


@given(st.sampled_from(list(wire.STATUS)), printable)
def test_an_error_travels(kind: type[errors.StoragedError], message: str) -> None:
    status, header = wire.format_error(kind(message))
    error = wire.parse_error(status, header)
    assert type(error) is kind
    assert str(error) == message.rstrip()


@given(st.sampled_from(list(wire.STATUS)), st.text())
@example(errors.BadPart, "")
@example(errors.BadPart, "a\r\nSet-Cookie: b")
@example(errors.BadPart, "x" * 499 + " y")
def test_an_error_is_a_header_that_http_leaves_as_it_is(kind: type[errors.StoragedError], message: str) -> None:
    status, header = wire.format_error(kind(message))
    assert header.isascii()
    assert header.isprintable()
    assert header == header.strip()
    assert len(header) < 600
    assert type(wire.parse_error(status, header)) is kind


@given(st.integers(100, 599), st.none() | st.text().filter(lambda text: text.partition(":")[0] not in NAMES))
@example(500, None)
@example(503, None)
@example(503, "Service Unavailable")
@example(404, "PartExists: a part of this id is here already")
@example(404, "StoragedError: no name of ours")
def test_an_answer_in_other_words_is_an_unusable_node(status: int, header: str | None) -> None:
    error = wire.parse_error(status, header)
    assert type(error) is errors.NodeUnavailable
    assert str(status) in str(error)


@given(texts)
def test_the_right_key_opens(key: str) -> None:
    wire.check_key(wire.format_key(key), ClusterKeys(["other", key]))


@given(st.none() | st.text(), st.text(min_size=1))
@example("Bearer ", "key")
@example("Bearer ke", "key")
@example("Bearer keyy", "key")
@example("bearer key", "key")
@example("key", "key")
@example("Bearer \udcff", "key")
def test_no_other_key_opens(header: str | None, key: str) -> None:
    if header != f"Bearer {key}":
        with pytest.raises(errors.AccessDenied):
            wire.check_key(header, ClusterKeys([key]))


def test_a_refusal_does_not_tell_the_key() -> None:
    with pytest.raises(errors.AccessDenied) as refused:
        wire.check_key("Bearer wrong", ClusterKeys(["secret"]))
    assert "secret" not in str(refused.value)


@given(st.lists(st.builds(PartInfo, texts, sizes, sizes), max_size=5))
def test_a_list_of_parts_travels(parts: list[PartInfo]) -> None:
    assert wire.decode_parts(wire.encode_parts(parts)) == parts


@given(st.builds(NodeInfo, texts, texts, sizes, sizes))
def test_what_a_node_says_of_itself_travels(node: NodeInfo) -> None:
    assert wire.decode_node(wire.encode_node(node)) == node


RUBBISH = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b"<html>",
    b'{"parts": [{"id": 1, "stored": 1, "modified_ms": 1}]}',
    b'{"parts": [{"id": "a", "stored": "1", "modified_ms": 1}]}',
    b'{"parts": [{"id": "a", "stored": 1}]}',
    b'{"parts": null}',
    b'{"id": "a", "cluster": "b", "capacity": 1.5, "free": 1}',
    b'{"id": "a", "cluster": "b", "capacity": 1}',
    b'{"id": "\xff", "cluster": "b", "capacity": 1, "free": 1}',
    b'{"id": "a", "cluster": "b", "capacity": 1, "free": 1',
    b'{"more": ' + b"[" * 100_000,
]


@pytest.mark.parametrize("body", RUBBISH, ids=range(len(RUBBISH)))
def test_an_answer_that_is_not_ours_is_an_unusable_node(body: bytes) -> None:
    with pytest.raises(errors.NodeUnavailable):
        wire.decode_parts(body)
    with pytest.raises(errors.NodeUnavailable):
        wire.decode_node(body)


@given(st.binary())
def test_no_answer_is_worse_than_an_unusable_node(body: bytes) -> None:
    for decode in (wire.decode_parts, wire.decode_node):
        with suppress(errors.NodeUnavailable):
            decode(body)


@given(sizes, st.integers(0, 200), st.integers(0, 255))
def test_an_answer_with_a_wrong_byte_is_read_or_an_unusable_node(size: int, place: int, byte: int) -> None:
    body = bytearray(wire.encode_node(NodeInfo("n1", "c1", size, size)))
    body[place % len(body)] = byte
    with suppress(errors.NodeUnavailable):
        wire.decode_node(bytes(body))


@given(sizes, st.text(alphabet="0123456789abcdef"))
def test_a_node_tells_its_reserve_its_volume_and_its_disk(size: int, volume: str) -> None:
    info = NodeInfo("n1", "c1", size, size, size, volume, disk=volume)
    assert wire.decode_node(wire.encode_node(info)) == info


def test_an_older_node_does_not_tell_its_reserve_and_its_volume() -> None:
    body = b'{"id": "n1", "cluster": "", "capacity": 2, "free": 1}'
    assert wire.decode_node(body) == NodeInfo("n1", "", 2, 1, 0, "")


def test_a_newer_node_may_say_more_of_itself() -> None:
    body = b'{"id": "n1", "cluster": "", "capacity": 2, "free": 1, "temperature": 40}'
    assert wire.decode_node(body) == NodeInfo("n1", "", 2, 1)


def test_urls_are_those_of_the_protocol() -> None:
    assert wire.part_path("a.1") == "/v1/parts/a.1"
    assert wire.list_path("a.1", 10) == "/v1/parts?after=a.1&limit=10"
