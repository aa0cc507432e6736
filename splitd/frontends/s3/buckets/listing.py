"""ListObjects, ListObjectsV2 and ListObjectVersions: a page of the keys of a bucket, in the order of their bytes.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html
https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Sequence
from functools import cache

from splitd.frontends.s3.answers import answer
from splitd.frontends.s3.buckets.notes import Owner
from splitd.frontends.s3.door import S3Request
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.headers import etag_text
from splitd.frontends.s3.payload.checksums import kind_of_kept
from splitd.frontends.s3.xml import document, element, encode_name, encode_names, escape_all, format_time, text
from splitd.interfaces.keys import Listing
from splitd.model.keys import Key

MOST_KEYS = 1000
"""Keys and common prefixes in a page at most."""

_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_TOKEN = "1."  # noqa: S105 - not a secret: the form of the rest


async def list_objects(request: S3Request) -> None:
    """Answer with a page of keys, after `marker`."""
    marker = request.query.get("marker")
    encode = encoder_of(request)
    listing = await _list(request, marker)
    more = [text("NextMarker", encode(listing.next))] if listing.next and request.query.get("delimiter") else []
    # Clients decode the prefix in other lists only, so that here it is encoded only if XML cannot hold it.
    prefix = request.query.get("prefix")
    shown = encode(prefix) if _NO_XML.search(prefix) else prefix
    await _answer(request, listing, [text("Marker", encode(marker)), *more], with_owner=True, prefix=shown)


async def list_objects_v2(request: S3Request) -> None:
    """Answer with a page of keys, after a token or `start-after`."""
    query = request.query
    if query.get("list-type") != "2":
        raise S3Error("InvalidArgument", "Invalid List Type specified in Request", ArgumentName="list-type")
    token, start = query.get("continuation-token"), query.get("start-after")
    encode = encoder_of(request)
    listing = await _list(request, _read_token(token) if token else start)
    told = [text("KeyCount", len(listing.keys) + len(listing.prefixes))]
    if "continuation-token" in query:
        told.append(text("ContinuationToken", token))
    if "start-after" in query:
        told.append(text("StartAfter", encode(start)))
    if listing.next:
        told.append(text("NextContinuationToken", _write_token(listing.next)))
    await _answer(request, listing, told, with_owner=query.get("fetch-owner").lower() == "true")


async def _list(request: S3Request, after: str) -> Listing:
    query = request.query
    limit = read_limit(request, "max-keys")
    return await request.keys.list(request.bucket, query.get("prefix"), after, query.get("delimiter"), limit)


def read_limit(request: S3Request, name: str) -> int:
    """Return how many entries of a list are asked for: `MOST_KEYS` at most.

    :raise S3Error: it is no number.
    """
    value = request.query.get(name)
    if not value:
        return MOST_KEYS
    if not (value.isascii() and value.isdigit() and len(value) <= 10 and int(value) < 2**31):
        raise S3Error("InvalidArgument", f"Provided {name} not an integer or within integer range", ArgumentName=name)
    return min(int(value), MOST_KEYS)


def encoder_of(request: S3Request) -> Callable[[str], str]:
    """Return how keys are written in a list.

    :raise S3Error: it asks for an encoding that there is not.
    """
    encoding = request.query.get("encoding-type")
    if encoding not in {"", "url"}:
        raise S3Error("InvalidArgument", "Invalid Encoding Method specified in Request", ArgumentName="encoding-type")
    return encode_name if encoding else str


async def list_versions(request: S3Request) -> None:
    """Answer with a page of versions: each object has one, which is called null."""
    marker, version = request.query.get("key-marker"), request.query.get("version-id-marker")
    if version and not marker:
        raise S3Error("InvalidArgument", "A version-id marker cannot be specified without a key marker.")
    encode = encoder_of(request)
    listing = await _list(request, marker)
    told = [text("KeyMarker", encode(marker)), text("VersionIdMarker", version)]
    if listing.next:
        told += [text("NextKeyMarker", encode(listing.next)), text("NextVersionIdMarker", "null")]
    await _answer(request, listing, told, with_owner=True, root="ListVersionsResult", entry="Version")


async def _answer(
    request: S3Request,
    listing: Listing,
    told: list[str],
    *,
    with_owner: bool,
    prefix: str | None = None,
    root: str = "ListBucketResult",
    entry: str = "Contents",
) -> None:
    encode, query = encoder_of(request), request.query
    owner = await told_owner(request) if with_owner else ""
    head = [
        text("Name", request.bucket),
        text("Prefix", encode(query.get("prefix")) if prefix is None else prefix),
        text("MaxKeys", read_limit(request, "max-keys")),
    ]
    if query.get("delimiter"):
        head.append(text("Delimiter", encode(query.get("delimiter"))))
    if query.get("encoding-type"):
        head.append(text("EncodingType", query.get("encoding-type")))
    keys: Sequence[str] = [each.key for each in listing.keys]
    prefixes = listing.prefixes
    if query.get("encoding-type"):
        keys, prefixes = encode_names(keys), encode_names(prefixes)
    body = document(
        root,
        *head,
        *told,
        text("IsTruncated", "true" if listing.next else "false"),
        *_rows(entry, listing.keys, escape_all(keys), owner),
        *[f"<CommonPrefixes><Prefix>{each}</Prefix></CommonPrefixes>" for each in escape_all(prefixes)],
    )
    answer(request.http, 200, body)


def _rows(name: str, keys: Sequence[Key], shown: Sequence[str], owner: str) -> Iterator[str]:
    """Return the elements of keys.

    :param shown: the keys, as they stand in XML.
    :param owner: the element of their owner.
    """
    etags = escape_all([etag_text(each.upload, each.said) for each in keys])
    begin = f"<{name}><Key>"
    told = "</Key><VersionId>null</VersionId><IsLatest>true</IsLatest>" if name == "Version" else "</Key>"
    end = f"</Size>{owner}<StorageClass>STANDARD</StorageClass></{name}>"
    for key, etag, each in zip(shown, etags, keys, strict=True):
        said = each.said
        kind = "" if isinstance(said, str) or not said.checksum else _kind(kind_of_kept(said.checksum))
        # One piece, because it is most of what a page of a thousand keys costs.
        yield (
            f"{begin}{key}{told}<LastModified>{format_time(each.created_ms)}</LastModified>"
            f"<ETag>&quot;{etag}&quot;</ETag>{kind}<Size>{each.size}{end}"
        )


@cache
def _kind(kind: tuple[str, str] | None) -> str:
    if kind is None:
        return ""
    return f"<ChecksumAlgorithm>{kind[0]}</ChecksumAlgorithm><ChecksumType>{kind[1]}</ChecksumType>"


async def told_owner(request: S3Request) -> str:
    """Return the element of the bucket's owner; empty for those without a key: they are not told the names of users."""
    return "" if request.proof.is_anonymous else owner_element(await request.owner())


def owner_element(owner: Owner, name: str = "Owner") -> str:
    """Return the element that says whose something is."""
    return element(name, text("ID", owner[0]), text("DisplayName", owner[1]))


def _write_token(last: str) -> str:
    return _TOKEN + urlsafe_b64encode(last.encode()).decode().rstrip("=")


def _read_token(token: str) -> str:
    """Return the key or common prefix in a token.

    :raise S3Error: it is none of ours.
    """
    data = token.removeprefix(_TOKEN)
    try:
        last = urlsafe_b64decode(data + "=" * (-len(data) % 4)).decode()
    except ValueError:
        last = ""
    if not last or data == token:
        raise S3Error(
            "InvalidArgument", "The continuation token provided is incorrect", ArgumentName="continuation-token"
        )
    return last
