from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from storaged.parts.decoding import PartChecker
from storaged.parts.format import PartId, encode_part
from storaged.parts.pieces import Pieces


@given(st.lists(st.binary(max_size=50), max_size=10), st.lists(st.integers(1, 60), max_size=30))
def test_bytes_come_out_as_they_went_in_however_they_are_taken(added: list[bytes], counts: list[int]) -> None:
    pieces, out = Pieces(), b""
    for piece in added:
        pieces.add(piece)
    for count in counts:
        pieces.trim()
        if pieces.available:
            out += pieces.take_some(count)
    pieces.trim()
    out += pieces.take(pieces.available)
    assert out == b"".join(added)


def test_a_checker_that_waits_keeps_only_what_it_cannot_judge_yet() -> None:
    part, read = PartId("3f" + "0" * 30, 1), 256 * 1024
    stored = encode_part(part, 1000, bytes(2 * read))
    checkers = [PartChecker(part) for _ in range(20)]
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for checker in checkers:
            checker.feed(bytes(memoryview(stored)[:read]))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < read
