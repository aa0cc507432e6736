"""Reads which bucket and key a request names.  Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from urllib.parse import unquote_to_bytes

import attrs

from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.query import NO_QUERY, Query
from storaged.http import origin_form

MAX_KEY = 1024
"""The most bytes of a key."""

_LONGEST_BUCKET = 63
_BUCKET = re.compile(r"\A[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z", re.ASCII)
_ADDRESS = re.compile(r"\A[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+\Z", re.ASCII)
_APART = re.compile(r"\.\.|-\.|\.-")
_PORT = re.compile(r":[0-9]*\Z")


@attrs.define  # it is made for each request, and one that is frozen takes three times as long
class Target:
    """What a request names.

    :param raw_path: the path as it stands in the URL, for the signature.
    :param bucket: empty for the service itself.
    :param key: empty for the bucket itself.
    :param in_host: whether the bucket stands in the name of the host, and not in the path.
    """

    raw_path: bytes
    query: Query
    bucket: str
    key: str
    in_host: bool = False

    @property
    def host_bucket(self) -> str:
        """The bucket in the name of the host; empty if it stands in the path."""
        return self.bucket if self.in_host else ""

    @property
    def resource(self) -> str:
        """Its name in answers."""
        return f"/{self.bucket}/{self.key}" if self.key else f"/{self.bucket}"


def is_bucket_name(name: str) -> bool:
    """Return whether a bucket can have this name.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    """
    return len(name) <= _LONGEST_BUCKET and _is_bucket_name(name)


@lru_cache(1024)  # most requests are for the same few buckets
def _is_bucket_name(name: str) -> bool:
    return bool(_BUCKET.match(name)) and not _APART.search(name) and not _ADDRESS.match(name)


def parse_target(uri: bytes, hosts: Iterable[str], domains: Sequence[str]) -> Target:
    """Read what a request names, in its path or, below one of the domains, in the name of the host.

    :param hosts: the names by which the client has called: the first one that lies below a domain counts.
    :raise S3Error: the path is not UTF-8.
    """
    raw, _, query = (uri if uri.startswith(b"/") else origin_form(uri)).partition(b"?")
    path = decode_key(raw) if b"%" in raw else raw.decode()
    if not path.startswith("/"):
        raise S3Error("InvalidURI", "Couldn't parse the specified URI.")
    parsed = Query(query) if query else NO_QUERY
    bucket = next(filter(None, (bucket_of(host, domains) for host in hosts)), "") if domains else ""
    if bucket:
        return Target(raw, parsed, bucket, check_key(path[1:]), True)
    _, bucket, *keys = path.split("/", 2)
    return Target(raw, parsed, bucket, check_key(keys[0]) if keys else "")


def decode_key(raw: bytes) -> str:
    """Return a percent-encoded key, or a path, as text.

    :raise S3Error: it is not UTF-8.
    """
    try:
        return (unquote_to_bytes(raw) if b"%" in raw else raw).decode()
    except UnicodeDecodeError:
        raise S3Error("InvalidURI", "Couldn't parse the specified URI.") from None


def check_key(key: str) -> str:
    """Return a key as it came.

    :raise S3Error: it is too long.
    """
    if len(key) <= MAX_KEY // 4:  # a character has four bytes at most
        return key
    size = len(key.encode("utf-8", "surrogatepass"))
    if size > MAX_KEY:
        raise S3Error("KeyTooLongError", "Your key is too long", Size=str(size), MaxSizeAllowed=str(MAX_KEY))
    return key


def path_of(bucket: str, key: str) -> str:
    """Return the path of a key."""
    return f"/{bucket}/{key}"


def bucket_of(host: str, domains: Iterable[str]) -> str:
    """Return the bucket in the name of a host; empty if it lies below none of the domains."""
    name = _PORT.sub("", host).lower().rstrip(".")
    for domain in domains:
        if name.endswith(f".{domain}"):
            return name[: -len(domain) - 1]
    return ""
