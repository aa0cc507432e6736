from __future__ import annotations

import itertools
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from storaged.parts.frames import FrameReceiver, frame

LIMIT = 1000


class Collector(FrameReceiver):
    MAX_LENGTH = LIMIT

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.too_long: list[int] = []

    def stringReceived(self, string: bytes) -> None:
        self.messages.append(string)

    def lengthLimitExceeded(self, length: int) -> None:
        self.too_long.append(length)


def framed(messages: list[bytes]) -> bytes:
    return b"".join(piece for message in messages for piece in frame(message))


@given(st.lists(st.binary(max_size=LIMIT), max_size=8), st.lists(st.integers(0, 8 * LIMIT), max_size=20))
def test_messages_come_out_whole_however_the_bytes_arrive(messages: list[bytes], cuts: list[int]) -> None:
    data, collector = framed(messages), Collector()
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, stop in itertools.pairwise(bounds):
        collector.dataReceived(data[start:stop])
    assert (collector.messages, collector.too_long) == (messages, [])


@given(st.lists(st.binary(max_size=LIMIT), max_size=3), st.integers(LIMIT + 1, 2**32 - 1), st.binary(max_size=20))
def test_nothing_is_received_after_a_message_that_is_too_long(before: list[bytes], length: int, rest: bytes) -> None:
    collector = Collector()
    for byte in framed(before) + length.to_bytes(4, "big") + rest:
        collector.dataReceived(bytes([byte]))
    assert (collector.messages, collector.too_long) == (before, [length])


def test_a_message_under_way_takes_no_more_memory_than_its_bytes() -> None:
    class Large(Collector):
        MAX_LENGTH = 8 * 1024 * 1024

    collector, read = Large(), 256 * 1024
    collector.dataReceived(Large.MAX_LENGTH.to_bytes(4, "big"))
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(Large.MAX_LENGTH // read - 1):
            collector.dataReceived(bytes(read))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most - before < Large.MAX_LENGTH + read
    collector.dataReceived(bytes(read))
    assert [len(message) for message in collector.messages] == [Large.MAX_LENGTH]
