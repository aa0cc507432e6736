"""Bodies in aws-chunked: only the file's bytes come out, and nothing that was signed can be changed."""

from __future__ import annotations

import base64
import hashlib
import io
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.payload.chunked import ChunkedDecoder
from splitd.frontends.s3.signing.canonical import (
    EMPTY_SHA256,
    ChunkSigner,
    Scope,
    sign,
    signing_key,
)
from tests.s3 import AwsChunkedWrapper

TIME, SCOPE, SEED = "20130524T000000Z", Scope("20130524", "us-east-1", "s3"), "0" * 64
KEY = signing_key("secret", SCOPE)


def signer() -> ChunkSigner:
    return ChunkSigner(KEY, TIME, SCOPE, SEED)


def framed(pieces: list[bytes], trailer: dict[str, str] | None = None) -> bytes:
    """Return pieces as signed chunks, as the documentation describes them."""
    last, out = SEED, b""
    for piece in [*pieces, b""]:
        digest = hashlib.sha256(piece).hexdigest()
        last = sign(KEY, f"AWS4-HMAC-SHA256-PAYLOAD\n{TIME}\n{SCOPE}\n{last}\n{EMPTY_SHA256}\n{digest}")
        out += b"%x;chunk-signature=%b\r\n%b" % (len(piece), last.encode(), piece + b"\r\n" if piece else b"")
    if trailer is not None:
        lines = "".join(f"{name}:{value}\n" for name, value in trailer.items())
        digest = hashlib.sha256(lines.encode()).hexdigest()
        last = sign(KEY, f"AWS4-HMAC-SHA256-TRAILER\n{TIME}\n{SCOPE}\n{last}\n{digest}")
        out += lines.replace("\n", "\r\n").encode() + f"x-amz-trailer-signature:{last}\r\n".encode()
    return out + b"\r\n"


def decode(decoder: ChunkedDecoder, data: bytes, cuts: list[int]) -> bytes:
    """Feed data in pieces that end at the cuts; return what comes out."""
    out, before = [], 0
    for cut in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
        out += decoder.feed(data[before:cut])
        before = cut
    decoder.finish()
    return b"".join(out)


pieces = st.lists(st.binary(min_size=1, max_size=50), max_size=5)
cuts = st.lists(st.integers(0, 1500), max_size=20)
trailers = st.one_of(st.none(), st.just({"x-amz-checksum-crc32": "AAAAAA=="}))


@given(pieces, cuts, trailers)
def test_the_bytes_come_out_however_they_arrive(
    some: list[bytes], places: list[int], trailer: dict[str, str] | None
) -> None:
    whole = b"".join(some)
    decoder = ChunkedDecoder(len(whole), signer(), has_trailer=trailer is not None)
    assert decode(decoder, framed(some, trailer), places) == whole
    assert decoder.trailer == (trailer or {})


@given(pieces, trailers, st.integers(0), st.integers(1, 255))
def test_no_byte_of_a_signed_body_can_be_changed(
    some: list[bytes], trailer: dict[str, str] | None, place: int, change: int
) -> None:
    whole = b"".join(some)
    data = bytearray(framed(some, trailer))
    place %= len(data)
    before = bytes(data)
    data[place] ^= change
    decoder = ChunkedDecoder(len(whole), signer(), has_trailer=trailer is not None)
    try:
        found = decode(decoder, bytes(data), [])
    except S3Error:
        return
    # Only what means the same may be written in another way: a hexadecimal digit of a size, or the name of a field.
    assert found == whole, (before, bytes(data))
    assert decoder.trailer == (trailer or {})


@given(pieces, trailers, st.integers(0))
def test_a_body_that_is_cut_short_is_refused(some: list[bytes], trailer: dict[str, str] | None, place: int) -> None:
    whole = b"".join(some)
    data = framed(some, trailer)
    decoder = ChunkedDecoder(len(whole), signer(), has_trailer=trailer is not None)
    with pytest.raises(S3Error):
        decode(decoder, data[: place % (len(data) - 1)], [])


class Crc:
    """What botocore asks of a checksum."""

    def __init__(self) -> None:
        self.value = 0

    def update(self, data: bytes) -> None:
        self.value = zlib.crc32(data, self.value)

    def b64digest(self) -> str:
        return base64.b64encode(self.value.to_bytes(4, "big")).decode()


@given(st.binary(max_size=300), st.integers(1, 100), cuts)
def test_what_botocore_frames_without_signatures_is_decoded(data: bytes, size: int, places: list[int]) -> None:
    wrapper = AwsChunkedWrapper(
        io.BytesIO(data), checksum_cls=Crc, checksum_name="x-amz-checksum-crc32", chunk_size=size
    )
    decoder = ChunkedDecoder(len(data), None, has_trailer=True)
    assert decode(decoder, wrapper.read(), places) == data
    crc = Crc()
    crc.update(data)
    assert decoder.trailer == {"x-amz-checksum-crc32": crc.b64digest()}


