"""Which headers of S3 are understood, and what an upload says of its object."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import parse_qsl

from splitd.frontends.http.answers import Refused
from splitd.frontends.http.opaque import decode_opaque, encode_opaque, parse_opaque
from splitd.frontends.http.times import format_time
from splitd.frontends.s3.acls import read_acl
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.payload.checksums import PREFIX, is_value_field, parse_kept
from splitd.frontends.s3.query import Query
from splitd.model.manifest import Manifest
from splitd.model.media import NO_MEDIA, Media
from storaged.http import IHeaders, IRequest, encode_header

META = "x-amz-meta-"
MOST_METADATA = 2048
"""The most bytes of all names and values of an object's metadata together."""

_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_NO_XML = re.compile("[\ud800-\udfff\ufffe\uffff]")  # besides control characters; lone surrogates are no UTF-8

_READ = frozenset(
    {
        "x-amz-acl",
        "x-amz-api-version",
        "x-amz-bucket-object-lock-enabled",
        "x-amz-bypass-governance-retention",
        "x-amz-content-sha256",
        "x-amz-copy-source",
        "x-amz-copy-source-if-match",
        "x-amz-copy-source-if-modified-since",
        "x-amz-copy-source-if-none-match",
        "x-amz-copy-source-if-unmodified-since",
        "x-amz-copy-source-range",
        "x-amz-date",
        "x-amz-decoded-content-length",
        "x-amz-expected-bucket-owner",
        "x-amz-if-match-last-modified-time",
        "x-amz-if-match-size",
        "x-amz-max-parts",
        "x-amz-metadata-directive",
        "x-amz-mp-object-size",
        "x-amz-object-attributes",
        "x-amz-object-ownership",
        "x-amz-optional-object-attributes",
        "x-amz-part-number-marker",
        "x-amz-request-payer",
        "x-amz-sdk-checksum-algorithm",
        "x-amz-source-expected-bucket-owner",
        "x-amz-storage-class",
        "x-amz-tagging",
        "x-amz-tagging-directive",
        "x-amz-te",
        "x-amz-trailer",
        "x-amz-transition-default-minimum-object-size",
        "x-amz-user-agent",
    }
)
"""Headers that an operation reads, or that change nothing here."""

_SAID = frozenset(
    {
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "expires",
        "x-amz-acl",
        "x-amz-tagging",
    }
)
"""Headers that say something of an object, beside those that begin with `META`."""


_OF_SIGNATURES = frozenset(
    {
        "x-amz-algorithm",
        "x-amz-content-sha256",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-signature",
        "x-amz-signedheaders",
    }
)
"""Parameters of a signed URL that stand for no header."""

_TOKEN = re.compile(r"\A[!#$%&'*+.^_`|~0-9a-z-]+\Z")
"""The name of a header in lower case (RFC 9110 section 5.6.2)."""


def take_parameters(request: IRequest, query: Query) -> None:
    """Take the headers that stand in a URL: signers put those that begin with `x-amz-` there, so that whoever has the
    URL need not send them.

    As at Amazon, checksums do not count in a URL.  When it is signed, SDKs have no body, and take the checksum of none.

    :raise S3Error: one of them cannot be a header, or came in the request, too, with another value.
    """
    found: dict[str, str] = {}
    for name in query:
        field = name.lower()
        is_header = field.startswith("x-amz-") and field not in _OF_SIGNATURES
        if is_header and not is_value_field(field) and field != "x-amz-sdk-checksum-algorithm":
            found[field] = query.get(name)
    for field, value in found.items():
        if not _TOKEN.match(field) or request.header_values(field) not in ([], [value]):
            raise S3Error(
                "InvalidArgument",
                f"{field[:100]} in the URL is no header, or another one came",
                ArgumentName=field[:100],
            )
    if found:
        request.take_headers(found)


_JUDGED = frozenset({b"x-amz-acl", b"x-amz-storage-class"})
"""Headers of which not every value is supported."""


