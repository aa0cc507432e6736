"""Checksums of S3: the same as botocore's, in the same form, and kept as they were."""

from __future__ import annotations

import hashlib
from base64 import b64encode

import pytest
from botocore.httpchecksum import _CHECKSUM_CLS
from botocore.loaders import Loader
from hypothesis import given
from hypothesis import strategies as st

from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.payload.checksums import ALGORITHMS, Checksum, encode, keep_with_parts, parse_kept, parse_parts

MODEL = Loader().load_service_model("s3", "service-2")["shapes"]
EMPTY = {"XXHASH64": "ef46db3751d8e999", "XXHASH3": "2d06800538d394c2", "XXHASH128": "99aa06d3014798d86001c324468d497f"}


def test_all_kinds_of_the_model_are_there() -> None:
    assert set(ALGORITHMS) == set(MODEL["ChecksumAlgorithm"]["enum"])
    fields = {each.get("locationName") for each in MODEL["PutObjectRequest"]["members"].values()}
    assert {each.field for each in ALGORITHMS.values()} <= fields
    assert {each.element for each in ALGORITHMS.values()} <= set(MODEL["CompletedPart"]["members"])


@given(st.lists(st.binary(max_size=100), max_size=5), st.sampled_from(sorted(ALGORITHMS)))
def test_they_are_those_of_botocore(pieces: list[bytes], name: str) -> None:
    found = ALGORITHMS[name].new()
    for piece in pieces:
        found.update(piece)
    digest, whole = found.digest(), b"".join(pieces)
    if name == "MD5":  # which botocore does not compute
        assert digest == hashlib.md5(whole).digest()
    else:
        assert encode(digest) == _CHECKSUM_CLS[name.lower()]().handle(whole)
    assert ALGORITHMS[name].check(encode(digest)) == encode(digest)


def test_the_digest_of_nothing_is_the_published_one() -> None:
    assert {name: ALGORITHMS[name].new().digest().hex() for name in EMPTY} == EMPTY


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_they_are_kept_and_read(name: str) -> None:
    algorithm = ALGORITHMS[name]
    value = b64encode(bytes(range(algorithm.size))).decode()
    assert parse_kept(Checksum(algorithm, value).kept()) == Checksum(algorithm, value)
    kept = keep_with_parts(Checksum(algorithm, f"{value}-2"), [value, value])
    assert parse_kept(kept) == Checksum(algorithm, f"{value}-2")
    assert parse_parts(kept) == [value, value]
    for wrong in ("", "x", value[:-4], value + "AAAA", "ä" * len(value)):
        with pytest.raises(S3Error) as refused:
            algorithm.check(wrong)
        assert refused.value.code == "BadDigest"
