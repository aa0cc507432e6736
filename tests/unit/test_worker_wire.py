"""What crosses the socket arrives as it was sent."""

from __future__ import annotations

from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitd import errors
from splitd.interfaces.uploads import Commit
from splitd.model.conditions import Condition, Held
from splitd.model.if_header import IfHeader, Term, TermList
from splitd.model.media import Media
from splitd.model.properties import PropertyChanges
from splitd.model.tree import Collection, Member
from splitd.workers import methods
from splitd.workers.wire import (
    DONE,
    MAX_FRAME,
    Frames,
    WorkerFault,
    decode_error,
    encode,
    encode_error,
    encode_frame,
    encode_frames,
)
from tests.catalogs import A, manifest

CONDITION = Condition(
    match=('"a"',),
    none_match=("*",),
    unmodified_since_s=7,
    if_header=IfHeader((TermList("/f", (Term(negated=True, token="urn:1"), Term(negated=False, etag='"b"'))),)),
    collections=("/c",),
    held=Held(3, frozenset({("/f", "urn:1")})),
    user="anna",
    is_key=True,
)


@given(st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(-3, 9), st.binary()), max_size=4)), st.data())
def test_frames_arrive_whole_however_the_stream_is_cut(
    frames: list[list[tuple[int, int, bytes]]], data: st.DataObject
) -> None:
    stream = b"".join(encode_frame([(number, what, encode(body)) for number, what, body in frame]) for frame in frames)
    cutter, found = Frames(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += [[(number, what, bytes(body)) for number, what, body in each] for each in cutter.feed(stream[:size])]
        stream = stream[size:]
    assert found == [[(number, what, bytes(encode(body))) for number, what, body in frame] for frame in frames]


def test_a_frame_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        list(Frames().feed((MAX_FRAME + 1).to_bytes(4, "big")))


@pytest.mark.parametrize("kind", [kind for kind in vars(errors).values() if isinstance(kind, type)])
def test_each_error_arrives_as_itself(kind: type[errors.SplitdError]) -> None:
    arguments: dict[type, tuple[object, ...]] = {
        errors.TooManyLogins: (7,),
        errors.LoginUnavailable: (7,),
        errors.Protected: (("/a", "/b"),),
        errors.NotEnoughNodes: (("n1 is down",),),
    }
    more = next((arguments[each] for each in kind.__mro__ if each in arguments), ())
    sent = kind("no\ud800 such thing", *more)
    body = encode_error(sent)
    assert body is not None
    got = decode_error(body)
    assert type(got) is kind
    assert (str(got), vars(got)) == ("no? such thing", vars(sent))


def test_an_error_that_nobody_has_foreseen_is_no_error_of_ours() -> None:
    assert encode_error(KeyError("x")) is None
    assert encode_error(WorkerFault("x")) is None


def test_arguments_arrive_as_they_were_sent() -> None:
    commit = Commit("/f", manifest(A), CONDITION, 3)
    assert methods.COMMIT.arguments(methods.COMMIT.call(1, [commit])[2]) == ([commit], {})
    move = methods.MOVE.call(1, ["/a", "/b", CONDITION, True])
    assert methods.MOVE.arguments(move[2]) == (["/a", "/b", CONDITION], {"overwrite": True})
    changes = PropertyChanges(MappingProxyType({"a": "<a/>"}), ("b",))
    [_, got, _], _ = methods.CHANGE_PROPERTIES.arguments(
        methods.CHANGE_PROPERTIES.call(1, ["/a", changes, CONDITION])[2]
    )
    assert got == PropertyChanges({"a": "<a/>"}, ["b"])


def test_files_and_collections_are_told_apart() -> None:
    file, plain = manifest(A), Collection(1, 2)
    for found in (None, file, plain, Collection(1, 2, implied=True, own=file)):
        assert methods.LOOKUP.decode_result(methods.LOOKUP.encode_result(found)) == found
    members = [Member("a", file), Member("b", plain)]
    assert methods.LIST_MEMBERS.decode_result(methods.LIST_MEMBERS.encode_result(members)) == members


def test_a_manifest_keeps_all_it_has() -> None:
    version = manifest(A, parity=2)
    media = Media("text/plain", etag="abc", metadata=(("a", "b"),))
    full = type(version)(A, 1, 2, 4, 2, 8, ("a", "", "c"), media, b"\0\1", "f" * 32)
    assert methods.LOOKUP.decode_result(methods.LOOKUP.encode_result(full)) == full


def test_processes_of_different_methods_do_not_understand_each_other() -> None:
    before = methods.fingerprint()
    methods.METHODS.append(methods.PING)
    try:
        assert methods.fingerprint() != before
    finally:
        methods.METHODS.pop()
    assert methods.fingerprint() == before
    assert DONE < 0


def test_entries_that_are_very_large_together_go_in_frames_of_their_own() -> None:
    small, large = encode("x"), encode(b"x" * (17 << 20))
    entries = [(1, DONE, small), (2, DONE, large), (3, DONE, small)]
    frames = list(encode_frames(entries))
    found = list(Frames().feed(b"".join(frames)))
    assert [[number for number, _, _ in each] for each in found] == [[1, 2], [3]]
    assert list(encode_frames([])) == []
