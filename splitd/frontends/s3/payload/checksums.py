"""The checksums that S3 knows for an object.  Pure.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import attrs
from awscrt import checksums

from splitd.frontends.s3.errors import S3Error

PREFIX = "x-amz-checksum-"
COMPOSITE = "COMPOSITE"
FULL_OBJECT = "FULL_OBJECT"


class IHash(Protocol):
    """Computes a checksum."""

    def update(self, data: bytes) -> object:
        """Take the next bytes."""

    def digest(self) -> bytes:
        """Return the checksum of the bytes so far."""


class _Crc:
    def __init__(self, compute: Callable[[bytes, int], int], size: int) -> None:
        self._compute = compute
        self._size = size
        self._value = 0

    def update(self, data: bytes) -> None:
        self._value = self._compute(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


class _XXHash:
    def __init__(self, new: Callable[[], Any]) -> None:
        self._hash = new()

    def update(self, data: bytes) -> None:
        self._hash.update(data)

    def digest(self) -> bytes:
        found: bytes = self._hash.finalize()
        return found


@attrs.frozen
class Algorithm:
    """A kind of checksum.

    :param name: as S3 writes it.
    :param size: its bytes.
    :param new: makes a hash.
    :param combine: returns the checksum of two pieces joined, given those of each and the bytes of the second one; None
        for those that cannot be combined.
    """

    name: str
    size: int
    new: Callable[[], IHash]
    combine: Callable[[int, int, int], int] | None = None

    @property
    def field(self) -> str:
        """The name of its header and of its field in a trailer, in lower case."""
        return PREFIX + self.name.lower()

    @property
    def element(self) -> str:
        """The name of its element in XML."""
        return "Checksum" + self.name

    def check(self, text: str) -> str:
        """Return a checksum as it came.

        :raise S3Error: it is none of this kind.
        """
        try:
            found = b64decode(text.encode("ascii", "replace"), validate=True)
        except ValueError:
            found = b""
        if len(found) != self.size:
            raise S3Error("BadDigest", f"Value for {self.field} header is invalid.")
        return text


def _hash(name: str) -> Callable[[], Any]:
    return lambda: hashlib.new(name, usedforsecurity=False)


ALGORITHMS = {
    each.name: each
    for each in (
        Algorithm("CRC32", 4, lambda: _Crc(zlib.crc32, 4), checksums.combine_crc32),
        Algorithm("CRC32C", 4, lambda: _Crc(checksums.crc32c, 4), checksums.combine_crc32c),
        Algorithm("CRC64NVME", 8, lambda: _Crc(checksums.crc64nvme, 8), checksums.combine_crc64nvme),
        Algorithm("SHA1", 20, _hash("sha1")),
        Algorithm("SHA256", 32, _hash("sha256")),
        Algorithm("SHA512", 64, _hash("sha512")),
        Algorithm("MD5", 16, _hash("md5")),
        Algorithm("XXHASH64", 8, lambda: _XXHash(checksums.XXHash.new_xxhash64)),
        Algorithm("XXHASH3", 8, lambda: _XXHash(checksums.XXHash.new_xxhash3_64)),
        Algorithm("XXHASH128", 16, lambda: _XXHash(checksums.XXHash.new_xxhash3_128)),
    )
}
"""The kinds by their names."""

BY_FIELD = {each.field: each for each in ALGORITHMS.values()}
"""The kinds by the names of their headers."""

_NO_KIND = frozenset({PREFIX + name for name in ("mode", "algorithm", "type")})


def find_algorithm(name: str) -> Algorithm:
    """Return a kind of checksum.

    :raise S3Error: there is none of this name here.
    """
    algorithm = ALGORITHMS.get(name.upper())
    if algorithm is None:
        raise S3Error(
            "InvalidRequest",
            f"Checksum algorithm provided is unsupported: {name[:40]!r}. Please try again with any of the valid types: "
            f"[{', '.join(ALGORITHMS)}]",
        )
    return algorithm


def is_value_field(name: str) -> bool:
    """Return whether a header holds the value of a checksum, of a kind that is known here or not."""
    return name.startswith(PREFIX) and name not in _NO_KIND


def encode(digest: bytes) -> str:
    """Return a checksum as S3 writes it."""
    return b64encode(digest).decode()


@attrs.frozen
class Checksum:
    """A checksum of a whole object.

    :param value: as S3 writes it; with `-N` at its end if it is that of the checksums of N parts.
    """

    algorithm: Algorithm
    value: str

    @property
    def type(self) -> str:
        """COMPOSITE or FULL_OBJECT."""
        return _type_of(self.value)

    def kept(self) -> str:
        """Return the form that is kept with the object."""
        return f"{self.algorithm.name}:{self.value}"


def parse_kept(text: str) -> Checksum | None:
    """Read the form that is kept with an object; None for none, and for a kind that is not known."""
    name, colon, value = text.partition(" ")[0].partition(":")
    algorithm = ALGORITHMS.get(name)
    return Checksum(algorithm, value) if colon and algorithm is not None else None


def kind_of_kept(text: str) -> tuple[str, str] | None:
    """Return the name of the algorithm and the type of what `parse_kept` would read, for lists of many."""
    name, colon, value = text.partition(" ")[0].partition(":")
    return (name, _type_of(value)) if colon and name in ALGORITHMS else None


def _type_of(value: str) -> str:
    return COMPOSITE if "-" in value else FULL_OBJECT


_MOST_OF_PARTS = 64 * 1024


def keep_with_parts(whole: Checksum, parts: Sequence[str]) -> str:
    """Return the form that is kept with an object of parts.

    :param parts: the checksums of the parts, as S3 writes them; left out if they would take more than 64 KiB.
    """
    if len(parts) * whole.algorithm.size > _MOST_OF_PARTS:
        return whole.kept()
    return f"{whole.kept()} {encode(b''.join(map(b64decode, parts)))}"


def parse_parts(text: str) -> list[str]:
    """Return the checksums of the parts, in order, from the form that is kept with an object; none if it has none."""
    whole, packed = parse_kept(text), b64decode(text.partition(" ")[2])
    size = 0 if whole is None else whole.algorithm.size
    return [encode(packed[start : start + size]) for start in range(0, len(packed), size or 1)]
