"""Checksums that clients send."""

from __future__ import annotations

import hashlib
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitd.model.digests import Digests, parse_digests, parse_md5


def b64(data: bytes) -> str:
    return b64encode(data).decode()


SHA256, SHA512, MD5 = (hashlib.new(name, b"abc").digest() for name in ("sha256", "sha512", "md5"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"sha-256=:{b64(SHA256)}:", {"sha-256": SHA256}),
        (f"sha-512=:{b64(SHA512)}:,sha-256=:{b64(SHA256)}:", {"sha-512": SHA512, "sha-256": SHA256}),
        (f"md5=:{b64(MD5)}: , adler=?1, crc32c=:AAAA:", {"md5": MD5}),
        (f'unixsum=30637, note="a b", flag, sha-256=:{b64(SHA256)}:;x=1', {"sha-256": SHA256}),
        ("sha=:AAAA:", {}),
        ("", {}),
    ],
)
def test_digests_of_known_algorithms_are_read(value: str, expected: dict[str, bytes]) -> None:
    assert parse_digests(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "sha-256=abc",
        "sha-256=:AAAA:",
        "sha-256",
        "sha-256=:&&&:",
        "SHA-256=:AAAA:",
        "=x",
        "sha-256=:",
        "md5=:A:",
        "\xff",
    ],
)
def test_what_is_no_digest_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_digests(value)


def test_content_md5_is_read() -> None:
    assert parse_md5(f" {b64(MD5)} ") == {"md5": MD5}
    for wrong in ("", "abc", b64(SHA256), hashlib.md5(b"abc").hexdigest()):
        with pytest.raises(ValueError, match=r"\S"):
            parse_md5(wrong)


@given(st.lists(st.binary()), st.binary())
def test_bytes_are_proven_however_they_come(pieces: list[bytes], other: bytes) -> None:
    data = b"".join(pieces)
    expected = {"md5": hashlib.md5(data).digest(), "sha-512": hashlib.sha512(data).digest()}
    good, bad = Digests(expected), Digests(expected)
    for piece in pieces:
        good.update(piece)
    good.refuse_other()
    bad.update(other)
    if other != data:
        with pytest.raises(ValueError, match="of what came is"):
            bad.refuse_other()
