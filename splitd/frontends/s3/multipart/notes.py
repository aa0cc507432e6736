"""What is kept beside a part, and the entity tag and the checksum that parts make together.  Pure."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections.abc import Sequence

import attrs

from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.payload.checksums import COMPOSITE, FULL_OBJECT, Algorithm, Checksum, encode, parse_kept
from splitd.interfaces.continued import Segment


@attrs.frozen
class PartNote:
    """What is kept beside a part.

    :param md5: its MD5 in hexadecimal digits; empty if it was not computed.
    :param checksum: its checksum; None if it has none.
    """

    md5: str
    checksum: Checksum | None

    def kept(self) -> str:
        """Return the form that is kept."""
        return f"{self.md5} {'' if self.checksum is None else self.checksum.kept()}".strip(" ")


@attrs.frozen
class Part:
    """A part that is stored."""

    segment: Segment
    note: PartNote

    @classmethod
    def of(cls, segment: Segment) -> Part:
        """Return the part that a segment is."""
        md5, _, checksum = segment.note.partition(" ")
        if ":" in md5:  # the MD5 was not computed
            md5, checksum = "", md5
        return cls(segment, PartNote(md5, parse_kept(checksum)))

    @property
    def etag(self) -> str:
        """Its entity tag, without quotes."""
        return self.note.md5 or self.segment.upload


@attrs.frozen
class Kind:
    """The checksum that an upload was begun with.

    :param algorithm: None for none.
    :param type: COMPOSITE or FULL_OBJECT.
    """

    algorithm: Algorithm | None = None
    type: str = FULL_OBJECT

    def kept(self) -> str:
        """Return the form that is kept with the upload."""
        if self.algorithm is None:
            return ""
        return f"{self.algorithm.name}:{'-' if self.type == COMPOSITE else ''}"


def parse_kind(kept: str) -> Kind:
    """Read the form that is kept with an upload."""
    checksum = parse_kept(kept)
    return Kind() if checksum is None else Kind(checksum.algorithm, checksum.type)


def make_kind(algorithm: Algorithm | None, asked: str) -> Kind:
    """Return the checksum of a new upload.

    :param asked: the type that is asked for; empty for that which goes with the algorithm.
    :raise S3Error: the algorithm cannot have this type.
    """
    if algorithm is None:
        if asked:
            raise S3Error(
                "InvalidRequest", "The x-amz-checksum-type header can only be used with x-amz-checksum-algorithm."
            )
        return Kind()
    can = [FULL_OBJECT] if algorithm.name == "CRC64NVME" else [COMPOSITE]
    if algorithm.combine is not None and can == [COMPOSITE]:
        can.append(FULL_OBJECT)
    kind = asked.upper() or can[0]
    if kind not in can:
        raise S3Error(
            "InvalidRequest",
            f"The {kind[:20]} checksum type cannot be used with the {algorithm.name.lower()} checksum algorithm.",
        )
    return Kind(algorithm, kind)


def etag_of_parts(tags: Sequence[str]) -> str:
    """Return the entity tag of an object that was sent in parts: the MD5 of their tags, and how many they are.

    :param tags: those of the parts, 32 hexadecimal digits each.
    """
    whole = hashlib.md5(b"".join(map(bytes.fromhex, tags)), usedforsecurity=False)
    return f"{whole.hexdigest()}-{len(tags)}"


def checksum_of_parts(kind: Kind, parts: Sequence[Part]) -> Checksum | None:
    """Return the checksum of an object that was sent in parts; None if the upload was begun without one."""
    algorithm = kind.algorithm
    if algorithm is None:
        return None
    digests = [_digest(part, algorithm) for part in parts]
    if kind.type == COMPOSITE:
        whole = algorithm.new()
        whole.update(b"".join(digests))
        return Checksum(algorithm, f"{encode(whole.digest())}-{len(parts)}")
    assert algorithm.combine is not None  # only such ones can be of the whole object
    value = 0
    for digest, part in zip(digests, parts, strict=True):
        value = algorithm.combine(value, int.from_bytes(digest, "big"), part.segment.size)
    return Checksum(algorithm, encode(value.to_bytes(algorithm.size, "big")))


def _digest(part: Part, algorithm: Algorithm) -> bytes:
    checksum = part.note.checksum
    if checksum is None or checksum.algorithm is not algorithm:
        raise S3Error("InvalidPart", f"part {part.segment.number} has no {algorithm.name}")
    return b64decode(checksum.value)
