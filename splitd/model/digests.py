"""Checksums that clients send with a body (RFC 9530, and `Content-MD5` of RFC 1864).  Pure."""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

_ALGORITHMS = {"sha-256": "sha256", "sha-512": "sha512", "md5": "md5"}
# A dictionary of structured fields (RFC 8941).  Members whose names are not in `_ALGORITHMS` are skipped.  Possessive:
# else a long run of spaces that is no end would be tried in all ways to divide it.
_MEMBER = re.compile(
    r'[ \t]*([a-z*][a-z0-9_.*-]*)(?:=(?::([A-Za-z0-9+/=]*):|[^,;"]*+|"[^"]*+"))?(?:;[^,]*+)?[ \t]*+(?:,|\Z)'
)


def parse_digests(value: str) -> dict[str, bytes]:
    """Read `Repr-Digest` or `Content-Digest`.

    :return: the expected digests by their algorithms' names; unknown algorithms are skipped.
    :raise ValueError: the value is not well formed.
    """
    expected: dict[str, bytes] = {}
    position = 0
    while position < len(value):
        match = _MEMBER.match(value, position)
        if match is None:
            raise ValueError(f"cannot be read from character {position} on: {value!r}")
        if match[1] in _ALGORITHMS:
            if match[2] is None:
                raise ValueError(f"{match[1]}: should be bytes in base64 between colons")
            expected[match[1]] = _decode(match[1], match[2])
        position = match.end()
    return expected


def parse_md5(value: str) -> dict[str, bytes]:
    """Read `Content-MD5`.

    :return: as `parse_digests` does.
    :raise ValueError: the value is not well formed.
    """
    return {"md5": _decode("md5", value.strip())}


def _decode(algorithm: str, text: str) -> bytes:
    size = hashlib.new(_ALGORITHMS[algorithm], usedforsecurity=False).digest_size
    found = b64decode(text.encode("ascii", "replace"), validate=True)
    if len(found) != size:
        raise ValueError(f"{algorithm}: {len(found)} bytes, expected {size}")
    return found


class Digests:
    """Computes checksums of bytes as they pass, and compares them with the expected ones.

    :param expected: the expected digests by their algorithms' names.
    """

    def __init__(self, expected: Mapping[str, bytes]) -> None:
        self._expected = expected
        self._found: dict[str, Any] = {name: hashlib.new(_ALGORITHMS[name], usedforsecurity=False) for name in expected}

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        for found in self._found.values():
            found.update(data)

    def refuse_other(self) -> None:
        """Refuse the bytes taken so far if their digests are not the expected ones.

        :raise ValueError: a digest differs from the expected one.
        """
        for name, expected in self._expected.items():
            found = self._found[name].digest()
            if found != expected:
                came, announced = b64encode(found).decode(), b64encode(expected).decode()
                raise ValueError(f"the {name} of what came is {came}, announced was {announced}")
