"""Reads what a request says of its body: its length, its framing and its checksums."""

from __future__ import annotations

import re
from base64 import b64decode
from functools import lru_cache

import attrs

from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.payload.checksums import BY_FIELD, Algorithm, find_algorithm, is_value_field
from splitd.frontends.s3.payload.chunked import ChunkedDecoder
from splitd.frontends.s3.signing.authentication import Proof
from splitd.frontends.s3.signing.stated import SIGNED_CHUNKS, SIGNED_CHUNKS_AND_TRAILER, UNSIGNED, UNSIGNED_CHUNKS
from storaged.http import IHeaders, IRequest

_CHUNKED = frozenset({SIGNED_CHUNKS, SIGNED_CHUNKS_AND_TRAILER, UNSIGNED_CHUNKS})
_LENGTHS = frozenset({b"content-length", b"transfer-encoding"})
_NUMBER = re.compile(r"\A[0-9]{1,18}\Z", re.ASCII)


@attrs.define  # it is made for each upload, and one that is frozen takes three times as long
class Expected:
    """What a request says of its body.

    :param length: the bytes of the object; None if they are not announced.
    :param decoder: removes the framing; None if there is none.
    :param sha256: the hash of the body that was signed, in hexadecimal digits; empty for none.
    :param md5: the value of `Content-MD5`; None if it did not come.
    :param algorithm: the kind of its checksum; None if it has none.
    :param checksum: the value of the checksum; empty if it stands in the trailer.
    :param computed: the kind of the checksum that is computed although the request has none; None for none.
    """

    length: int | None
    decoder: ChunkedDecoder | None
    sha256: str
    md5: bytes | None
    algorithm: Algorithm | None
    checksum: str
    computed: Algorithm | None = None


def read_expected(request: IRequest, proof: Proof, *, of_body: bool = True) -> Expected:
    """Read what a request says of its body.

    :param of_body: whether a checksum in its headers is that of the body, and not of an object that it is about.
    :raise S3Error: it contradicts itself, lacks something, or asks for what there is not.
    """
    is_chunked = proof.payload in _CHUNKED
    has_trailer = is_chunked and proof.payload != SIGNED_CHUNKS
    algorithm, checksum = _checksum(request) if of_body else (None, "")
    trailed = _trailed(request, has_trailer=has_trailer)
    if trailed is not None:
        if algorithm is not None:
            raise S3Error("InvalidRequest", "a checksum stands in the header or in the trailer, not in both")
        algorithm = trailed
    if of_body:
        _check_stated(request, algorithm)
    length = _length(request, is_chunked=is_chunked)
    return Expected(
        length,
        None if length is None or not is_chunked else ChunkedDecoder(length, proof.chunks, has_trailer=has_trailer),
        "" if is_chunked or proof.payload == UNSIGNED else proof.payload,
        _md5(request),
        algorithm,
        checksum,
    )


def refuse_no_length(request: IRequest) -> None:
    """Refuse a request that does not say whether it has a body.  To HTTP it has none (RFC 9112 section 6.3), so that an
    object would be empty which may not be so at its client.

    :raise S3Error: it does not say it.
    """
    if not request.has_any_header(_LENGTHS):
        raise S3Error("MissingContentLength", "You must provide the Content-Length HTTP header.")


def read_form(fields: IHeaders) -> Expected:
    """Read what the fields of a form say of its file.

    :raise S3Error: they contradict each other.
    """
    algorithm, checksum = _checksum(fields)
    return Expected(None, None, "", _md5(fields), algorithm, checksum)


def _length(request: IRequest, *, is_chunked: bool) -> int | None:
    stated = request.getHeader("x-amz-decoded-content-length")
    if not is_chunked:
        if stated is not None and stated != str(request.body.length):
            # The framing would be stored as the object's own bytes.
            raise S3Error(
                "InvalidRequest",
                "x-amz-decoded-content-length is of a body in aws-chunked, and x-amz-content-sha256 announces none",
            )
        return request.body.length
    if stated is None:
        raise S3Error("MissingContentLength", "a body in aws-chunked needs x-amz-decoded-content-length")
    if not _NUMBER.match(stated):
        raise S3Error("InvalidArgument", "x-amz-decoded-content-length should be a number of bytes")
    return int(stated)


def _md5(headers: IHeaders) -> bytes | None:
    stated = headers.getHeader("Content-MD5")
    if stated is None:
        return None
    try:
        found = b64decode(stated.strip().encode("ascii", "replace"), validate=True)
    except ValueError:
        found = b""
    if len(found) != 16:
        raise S3Error("InvalidDigest", "The Content-MD5 you specified was invalid.")
    return found


def _checksum(headers: IHeaders) -> tuple[Algorithm | None, str]:
    names = _find_values(tuple(headers.header_names()))
    if not names:
        return None, ""
    if len(names) > 1:
        raise S3Error(
            "InvalidRequest",
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        )
    algorithm = BY_FIELD.get(names[0]) or find_algorithm(names[0].rpartition("-")[2])
    return algorithm, algorithm.check(headers.getHeader(names[0]) or "")


@lru_cache(128)  # the headers of a client's requests have the same names
def _find_values(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of the names of headers that hold a checksum."""
    return tuple(filter(is_value_field, names))


def _trailed(request: IRequest, *, has_trailer: bool) -> Algorithm | None:
    stated = request.getHeader("x-amz-trailer")
    if stated is None:
        return None
    if not has_trailer:
        raise S3Error("InvalidRequest", "x-amz-trailer announces a trailer, and x-amz-content-sha256 none")
    name = stated.strip().lower()
    if name not in BY_FIELD:
        if is_value_field(name) and "," not in name:
            find_algorithm(name.rpartition("-")[2])
        raise S3Error("InvalidRequest", f"x-amz-trailer: {stated[:80]!r} is not a checksum that is supported")
    return BY_FIELD[name]


def _check_stated(request: IRequest, algorithm: Algorithm | None) -> None:
    stated = request.getHeader("x-amz-sdk-checksum-algorithm")
    if stated is None:
        return
    if find_algorithm(stated) is not algorithm:
        raise S3Error(
            "InvalidRequest",
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers "
            "were found."
            if algorithm is None
            else "Value for x-amz-sdk-checksum-algorithm header is invalid.",
        )
