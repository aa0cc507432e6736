"""ListObjects and ListObjectsV2: a page of the keys of a bucket, in the order of their bytes.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html
https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Sequence

import attrs

from splitd.frontends.s3.answers import answer
from splitd.frontends.s3.door import S3Request, owner_of
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.headers import etag_of
from splitd.frontends.s3.payload.checksums import parse_kept
from splitd.frontends.s3.target import MAX_KEY
from splitd.frontends.s3.xml import document, element, encode_name, format_time, text
from splitd.model.manifest import Manifest

MOST_KEYS = 1000
"""Keys and common prefixes in a page at most."""

_TOKEN = "1."  # noqa: S105 - not a secret: the form of the rest

Page = Callable[[str, str, int], Awaitable[Sequence[tuple[str, Manifest]]]]
"""Returns some objects of a bucket in order, given the prefix of their keys, a key after which they come, and how many
at most.
"""


@attrs.frozen
class Listing:
    """A page of keys.

    :param objects: the objects that have their keys to themselves.
    :param prefixes: what the keys begin with that have a delimiter after the prefix.
    :param next: the last key or common prefix of the page, if there are more after it; empty otherwise.
    """

    objects: Sequence[tuple[str, Manifest]]
    prefixes: Sequence[str]
    next: str


@attrs.frozen
class Asked:
    """What is asked for.

    :param after: the page begins after this key; after all keys with this prefix, if it is a common prefix.
    :param limit: how many keys and common prefixes.
    """

    prefix: str
    delimiter: str
    after: str
    limit: int


async def collect(page: Page, asked: Asked) -> Listing:
    """Return a page of keys.  A common prefix is skipped over, whatever it holds."""
    objects: list[tuple[str, Manifest]] = []
    prefixes: list[str] = []
    prefix, delimiter, limit = asked.prefix, asked.delimiter, asked.limit
    last, after = "", _behind(asked.after, prefix, delimiter)
    while limit:
        wanted = limit + 1 - len(objects) - len(prefixes)
        found = await page(prefix, after, wanted)
        for key, manifest in found:
            if len(objects) + len(prefixes) == limit:
                return Listing(objects, prefixes, last)
            common = _common(key, prefix, delimiter)
            if common:
                prefixes.append(common)
                last, after = common, _end_of(common)
                break
            objects.append((key, manifest))
            last = after = key
        else:
            if len(found) < wanted:
                break
    return Listing(objects, prefixes, "")


def _common(key: str, prefix: str, delimiter: str) -> str:
    """Return the common prefix that stands for a key; empty if it stands for itself."""
    end = key.find(delimiter, len(prefix)) if delimiter else -1
    return "" if end < 0 else key[: end + len(delimiter)]


def _behind(after: str, prefix: str, delimiter: str) -> str:
    """Return the key after which a page begins: a common prefix that was told already is not told again."""
    if after.startswith(prefix) and _common(after, prefix, delimiter) == after != "":
        return _end_of(after)
    return after


def _end_of(prefix: str) -> str:
    """Return a text that is greater than any key with a prefix, and less than any other key after them."""
    return prefix + "\U0010ffff" * (MAX_KEY // 4 + 1)


async def list_objects(request: S3Request) -> None:
    """Answer with a page of keys, after `marker`."""
    marker = request.query.get("marker")
    asked = _asked(request, marker)
    encode = _encoder(request)
    listing = await collect(_page(request), asked)
    more = [text("NextMarker", encode(listing.next))] if listing.next and asked.delimiter else []
    _answer(request, asked, listing, [text("Marker", encode(marker)), *more], with_owner=True)


async def list_objects_v2(request: S3Request) -> None:
    """Answer with a page of keys, after a token or `start-after`."""
    query = request.query
    token, start = query.get("continuation-token"), query.get("start-after")
    if "continuation-token" in query and not token:
        raise S3Error(
            "InvalidArgument", "The continuation token provided is incorrect", ArgumentName="continuation-token"
        )
    asked = _asked(request, _read_token(token) if token else start)
    encode = _encoder(request)
    listing = await collect(_page(request), asked)
    told = [text("KeyCount", len(listing.objects) + len(listing.prefixes))]
    if token:
        told.append(text("ContinuationToken", token))
    if "start-after" in query:
        told.append(text("StartAfter", encode(start)))
    if listing.next:
        told.append(text("NextContinuationToken", _write_token(listing.next)))
    _answer(request, asked, listing, told, with_owner=query.get("fetch-owner").lower() == "true")


def _asked(request: S3Request, after: str) -> Asked:
    query = request.query
    return Asked(query.get("prefix"), query.get("delimiter"), after, read_limit(request, "max-keys"))


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


def _page(request: S3Request) -> Page:
    async def page(prefix: str, after: str, limit: int) -> Sequence[tuple[str, Manifest]]:
        return await request.keys.page(request.bucket, prefix, after, limit)

    return page


def _encoder(request: S3Request) -> Callable[[str], str]:
    encoding = request.query.get("encoding-type")
    if encoding not in {"", "url"}:
        raise S3Error("InvalidArgument", "Invalid Encoding Method specified in Request", ArgumentName="encoding-type")
    return encode_name if encoding else str


def _answer(request: S3Request, asked: Asked, listing: Listing, told: list[str], *, with_owner: bool) -> None:
    encode = _encoder(request)
    owner = owner_element(request) if with_owner else ""
    head = [text("Name", request.bucket), text("Prefix", encode(asked.prefix)), text("MaxKeys", asked.limit)]
    if asked.delimiter:
        head.append(text("Delimiter", encode(asked.delimiter)))
    if "encoding-type" in request.query:
        head.append(text("EncodingType", request.query.get("encoding-type")))
    body = document(
        "ListBucketResult",
        *head,
        *told,
        text("IsTruncated", "true" if listing.next else "false"),
        *(_contents(encode(key), manifest, owner) for key, manifest in listing.objects),
        *(element("CommonPrefixes", text("Prefix", encode(each))) for each in listing.prefixes),
    )
    answer(request.http, 200, body)


def _contents(key: str, manifest: Manifest, owner: str) -> str:
    checksum = parse_kept(manifest.media.checksum)
    kind = text("ChecksumAlgorithm", checksum.algorithm.name) + text("ChecksumType", checksum.type) if checksum else ""
    return element(
        "Contents",
        text("Key", key),
        text("LastModified", format_time(manifest.created_ms)),
        text("ETag", etag_of(manifest)),
        kind,
        text("Size", manifest.size),
        owner,
        text("StorageClass", "STANDARD"),
    )


def owner_element(request: S3Request, name: str = "Owner") -> str:
    """Return the element that says whose something is."""
    owner, shown = owner_of(request.proof.principal)
    return element(name, text("ID", owner), text("DisplayName", shown))


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
