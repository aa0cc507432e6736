"""The documents of lists: what is written for all keys at once is what is written for each."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from splitd.frontends.s3.buckets.listing import list_objects, list_objects_v2, list_versions
from splitd.frontends.s3.payload.checksums import parse_kept
from splitd.frontends.s3.query import Query
from splitd.frontends.s3.xml import (
    document,
    element,
    encode_name,
    encode_names,
    escape,
    escape_all,
    format_time,
    text,
)
from splitd.interfaces.keys import Listing
from splitd.model.keys import Key
from splitd.model.media import NO_BYTES, Media
from tests.fired import fired

OWNER = "1", "<anna>"

names = st.text(st.one_of(st.sampled_from("a/&<>\"'~+%\x00\n\x7f\uffff é\U0010ffff"), st.characters(codec="utf-8")))
checksums = st.sampled_from(
    ["", "CRC32:AAAAAA==", "CRC64NVME:AAAAAAAAAAA= AAAA", "SHA256:AAAA-3", "SHA256", "NEW:AAAA"]
)
media = st.builds(Media, type=names, etag=st.sampled_from(["", "0" * 32, 'a"&-2']), checksum=checksums)
keys = st.builds(
    Key, names, st.just("a" * 32), st.integers(0, 2**63), st.integers(0, 10**13), st.one_of(media, st.just(""), names)
)
folders = st.builds(lambda key, created_ms: Key(key, "", 0, created_ms, NO_BYTES), names, st.integers(0, 10**13))
listings = st.builds(Listing, st.lists(st.one_of(keys, folders), max_size=5), st.lists(names, max_size=3), st.none())


class Answered:
    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.body = b""

    def setResponseCode(self, status: int) -> None:
        assert status == 200

    def setHeader(self, name: str, value: str) -> None:
        self.headers[name] = value

    def write(self, body: bytes) -> None:
        self.body += body

    def finish(self) -> None:
        assert self.headers["Content-Length"] == str(len(self.body))


def answer_of(operation: Any, query: str, listing: Listing) -> bytes:
    async def owner() -> tuple[str, str]:
        return OWNER

    async def page(*_: object) -> Listing:
        return listing

    http = Answered()
    request = SimpleNamespace(
        http=http,
        bucket="x",
        query=Query(query.encode()),
        keys=SimpleNamespace(list=page),
        owner=owner,
        proof=SimpleNamespace(is_anonymous=False),
    )
    fired(Deferred.fromCoroutine(operation(request)))
    return http.body


def row(name: str, key: Key, encode: Any, *, with_owner: bool) -> str:
    said = key.said if isinstance(key.said, Media) else Media()
    checksum = parse_kept(said.checksum)
    found = [text("Key", encode(key.key))]
    if name == "Version":
        found += [text("VersionId", "null"), text("IsLatest", "true")]
    found += [text("LastModified", format_time(key.created_ms)), text("ETag", f'"{said.etag or key.upload + "-1"}"')]
    if checksum is not None:
        found += [text("ChecksumAlgorithm", checksum.algorithm.name), text("ChecksumType", checksum.type)]
    found.append(text("Size", key.size))
    if with_owner:
        found.append(element("Owner", text("ID", OWNER[0]), text("DisplayName", OWNER[1])))
    return element(name, *found, text("StorageClass", "STANDARD"))


CASES: list[tuple[Any, str, str, str | None, str]] = [
    (list_objects, "", "ListBucketResult", text("Marker", ""), "Contents"),
    (list_objects_v2, "list-type=2", "ListBucketResult", None, "Contents"),
    (list_objects_v2, "list-type=2&fetch-owner=true", "ListBucketResult", None, "Contents"),
    (list_versions, "versions", "ListVersionsResult", text("KeyMarker", "") + text("VersionIdMarker", ""), "Version"),
]


@given(st.sampled_from(CASES), st.sampled_from(["", "url"]), listings)
def test_a_list_is_written_element_by_element(
    case: tuple[Any, str, str, str | None, str], encoding: str, listing: Listing
) -> None:
    operation, query, root, told, name = case
    encode = encode_name if encoding else str
    asked = f"{query}&encoding-type={encoding}" if encoding else query
    expected = document(
        root,
        text("Name", "x"),
        text("Prefix", ""),
        text("MaxKeys", 1000),
        text("EncodingType", "url") if encoding else "",
        text("KeyCount", len(listing.keys) + len(listing.prefixes)) if told is None else told,
        text("IsTruncated", "false"),
        *(row(name, each, encode, with_owner=query != "list-type=2") for each in listing.keys),
        *(element("CommonPrefixes", text("Prefix", encode(each))) for each in listing.prefixes),
    )
    assert answer_of(operation, asked, listing) == expected


@given(st.lists(names))
def test_texts_are_escaped_and_encoded_together_as_each_is(texts: list[str]) -> None:
    assert list(escape_all(texts)) == [escape(each) for each in texts]
    assert list(encode_names(texts)) == [encode_name(each) for each in texts]


def test_no_character_is_taken_for_one_that_stands_as_it_is() -> None:
    for character in map(chr, range(0x300)):
        assert escape_all([character]) == [escape(character)]
        assert encode_names([character]) == [encode_name(character)]
