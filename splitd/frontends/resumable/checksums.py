"""Checksums of the body of one request: `Upload-Checksum` of tus."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from binascii import Error
from typing import Any, Protocol
from zlib import crc32

from twisted.internet.interfaces import IConsumer
from zope.interface import implementer

from splitd.frontends.http.answers import Refused

MISMATCH = 460
"""The status of tus for a checksum that is wrong."""


class _Hash(Protocol):
    def update(self, data: bytes, /) -> object: ...
    def digest(self) -> bytes: ...


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes) -> None:
        self._value = crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


ALGORITHMS = ("sha1", "sha256", "sha512", "md5", "crc32")


def _new(algorithm: str) -> _Hash:
    return _Crc32() if algorithm == "crc32" else hashlib.new(algorithm, usedforsecurity=False)


class Checksum:
    """A checksum that a request announces.

    :param header: the value of `Upload-Checksum`.
    :raise Refused: it is not well formed, or of an algorithm that is not known here.
    """

    def __init__(self, header: str) -> None:
        self._algorithm, _, encoded = header.partition(" ")
        if self._algorithm not in ALGORITHMS:
            raise Refused(400, f"Upload-Checksum: {self._algorithm[:40]!r} is none of {', '.join(ALGORITHMS)}")
        try:
            self._expected = b64decode(encoded.strip().encode("ascii"), validate=True)
        except (Error, ValueError) as problem:
            raise Refused(400, f"Upload-Checksum: {problem}") from problem

    def check(self, consumer: IConsumer) -> tuple[IConsumer, Any]:
        """Put the computation before a consumer; see `uploads.Checks`."""
        found = _Hashing(consumer, _new(self._algorithm))

        def judge() -> None:
            if found.hash.digest() != self._expected:
                raise Refused(MISMATCH, f"nothing was stored: the {self._algorithm} of what came is another one")

        return found, judge


@implementer(IConsumer)
class _Hashing:
    def __init__(self, consumer: IConsumer, hash_: _Hash) -> None:
        self._consumer = consumer
        self.hash = hash_

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self._consumer.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        self._consumer.unregisterProducer()

    def write(self, data: bytes) -> None:
        self.hash.update(data)
        self._consumer.write(data)
