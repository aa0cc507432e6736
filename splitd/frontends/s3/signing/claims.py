"""Reads who a request claims to come from: in its `Authorization` header, or in the query of its URL.  Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

import attrs

from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.query import Query
from splitd.frontends.s3.signing.canonical import ALGORITHM, DIGITS, Scope

LONGEST_S = 7 * 24 * 3600
"""The most seconds that a signed URL may be good for."""

SIGNATURE = "X-Amz-Signature"
_PARAMETERS = ("X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", SIGNATURE)
_TIME = re.compile(r"\A[0-9]{8}T[0-9]{6}Z\Z", re.ASCII)
_DAY = re.compile(r"\A[0-9]{8}\Z", re.ASCII)
_SECONDS = re.compile(r"\A-?[0-9]{1,9}\Z", re.ASCII)
_HEX = re.compile(rf"\A[0-9a-f]{{{DIGITS}}}\Z")
_LAST = "Signature="
_ZEROS = "0" * DIGITS
_LONGEST_KEPT = 512
"""The most characters of an `Authorization` header that is remembered: those of real clients have about 200."""

_NAMES = re.compile(r"\A[!#-+\--:<-~]+(?:;[!#-+\--:<-~]+)*\Z")


@attrs.frozen
class Claim:
    """What a request says of its signature.

    :param access_key: the id of the key.
    :param signed: the names of the signed headers, in lower case and in order, joined by semicolons.
    :param signature: in hexadecimal digits.
    :param time: when it was signed, as YYYYMMDDTHHMMSSZ; empty if a header says that.
    :param expires_s: how long a signed URL is good for, in seconds; None for a signature in a header.
    """

    access_key: str
    scope: Scope
    signed: str
    signature: str
    time: str = ""
    expires_s: int | None = None


def parse_authorization(value: str) -> Claim:
    """Read the value of an `Authorization` header.

    :raise S3Error: it is of another kind, or not well formed.
    """
    # A client's headers of one day differ in the signature only, which nearly all clients put last.
    if value[-DIGITS - len(_LAST) : -DIGITS] == _LAST and len(value) <= _LONGEST_KEPT:
        start = _parse_start(value[:-DIGITS])
        if start is not None:
            return Claim(start.access_key, start.scope, start.signed, _check_hex(value[-DIGITS:]))
    return _parse(value)


@lru_cache(1024)
def _parse_start(start: str) -> Claim | None:
    """Read a header without the digits at its end, its signature; return None if it must be read as a whole."""
    try:
        claim = _parse(start + _ZEROS)
    except S3Error:
        return None
    return claim if claim.signature == _ZEROS else None


def _parse(value: str) -> Claim:
    kind, _, rest = value.strip().partition(" ")
    if kind != ALGORITHM:
        if kind == "AWS":
            raise S3Error(
                "InvalidRequest", f"signatures of version 2 are not taken here; please use {ALGORITHM} (version 4)"
            )
        raise S3Error("InvalidArgument", "Unsupported Authorization Type", ArgumentName="Authorization")
    fields: dict[str, str] = {}
    for piece in rest.split(","):
        name, equals, field = piece.strip().partition("=")
        if not equals or name in fields:
            raise _malformed(f"{piece.strip()[:80]!r} is no field, or stands there twice")
        fields[name] = field
    for name in ("Credential", "SignedHeaders", "Signature"):
        if name not in fields:
            raise _malformed(f"it lacks {name}")
    access_key, scope = _parse_credential(fields["Credential"], _malformed)
    return Claim(access_key, scope, _check_names(fields["SignedHeaders"], _malformed), _check_hex(fields["Signature"]))


def parse_presigned(query: Query) -> Claim:
    """Read the signature in the query of a URL.

    :raise S3Error: it is not well formed.
    """
    if query.get("X-Amz-Algorithm") != ALGORITHM:
        raise _bad_parameters(f"X-Amz-Algorithm only supports {ALGORITHM}")
    for name in _PARAMETERS:
        if not query.get(name):
            raise _bad_parameters(f"it lacks {name}")
    access_key, scope = _parse_credential(query.get("X-Amz-Credential"), _bad_parameters)
    time, expires = query.get("X-Amz-Date"), query.get("X-Amz-Expires")
    if not _TIME.match(time):
        raise _bad_parameters("X-Amz-Date must be in the form YYYYMMDDTHHMMSSZ")
    if not _SECONDS.match(expires):
        raise _bad_parameters("X-Amz-Expires should be a number of seconds")
    if int(expires) > LONGEST_S:
        raise _bad_parameters(f"X-Amz-Expires must be from 1 to {LONGEST_S} seconds, which is a week")
    if int(expires) < 1:
        raise expired(expires)
    signed = _check_names(query.get("X-Amz-SignedHeaders"), _bad_parameters)
    return Claim(access_key, scope, signed, _check_hex(query.get(SIGNATURE)), time, int(expires))


def parse_form(fields: Mapping[str, str]) -> Claim:
    """Read the signature of a form's policy.

    :param fields: the form's fields, by their names in lower case.
    :raise S3Error: it is not well formed.
    """
    algorithm, credential, time, signature = (
        fields.get(f"x-amz-{name}", "") for name in ("algorithm", "credential", "date", "signature")
    )
    if not (algorithm and credential and time and signature):
        raise _bad_form("a form with a policy needs x-amz-algorithm, x-amz-credential, x-amz-date and x-amz-signature")
    if algorithm != ALGORITHM:
        raise _bad_form(f"x-amz-algorithm only supports {ALGORITHM}")
    access_key, scope = _parse_credential(credential, _bad_form)
    if not _TIME.match(time):
        raise _bad_form("x-amz-date must be in the form YYYYMMDDTHHMMSSZ")
    return Claim(access_key, scope, "", _check_hex(signature), time)


def _bad_form(why: str) -> S3Error:
    return S3Error("InvalidArgument", f"the form's signature cannot be used: {why}")


def _parse_credential(value: str, refuse: Callable[[str], S3Error]) -> tuple[str, Scope]:
    # An access key may have slashes; nothing after it has.
    pieces = value.rsplit("/", 4)
    if len(pieces) != 5 or not pieces[0] or pieces[4] != "aws4_request" or not _DAY.match(pieces[1]):
        raise refuse("Credential should be ACCESS-KEY/YYYYMMDD/REGION/SERVICE/aws4_request")
    return pieces[0], Scope(*pieces[1:4])


def _check_names(value: str, refuse: Callable[[str], S3Error]) -> str:
    if not _NAMES.match(value) or value != value.lower():
        raise refuse("SignedHeaders should be names of headers in lower case, separated by semicolons")
    return value


def _check_hex(value: str) -> str:
    if not _HEX.match(value):
        raise S3Error("SignatureDoesNotMatch", "the signature is not 64 hexadecimal digits")
    return value


def _malformed(why: str) -> S3Error:
    return S3Error("AuthorizationHeaderMalformed", f"the authorization header is malformed: {why}")


def expired(seconds: str) -> S3Error:
    """Return the refusal of a URL whose time is over.

    :param seconds: how long it was good for.
    """
    return S3Error("AccessDenied", "the request has expired", **{"X-Amz-Expires": seconds})


def _bad_parameters(why: str) -> S3Error:
    return S3Error("AuthorizationQueryParametersError", f"the query's signature cannot be used: {why}")
