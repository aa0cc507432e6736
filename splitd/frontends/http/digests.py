"""Proves a body against the checksums that came with it."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IConsumer
from zope.interface import implementer

from splitd.frontends.http.answers import Refused
from splitd.model.digests import Digests, parse_digests, parse_md5
from storaged.http import IRequest


def expected_digests(request: IRequest) -> dict[str, bytes]:
    """The checksums that a request announces for its body.

    :raise Refused: they are not well formed, or contradict each other.
    """
    expected: dict[str, bytes] = {}
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

    :param consumer: who gets them.
    """

    def __init__(self, consumer: IConsumer, expected: dict[str, bytes]) -> None:
        self._consumer = consumer
        self._digests = Digests(expected)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take the producer of the bytes."""
        self._consumer.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """Let the producer go."""
        self._consumer.unregisterProducer()

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self._digests.update(data)
        self._consumer.write(data)

    def refuse_other(self) -> None:
        """Refuse bytes that were not those announced.

        :raise Refused: they were not.
        """
        try:
            self._digests.refuse_other()
        except ValueError as problem:
            raise Refused(400, f"nothing was stored: {problem}") from problem