def refuse_unsupported(headers: IHeaders) -> None:
    """Refuse a request with a header that would change what is stored, and that is not understood here.

    :raise S3Error: it has one.
    """
    name = _find_unsupported(tuple(headers.header_names()))
    if name:
        if name == "x-amz-security-token":
            raise S3Error("InvalidToken", "there are no session tokens here: remove AWS_SESSION_TOKEN")
        if name.startswith("x-amz-server-side-encryption"):
            raise S3Error("NotImplemented", f"{name}: there is no encryption by the server", Header=name)
        raise S3Error("NotImplemented", f"the header {name[:100]} is not supported", Header=name[:100])
    if not headers.has_any_header(_JUDGED):
        return
    read_acl(headers.getHeader("x-amz-acl"))
    storage_class = headers.getHeader("x-amz-storage-class")
    if storage_class not in {None, "STANDARD"}:
        raise S3Error("InvalidStorageClass", "The storage class you specified is not valid; there is only STANDARD")


@lru_cache(128)  # the headers of a client's requests have the same names
def _find_unsupported(names: tuple[str, ...]) -> str:
    """Return the first name of a header that would change what is stored, and is not understood; empty for none."""
    for name in names:
        if name.startswith("x-amz-") and name not in _READ and not name.startswith((META, PREFIX)):
            return name
    return ""


def read_media(headers: IHeaders) -> Media:
    """Read what an upload says of its object.

    :raise S3Error: a value cannot be kept, or the metadata are too many bytes.
    """
    if not _says_something(tuple(headers.header_names())):
        return NO_MEDIA
    try:
        return Media(
            parse_opaque(headers, "Content-Type"),
            _without_framing(parse_opaque(headers, "Content-Encoding", is_list=True)),
            parse_opaque(headers, "Content-Language", is_list=True),
            parse_opaque(headers, "Content-Disposition"),
            parse_opaque(headers, "Cache-Control", is_list=True),
            parse_opaque(headers, "Expires"),
            metadata=_metadata(headers),
            tags=parse_tagging(headers.getHeader("x-amz-tagging") or ""),
            acl=read_acl(headers.getHeader("x-amz-acl")),
        )
    except Refused as problem:
        raise S3Error("InvalidArgument", str(problem)) from problem


@lru_cache(128)  # the headers of a client's requests have the same names
def _says_something(names: tuple[str, ...]) -> bool:
    """Return whether one of some headers says something of an object."""
    return any(name in _SAID or name.startswith(META) for name in names)


def _without_framing(encoding: str) -> str:
    """Return the content's own encoding: `aws-chunked` is the framing of the request, and gone when it is read."""
    if "aws-chunked" not in encoding:
        return encoding
    return ", ".join(each for each in map(str.strip, encoding.split(",")) if each and each != "aws-chunked")


def _metadata(headers: IHeaders) -> tuple[tuple[str, str], ...]:
    names = [name for name in headers.header_names() if name.startswith(META)]
    for name in names:
        if not _TOKEN.match(name):  # the field of a form may have any name, which no answer could tell
            raise S3Error("InvalidArgument", f"{name[:100]} cannot be the name of a header", ArgumentName=name[:100])
    found = sorted(
        (name[len(META) :], decode_opaque(",".join(value.strip() for value in headers.header_values(name))))
        for name in names
    )
    size = sum(len(name) + len(encode_opaque(value)) for name, value in found)
    if size > MOST_METADATA:
        raise S3Error(
            "MetadataTooLarge",
            "Your metadata headers exceed the maximum allowed metadata size",
            Size=str(size),
            MaxSizeAllowed=str(MOST_METADATA),
        )
    if any(has_control(value) for _, value in found):
        raise S3Error("InvalidArgument", "a value of x-amz-meta- has control characters")
    return tuple(found)


def has_control(value: str) -> bool:
    """Return whether a value has control characters, which no header can hold."""
    return _CONTROL.search(value) is not None


def parse_tagging(value: str) -> tuple[tuple[str, str], ...]:
    """Read the value of `x-amz-tagging`: tags as the parameters of a query.

    :raise S3Error: they are not tags; see `check_tags`.
    """
    if not value:
        return ()
    try:
        return check_tags(parse_qsl(value, keep_blank_values=True, errors="strict"))
    except ValueError:
        raise S3Error("InvalidArgument", "x-amz-tagging is not well formed", ArgumentName="x-amz-tagging") from None


MOST_TAGS = 10
_SYSTEM = "aws:"
"""What the keys of Amazon's own tags begin with: no client gives such ones."""
_LONGEST_TAG_KEY = 128
_LONGEST_TAG_VALUE = 256