def test_the_example_of_the_documentation_is_signed_as_it_says() -> None:
    scope = Scope("20130524", "us-east-1", "s3")
    key = signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", scope)
    seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
    chunks = ChunkSigner(key, "20130524T000000Z", scope, seed)
    for data, signature in (
        (b"a" * 65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
        (b"a" * 1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
        (b"", "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
    ):
        assert chunks.is_next(hashlib.sha256(data).hexdigest(), signature)


@pytest.mark.parametrize(
    ("data", "length"),
    [
        (b"5\r\nhello\r\n0\r\n\r\n", 4),
        (b"5\r\nhello\r\n0\r\n\r\n", 6),
        (b"5\r\nhello0\r\n\r\n", 5),
        (b"5\r\nhello!\r\n0\r\n\r\n", 5),
        (b"5\nhello\r\n0\r\n\r\n", 5),
        (b"-5\r\nhello\r\n0\r\n\r\n", 5),
        (b"+5\r\nhello\r\n0\r\n\r\n", 5),
        (b"0x5\r\nhello\r\n0\r\n\r\n", 5),
        (b"5;chunk-signature=zz\r\nhello\r\n0\r\n\r\n", 5),
        (b"fffffffffffffffff\r\n", 5),
        (b"5" + b" " * 2000, 5),
        (b"5\r\nhello\r\n0\r\n" + b"a" * 9000, 5),
        (b"5\r\nhello\r\n0\r\n" + b"a:b\r\n" * 9000, 5),
        (b"5\r\nhello\r\n0\r\nno field\r\n\r\n", 5),
        (b"5\r\nhello\r\n0\r\na:1\r\nA:2\r\n\r\n", 5),
        (b"hello", 5),
        (b"", 0),
    ],
)
def test_framing_that_is_broken_is_refused(data: bytes, length: int) -> None:
    with pytest.raises(S3Error):
        decode(ChunkedDecoder(length, None, has_trailer=True), data, [])


def _without(what: str) -> Callable[[bytes], bytes]:
    return lambda data: b"\r\n".join(line for line in data.split(b"\r\n") if what.encode() not in line)


def test_what_was_announced_must_be_there() -> None:
    data = framed([b"hello"], {"x-amz-checksum-crc32": "AAAAAA=="})
    for change in (_without("x-amz-trailer-signature"), _without("x-amz-checksum-crc32")):
        with pytest.raises(S3Error):
            decode(ChunkedDecoder(5, signer(), has_trailer=True), change(data), [])
    with pytest.raises(S3Error) as caught:
        decode(ChunkedDecoder(5, signer(), has_trailer=False), data, [])
    assert caught.value.code == "MalformedTrailerError"
    with pytest.raises(S3Error):
        decode(ChunkedDecoder(5, signer(), has_trailer=False), b"5\r\nhello\r\n0\r\n\r\n", [])


BEHIND = (
    b"a:b\r\n\r\n",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n",
    b"x",
    b"\r\nx\r\n",
)


@given(st.sampled_from(BEHIND), cuts)
def test_nothing_is_taken_behind_the_end(behind: bytes, places: list[int]) -> None:
    signed = framed([b"hello"], {"a": "1"})
    for data, chunks in (
        (b"5\r\nhello\r\n0\r\n\r\n", None),
        (b"5\r\nhello\r\n0\r\na:1\r\n\r\n", None),
        (signed, signer()),
    ):
        with pytest.raises(S3Error) as caught:
            decode(ChunkedDecoder(5, chunks, has_trailer=True), data + behind, places)
        assert caught.value.code == "IncompleteBody"


def test_an_empty_line_too_many_is_passed() -> None:
    """Clients of minio write one in front of the trailer's signature, and behind a trailer that is not signed."""
    signed = framed([b"hello"], {"a": "1"}).replace(b"x-amz-trailer", b"\r\nx-amz-trailer")
    for data, chunks in ((b"5\r\nhello\r\n0\r\na:1\n\r\n\r\n", None), (signed, signer())):
        decoder = ChunkedDecoder(5, chunks, has_trailer=True)
        assert decode(decoder, data, []) == b"hello"
        assert decoder.trailer == {"a": "1"}
    twice = signed + signed[signed.index(b"x-amz-trailer") :]
    with pytest.raises(S3Error):
        decode(ChunkedDecoder(5, signer(), has_trailer=True), twice, [])
