"""Verifies a body against the checksums that the client sent with it."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IConsumer
from zope.interface import implementer

from splitd.frontends.http.answers import Refused
from splitd.model.digests import Digests, parse_digests, parse_md5
from storaged.http import IRequest

DIGESTS = frozenset({b"content-md5", b"content-digest", b"repr-digest"})
"""The headers that `expected_digests` reads, in lower case."""


def expected_digests(request: IRequest) -> dict[str, bytes]:
    """Return the checksums that a request announces for its body, by algorithm.

    :raise Refused: they are not well formed, or contradict each other.
    """
    expected: dict[str, bytes] = {}
    if not request.has_any_header(DIGESTS):
        return expected
    for name, parse in (("Content-MD5", parse_md5), ("Content-Digest", parse_digests), ("Repr-Digest", parse_digests)):
        values = request.header_values(name)
        if not values:
            continue
        try:
            found = parse(", ".join(values))
        except ValueError as problem:
            raise Refused(400, f"{name}: {problem}") from problem
        for algorithm, digest in found.items():
            if expected.setdefault(algorithm, digest) != digest:
                raise Refused(400, f"{name}: contradicts another header about {algorithm}")
    return expected


@implementer(IConsumer)
class DigestingConsumer:
    """Passes bytes on, and computes their checksums.

    :param consumer: where the bytes go.
    :param expected: the announced checksums, by algorithm.
    """

    def __init__(self, consumer: IConsumer, expected: dict[str, bytes]) -> None:
        self._consumer = consumer
        self._digests = Digests(expected)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Pass the producer on to the consumer."""
        self._consumer.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """Unregister the producer from the consumer."""
        self._consumer.unregisterProducer()

    def write(self, data: bytes) -> None:
        """Pass the next bytes on."""
        self._digests.update(data)
        self._consumer.write(data)

    def refuse_other(self) -> None:
        """Compare the checksums, after the last byte.

        :raise Refused: the bytes do not have the announced checksums.
        """
        try:
            self._digests.refuse_other()
        except ValueError as problem:
            raise Refused(400, f"nothing was stored: {problem}") from problem
