"""Arbitrary bytes: the front sends complete answers or ends the connection, and the next client is served."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from unittest import TestCase

import pytest
import pytest_twisted
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from tests.cluster.cluster import Cluster
from tests.cluster.hostile import KEPT, surviving
from tests.tally import EFFORT, TALLY

# fmt: off
WORDS = [
    b"GET", b"PUT", b"HEAD", b"OPTIONS", b"MKCOL", b"PROPFIND", b"BREW", b" ", b" /kept ", b" /new ", b" / ", b"*",
    b"HTTP/1.1", b"HTTP/1.0", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\x00", b":", b";", b",", b"\t",
    b"Host: test\r\n", b"Host:", b"Content-Length: 5\r\n", b"Content-Length:", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding:", b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Range: bytes=1-2\r\n",
    b"GET /\xc3\xa9 HTTP/1.1\r\n", b"/\xc3", b"?after=\xff",
    b"5\r\nabcde\r\n", b"0\r\n\r\n", b"0\r\n", b"abcde", b"ffffffff\r\n", b"X: y\r\n",
    b"GET /kept HTTP/1.1\r\nHost: test\r\n\r\n", b"GET / HTTP/1.1\r\nHost: test\r\n\r\n",
    b"PUT /new HTTP/1.1\r\nHost: test\r\n", b"PUT /new HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nabcde",
    b"PUT /new HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
]
# fmt: on
pieces = st.one_of(st.sampled_from(WORDS), st.binary(max_size=20))
writes = st.lists(st.lists(pieces, min_size=1, max_size=12).map(b"".join), min_size=1, max_size=4)

HEAD = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2}) [A-Z][A-Za-z -]+\r\n((?:[A-Za-z-]+: [^\r\n\x00]*\r\n)*)\r\n")


def check_answers(received: bytes) -> int:
    """Check that these are answers, of which only the last may be cut short; return how many."""
    count, position = 0, 0
    while position < len(received) and b"\r\n\r\n" in received[position:]:
        head = HEAD.match(received, position)
        assert head, received[position:]
        count, position = count + 1, head.end()
        fields = dict(line.lower().split(b": ", 1) for line in head[2].split(b"\r\n") if line)
        if fields.get(b"transfer-encoding") == b"chunked":
            end = received.find(b"\r\n0\r\n\r\n", position)
            position = len(received) if end < 0 else end + 7
        elif head[1] not in {b"100", b"204", b"304"}:
            size = int(fields.get(b"content-length", b"0"))
            # An answer to a HEAD has no body, whatever length it announces.
            position += 0 if received.startswith(b"HTTP/1.", position) else size
    return count


class TestAnyBytes(TestCase):
    """A TestCase, because its methods can wait for the reactor in the middle, which a test function cannot."""

    @pytest.fixture(autouse=True)
    def _survive(self, make_cluster: Callable[..., Cluster]) -> Iterator[None]:
        with surviving(make_cluster()) as self.front:
            yield

    async def send(self, data: list[bytes]) -> None:
        client = await self.front.connect()
        for each in data:
            client.send(each)
            assert (await self.front.get("/kept")).body == KEPT
        TALLY["answers to any bytes"] += check_answers(bytes(client.received))
        client.reset()

    @settings(
        max_examples=250 * EFFORT,
        deadline=None,
        derandomize=EFFORT == 1,  # the same bytes in each run, except with `make crash`
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(writes)
    def test_whatever_is_sent_comes_to_answers_or_an_end(self, data: list[bytes]) -> None:
        pytest_twisted.blockon(Deferred.fromCoroutine(self.send(data)))
