"""What the headers of a request say of its signature: its time, the hash of its body, and the signed values."""

from __future__ import annotations

import re
from calendar import timegm
from functools import lru_cache
from time import gmtime, strftime

from splitd.frontends.http.times import parse_time
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.signing.alike import CONTENT_SHA256, DATE
from splitd.frontends.s3.signing.canonical import DIGITS, canonical_value
from storaged.http import IRequest

UNSIGNED = "UNSIGNED-PAYLOAD"
SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_CHUNKS_AND_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_CHUNKS = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
_UNSIGNED_BODIES = frozenset({UNSIGNED, UNSIGNED_CHUNKS})
_WORDS = _UNSIGNED_BODIES | {SIGNED_CHUNKS, SIGNED_CHUNKS_AND_TRAILER}

_LISTS = frozenset({"x-amz-object-attributes", "x-amz-optional-object-attributes"})
"""Headers that SDKs may send once for each element of a list."""

_HEX = re.compile(rf"\A[0-9a-f]{{{DIGITS}}}\Z")
_TIME_LENGTH = len("YYYYMMDDTHHMMSSZ")
_TIME = re.compile(r"\A([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z\Z", re.ASCII)


def stated_payload(request: IRequest, otherwise: str) -> str:
    """Return what a request says of its body's hash; `otherwise` if it says nothing.

    :raise S3Error: it is no hash, and no word that is known here.
    """
    stated = request.getHeader(CONTENT_SHA256)
    if stated is None:
        return otherwise
    if stated in _WORDS or _HEX.match(stated):
        return stated
    if stated.startswith("STREAMING-"):
        raise S3Error("NotImplemented", f"{CONTENT_SHA256}: {stated[:80]} is not supported")
    raise S3Error(
        "InvalidArgument",
        f"{CONTENT_SHA256} must be {UNSIGNED}, one of the words that begin with STREAMING-, or a SHA-256 in "
        "lower-case hexadecimal digits",
        ArgumentName=CONTENT_SHA256,
    )


def is_plain_payload(stated: str) -> bool:
    """Return whether what a request says of its body's hash is that hash, or that the body is not signed."""
    return stated in _UNSIGNED_BODIES or _HEX.match(stated) is not None


def signed_time(request: IRequest) -> str:
    """Return when a request was signed, as YYYYMMDDTHHMMSSZ.

    :raise S3Error: it does not say it.
    """
    stated = request.getHeader(DATE)
    if stated is not None and _TIME.match(stated):
        return stated
    seconds = parse_time(request.getHeader("Date")) if stated is None else parse_time(stated)
    if seconds is None:
        raise S3Error("AccessDenied", "a signed request needs a valid x-amz-date or Date header")
    return _format(seconds)


def refuse_unsigned(request: IRequest, signed: str, *, is_presigned: bool) -> None:
    """Refuse headers that change what a request means and that nobody has signed.

    :param signed: the names of those that are signed, in lower case, joined by semicolons.
    :raise S3Error: there are some.
    """
    loose = _find_loose(tuple(request.header_names()), signed, is_presigned)
    if "host" in loose:
        raise S3Error("AccessDenied", "the header host must be signed", HeadersNotSigned="host")
    if loose:
        raise S3Error(
            "AccessDenied",
            "there are headers in the request that are not signed",
            HeadersNotSigned=", ".join(sorted(loose)),
        )


def refuse_repeated(request: IRequest) -> None:
    """Refuse a request in which a header of S3 came more than once: signed are all of its values, and read is one.

    Metadata may, and lists: of these all values are read.

    :raise S3Error: one did.
    """
    names = _find_single(tuple(request.header_names()))
    if names and request.only_headers(names) is None:
        name = next(each.decode() for each in names if request.only_header(each) is None)
        raise S3Error("InvalidArgument", f"the header {name[:100]} came more than once", ArgumentName=name[:100])


@lru_cache(128)  # the headers of a client's requests have the same names
def _find_single(names: tuple[str, ...]) -> tuple[bytes, ...]:
    """Return those of some names whose headers may come only once."""
    return tuple(
        name.encode("ascii")
        for name in names
        if name.startswith("x-amz-") and not name.startswith("x-amz-meta-") and name not in _LISTS
    )


@lru_cache(128)  # the headers of a client's requests have the same names
def _find_loose(names: tuple[str, ...], signed: str, is_presigned: bool) -> frozenset[str]:
    """Return the names that must be signed and are not.

    :param names: those of all headers of a request.
    :param signed: those that are signed, joined by semicolons.
    """
    wanted = {"host", *(name for name in names if name.startswith("x-amz-"))}
    if is_presigned:
        wanted.discard(CONTENT_SHA256)  # what it says of the body is checked all the same
    return frozenset(wanted.difference(signed.split(";")))


def signed_value(request: IRequest, name: str) -> str:
    """Return the value of a signed header in the form that is signed.

    :raise S3Error: it did not come.
    """
    value = request.only_header(name.encode("ascii"))
    if value is not None and value.isascii():  # nearly always
        return canonical_value(value.decode("ascii"))
    values = request.header_values(name)
    if not values:
        raise S3Error("SignatureDoesNotMatch", f"the header {name[:80]} is signed, and did not come")
    return canonical_value(values[0]) if len(values) == 1 else ",".join(map(canonical_value, values))


def called_hosts(request: IRequest) -> list[str]:
    """Return the names by which a client may have called: that in `Host`, and those that trusted proxies report."""
    hosts = [canonical_value(request.getHeader("Host") or "")]
    for value in request.header_values("X-Forwarded-Host") if request.has_header(b"x-forwarded-host") else ():
        for each in value.split(","):
            name = each.strip()
            if name and name not in hosts and request.is_called(name):
                hosts.append(name)
    return hosts


def seconds_of(time: str) -> int:
    """Return a time in the form YYYYMMDDTHHMMSSZ as seconds since 1970.

    :raise S3Error: it is no time.
    """
    found = find_seconds(time)
    if found is None:
        raise S3Error("AccessDenied", f"{time[:40]!r} is no time")
    return found


def find_seconds(time: str) -> int | None:
    """Return a time in the form YYYYMMDDTHHMMSSZ as seconds since 1970; None if it is none."""
    return _find_seconds(time) if len(time) == _TIME_LENGTH else None


@lru_cache(4096)
def _find_seconds(time: str) -> int | None:
    match = _TIME.match(time)
    if match is not None:
        year, month, day, hour, minute, second = map(int, match.groups())
        if year >= 1970 and 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61:
            return timegm((year, month, day, hour, minute, second))
    return None


def _format(seconds: int) -> str:
    return strftime("%Y%m%dT%H%M%SZ", gmtime(seconds))