def check_tags(tags: list[tuple[str, str]], most: int = MOST_TAGS) -> tuple[tuple[str, str], ...]:
    """Return tags in order.

    :raise S3Error: they are too many, one is too long or Amazon's own, or a key is there twice.
    """
    if len(tags) > most:
        raise S3Error("InvalidTag", f"Object tags cannot be greater than {most}")
    for key, value in tags:
        if not key or len(key) > _LONGEST_TAG_KEY:
            raise S3Error("InvalidTag", "The TagKey you have provided is invalid")
        if len(value) > _LONGEST_TAG_VALUE:
            raise S3Error("InvalidTag", "The TagValue you have provided is invalid")
        if has_control(key + value) or _NO_XML.search(key + value):
            raise S3Error("InvalidTag", "a tag is not UTF-8, or has control characters, or others that XML cannot hold")
        if key.startswith(_SYSTEM):
            raise S3Error("InvalidTag", f"Your TagKey cannot be prefixed with {_SYSTEM}", TagKey=key)
    if len({key for key, _ in tags}) != len(tags):
        raise S3Error("InvalidTag", "Cannot provide multiple Tags with the same key")
    return tuple(sorted(tags))


# What is told of an object


def etag_of(manifest: Manifest) -> str:
    """Return the entity tag of an object, with quotes.

    That of a file which came by another door has a form that no client takes for an MD5.
    """
    return f'"{etag_text(manifest.upload, manifest.said)}"'


def etag_text(upload: str, said: str | Media) -> str:
    """Return the entity tag of an object without quotes; see `etag_of`.

    :param upload: see `Manifest`, as for `said`.
    """
    return f"{upload}-1" if isinstance(said, str) or not said.etag else said.etag


def describe_version(request: IRequest, manifest: Manifest) -> None:
    """Set the headers that say which version of an object this is."""
    request.setHeader("ETag", etag_of(manifest))
    request.setHeader("Last-Modified", format_time(manifest.created_ms))


def describe_freshness(request: IRequest, media: Media) -> None:
    """Set the headers that say how long a cache may keep an object; also in the answer that it has not changed.

    RFC 9110 section 15.4.5.
    """
    if media.cache_control:
        request.setHeader("Cache-Control", encode_opaque(media.cache_control))
    if media.expires:
        request.setHeader("Expires", encode_opaque(media.expires))


def describe_object(request: IRequest, media: Media) -> None:
    """Set the headers that came with an object."""
    for name, value in _headers_of(media):
        request.setHeader(name, value)


def lines_of_whole(manifest: Manifest) -> bytes:
    """Return the headers of an answer with all bytes of an object, encoded, for a request that asks for no more."""
    said = manifest.said
    # Hardly two objects have the same ETag or checksum, so the lines of those that are alike but for these are kept.
    if isinstance(said, str):
        lines = _lines_of(said)
    elif said.metadata:
        lines = _join(said)
    else:
        freshness = said.cache_control, said.expires
        lines = _lines_of(Media(said.type, said.encoding, said.language, said.disposition, *freshness, tags=said.tags))
    own = etag_of(manifest).encode(), format_time(manifest.created_ms).encode("ascii"), manifest.size, lines
    return b"ETag: %b\r\nLast-Modified: %b\r\nContent-Length: %d\r\nAccept-Ranges: bytes\r\n%b" % own


@lru_cache(256)
def _lines_of(said: str | Media) -> bytes:
    return _join(Media(said) if isinstance(said, str) else said)


def _join(media: Media) -> bytes:
    return b"".join(encode_header(name, value) for name, value in _headers_of(media))


def _headers_of(media: Media) -> list[tuple[str, bytes]]:
    """Return (name, value) of the headers that come with an object, but for those that say which version it is."""
    optional = (
        ("Content-Encoding", media.encoding),
        ("Content-Language", media.language),
        ("Content-Disposition", media.disposition),
        ("Cache-Control", media.cache_control),
        ("Expires", media.expires),
    )
    metadata = [(META + name, value) for name, value in media.metadata]
    tagging = [("x-amz-tagging-count", str(len(media.tags)))] if media.tags else []
    said = [("Content-Type", media.type or "binary/octet-stream"), *(each for each in optional if each[1])]
    return [(name, encode_opaque(value)) for name, value in (*said, *metadata, *tagging)]


def describe_checksum(request: IRequest, manifest: Manifest) -> None:
    """Set the header with the checksum of an object, if it has one."""
    checksum = parse_kept(manifest.media.checksum)
    if checksum is not None:
        request.setHeader(checksum.algorithm.field, checksum.value)
        request.setHeader("x-amz-checksum-type", checksum.type)
