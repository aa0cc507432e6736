"""What a signature of version 4 covers, and the signature itself.  Pure.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
Unlike for other services, the path is not normalised, and it is encoded once.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import attrs

ALGORITHM = "AWS4-HMAC-SHA256"
EMPTY_SHA256 = hashlib.sha256().hexdigest()
DIGITS = len(EMPTY_SHA256)
"""The hexadecimal digits of a hash, and of a signature."""

_CANONICAL = re.compile(rb"[A-Za-z0-9/_.~-]+")
_BLOCK = hashlib.sha256().block_size
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))


@attrs.frozen(cache_hash=True)
class Scope:
    """Where and on which day a signature is good.

    :param date: the day, as YYYYMMDD.
    """

    date: str
    region: str
    service: str

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def canonical_path(raw: bytes) -> bytes:
    """Return the path of a URL in the form that is signed, however the client has encoded it.

    :param raw: the path as it stands in the URL.
    """
    if _CANONICAL.fullmatch(raw):  # nearly always
        return raw
    return quote(unquote_to_bytes(raw), safe="/").encode("ascii") if raw else b"/"


def canonical_value(value: str) -> str:
    """Return the value of a header in the form that is signed: without white space at its ends, and one space for each
    run of it inside.

    :param value: bytes that are not UTF-8 are lone surrogates.
    """
    if value.isascii():
        return " ".join(value.split())
    return b" ".join(value.encode("utf-8", "surrogateescape").split()).decode("utf-8", "surrogateescape")


def canonical_request(
    method: str, path: str, query: str, headers: Iterable[tuple[str, str]], signed: str, payload: str
) -> str:
    """Return the text whose hash is signed.

    :param path: as `canonical_path` returns it.
    :param query: as `Query.canonical` returns it.
    :param headers: (name, value) of each signed header, in the order of `signed`; the values as `canonical_value`
        returns them.
    :param signed: the names, in lower case, joined by semicolons.
    :param payload: the hash of the body, or the word that stands for it.
    """
    lines = "".join(f"{name}:{value}\n" for name, value in headers)
    return f"{method}\n{path}\n{query}\n{lines}\n{signed}\n{payload}"


def string_to_sign(time: str, scope: Scope, request: str) -> str:
    """Return the text that is signed for a request.

    :param time: the request's time, as YYYYMMDDTHHMMSSZ.
    :param request: as `canonical_request` returns it.
    """
    digest = hashlib.sha256(request.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{ALGORITHM}\n{time}\n{scope}\n{digest}"


@lru_cache(4096)
def signing_key(secret: str, scope: Scope) -> bytes:
    """Return the key that signs in a scope.  Those of the last keys and days are remembered."""
    key = f"AWS4{secret}".encode()
    for step in (scope.date, scope.region, scope.service, "aws4_request"):
        key = hmac.digest(key, step.encode("utf-8", "surrogateescape"), "sha256")
    return key


def sign(key: bytes, text: str) -> str:
    """Return the signature of a text, its HMAC-SHA256, in hexadecimal digits."""
    return Signing(key).sign(text.encode("utf-8", "surrogateescape")).decode("ascii")


class Signing:
    """Signs texts that begin alike.

    :param key: the signing key.
    :param start: what they all begin with.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes, start: bytes = b"") -> None:
        inner, self._outer = _begin_hmac(key)
        self._inner = inner.copy()
        self._inner.update(start)

    def sign(self, rest: bytes) -> bytes:
        """Return the signature of a text, its HMAC-SHA256, in hexadecimal digits.

        :param rest: what follows the start.
        """
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(rest)
        outer.update(inner.digest())
        digits: str = outer.hexdigest()
        return digits.encode()


@lru_cache(4096)
def _begin_hmac(key: bytes) -> tuple[Any, Any]:
    """Return the inner and the outer hash of an HMAC (RFC 2104), each with the key read: that is more than half of the
    time that `hmac.digest` takes for a text as short as those that are signed.
    """
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    return hashlib.sha256(block.translate(_INNER)), hashlib.sha256(block.translate(_OUTER))


def is_same(ours: str, theirs: str) -> bool:
    """Compare two signatures in a time that tells nothing of where they differ."""
    return hmac.compare_digest(ours.encode(), theirs.encode("utf-8", "surrogateescape"))


class ChunkSigner:
    """Signs the chunks of one body, each with the signature before it.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html

    :param key: the signing key.
    :param time: the request's time, as YYYYMMDDTHHMMSSZ.
    :param seed: the signature of the request.
    """

    def __init__(self, key: bytes, time: str, scope: Scope, seed: str) -> None:
        self._key = key
        self._time = time
        self._scope = scope
        self._last = seed

    def is_next(self, digest: str, signature: str) -> bool:
        """Return whether a signature is that of the next chunk.

        :param digest: the SHA-256 of the chunk's bytes, in hexadecimal digits.
        """
        return self._check(f"{ALGORITHM}-PAYLOAD", f"{EMPTY_SHA256}\n{digest}", signature)

    def is_trailer(self, digest: str, signature: str) -> bool:
        """Return whether a signature is that of the trailer.

        :param digest: the SHA-256 of its lines, in hexadecimal digits.
        """
        return self._check(f"{ALGORITHM}-TRAILER", digest, signature)

    def _check(self, kind: str, what: str, signature: str) -> bool:
        ours = sign(self._key, f"{kind}\n{self._time}\n{self._scope}\n{self._last}\n{what}")
        self._last = ours
        return is_same(ours, signature)
