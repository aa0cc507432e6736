"""Bodies in chunks: what comes out does not depend on how the bytes were divided on their way."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storaged.http.chunks import BrokenChunks, ChunkDecoder

EXTENSIONS = st.sampled_from([b"", b";a", b";b=c", b';d="e f;\xff"'])
TRAILERS = st.lists(st.sampled_from([b"X: y\r\n", b"Content-Length: 7\r\n", b"Z:\r\n"]), max_size=3).map(b"".join)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A body, and how it is sent."""
    pieces = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=5))
    sent = b""
    for piece in pieces:
        zeros, form = b"0" * draw(st.integers(0, 3)), draw(st.sampled_from([b"%x", b"%X"]))
        sent += zeros + form % len(piece) + draw(EXTENSIONS) + b"\r\n" + piece + b"\r\n"
    return b"".join(pieces), sent + b"0" + draw(EXTENSIONS) + b"\r\n" + draw(TRAILERS) + b"\r\n"


def divide(data: bytes, places: list[int]) -> list[bytes]:
    cuts = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:stop] for start, stop in pairwise(cuts)]


def decode(pieces: list[bytes]) -> tuple[bytes, bytes, bool]:
    decoder, body, rest = ChunkDecoder(), b"", b""
    for piece in pieces:
        if decoder.ended:
            rest += piece
            continue
        out, rest = decoder.feed(piece)
        body += out
    return body, rest, decoder.ended


@given(bodies(), st.lists(st.integers(0, 10_000)), st.binary(max_size=10))
def test_a_body_comes_out_whole_and_what_is_behind_it_too(
    body: tuple[bytes, bytes], places: list[int], behind: bytes
) -> None:
    plain, sent = body
    assert decode(divide(sent + behind, places)) == (plain, behind, True)


@given(bodies(), st.integers(0, 10_000))
def test_a_body_that_breaks_off_has_not_ended(body: tuple[bytes, bytes], place: int) -> None:
    plain, sent = body
    found, rest, ended = decode([sent[: place % len(sent)]])
    assert plain.startswith(found)
    assert (rest, ended) == (b"", False)


NO_CHUNKS = [
    *(b"x\r\n", b"-5\r\n", b"+5\r\n", b"0x5\r\n", b" 5\r\n", b"5 \r\n", b"5 ;x\r\n", b"\r\n", b";x\r\n", b"5\n"),
    *(b"5\rabcde", b"5;x\ny\r\n", b"5;x\x00\r\n", b"5;" + b"x" * 2000, b"0" * 2000),
    *(b"1\r\nab\r\n", b"1\r\na\n", b"1\r\na\rb", b"2\r\na\r\n0\r\n\r\n"),
    *(b"0\r\nX : y\r\n\r\n", b"0\r\n: y\r\n\r\n", b"0\r\nX\r\n\r\n", b"0\r\nX: y\n\r\n", b"0\r\nX: \x00\r\n\r\n"),
    *(b"0\r\nX: " + b"y" * 70_000, b"0\r\n" + b"X: y\r\n" * 20_000),
]


@settings(max_examples=30)
@given(st.lists(st.integers(0, 1_000_000), max_size=5))
def test_what_is_no_chunk_is_refused_however_it_was_divided(places: list[int]) -> None:
    for sent in NO_CHUNKS:
        with pytest.raises(BrokenChunks):
            decode(divide(sent, places))


def test_small_chunks_that_arrive_together_come_out_together() -> None:
    decoder = ChunkDecoder()
    assert decoder.feed(b"2\r\nab\r\n1\r\nc\r\n" * 1000 + b"3\r\nde") == (b"abc" * 1000 + b"de", b"")
    assert decoder.feed(b"f\r\n0\r\n\r\nGET") == (b"f", b"GET")
