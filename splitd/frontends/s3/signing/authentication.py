"""Finds out who sends a request, by its signature."""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Mapping, Sequence
from functools import lru_cache
from time import gmtime, strftime

import attrs

from splitd.access.grants import Principal
from splitd.access.keys import AccessKey, IAccessKeys
from splitd.frontends.http.times import parse_time
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.signing import version2
from splitd.frontends.s3.signing.alike import CONTENT_SHA256, Alike, AlikeRequests
from splitd.frontends.s3.signing.canonical import (
    DIGITS,
    ChunkSigner,
    canonical_path,
    canonical_request,
    canonical_value,
    is_same,
    sign,
    signing_key,
    string_to_sign,
)
from splitd.frontends.s3.signing.claims import (
    SIGNATURE,
    Claim,
    expired,
    parse_authorization,
    parse_form,
    parse_presigned,
)
from splitd.frontends.s3.target import Target, bucket_of
from storaged.http import IRequest
from storaged.system.clocks import WallClock

SKEW_S = 15 * 60
"""How far the clock of a client may be off."""

SERVICE = "s3"
UNSIGNED = "UNSIGNED-PAYLOAD"
SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_CHUNKS_AND_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_CHUNKS = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
_UNSIGNED_BODIES = frozenset({UNSIGNED, UNSIGNED_CHUNKS})
_WORDS = _UNSIGNED_BODIES | {SIGNED_CHUNKS, SIGNED_CHUNKS_AND_TRAILER}

_HEX = re.compile(rf"\A[0-9a-f]{{{DIGITS}}}\Z")
_TIME = re.compile(r"\A([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z\Z", re.ASCII)


@attrs.frozen
class Proof:
    """Who sends a request, and what is known of its body before that is read.

    :param payload: the SHA-256 of the body in hexadecimal digits, or one of this module's words.
    :param chunks: checks the signatures of the body's chunks; None if they have none.
    """

    principal: Principal
    payload: str = UNSIGNED
    chunks: ChunkSigner | None = None

    @property
    def is_anonymous(self) -> bool:
        """Whether the request has no signature."""
        return self.principal.is_anonymous


class Authenticator:
    """Proves signatures.

    :param region: the region that signatures must be made for.
    :param wall: tells what time it is.
    :param domains: names below which each bucket is a host.
    """

    def __init__(self, keys: IAccessKeys, region: str, wall: WallClock, domains: Sequence[str] = ()) -> None:
        self._keys = keys
        self._region = region
        self._wall = wall
        self._domains = domains
        self._alike = AlikeRequests()

    @property
    def generation(self) -> object:
        """Stands for the present keys: another object after each change."""
        return self._keys.generation

    async def look(self, access_key: str) -> Authenticator:
        """Ask the catalog for a pair of keys, after `NotLooked`; return what knows it for sure."""
        return Authenticator(await self._keys.look(access_key), self._region, self._wall, self._domains)

    def prove(self, request: IRequest, target: Target) -> Proof:
        """Return who sends a request.

        :param target: what it names.
        :raise S3Error: the signature is not good, or not good any more; `code` says why.
        :raise NotLooked: the catalog must be asked for the key.
        """
        query = target.query
        proven = None if query else self._prove_alike(request, target.raw_path)
        if proven is not None:
            return proven
        headers = request.header_values("Authorization")
        if SIGNATURE in query or "X-Amz-Algorithm" in query:
            if headers:
                raise S3Error("InvalidArgument", "a request is signed in its header or in its URL, not in both")
            return self._prove_presigned(request, target)
        if not headers:
            if version2.ACCESS_KEY in query and version2.SIGNATURE in query:
                return self._prove_version2(request, target)
            return Proof(self._keys.anonymous, _stated_payload(request, UNSIGNED))
        if len(headers) > 1:  # a program before this one may have judged another one than we would
            raise S3Error("InvalidArgument", "the Authorization header came more than once")
        return self._prove_header(request, target, parse_authorization(headers[0]))

    def _prove_alike(self, request: IRequest, raw_path: bytes) -> Proof | None:
        """Return who sends a request that is like one that was proven before; None if that must be found out."""
        found = self._alike.find(request)
        if found is None:
            return None
        alike, stated, signature = found
        payload = stated.decode("ascii", "replace")
        if payload not in _UNSIGNED_BODIES and not _HEX.match(payload):
            return None
        if abs(self._wall.now_ms() / 1000 - _seconds(alike.time)) > SKEW_S:
            return None
        key = self._keys.find(alike.access_key)
        if key is not alike.key and key != alike.key:
            return None
        if not alike.is_signed(request.method, canonical_path(raw_path), stated, signature):
            return None
        return Proof(alike.key.principal, payload)

    def _prove_header(self, request: IRequest, target: Target, claim: Claim) -> Proof:
        time = _signed_time(request)
        if abs(self._wall.now_ms() / 1000 - _seconds(time)) > SKEW_S:
            raise S3Error(
                "RequestTimeTooSkewed",
                "the difference between the request's time and the server's is too large",
                RequestTime=time,
                MaxAllowedSkewMilliseconds=str(SKEW_S * 1000),
            )
        payload = _stated_payload(request, "")
        if not payload:
            raise S3Error("InvalidRequest", f"a signed request needs the header {CONTENT_SHA256}")
        self._check_scope(claim, time, "AuthorizationHeaderMalformed")
        return self._compare(request, target, target.query.canonical(), claim, time, payload, payload)

    def _prove_presigned(self, request: IRequest, target: Target) -> Proof:
        claim = parse_presigned(target.query)
        assert claim.expires_s is not None
        now_s, signed_s = self._wall.now_ms() / 1000, _seconds(claim.time)
        if signed_s > now_s + SKEW_S:
            raise S3Error("AccessDenied", "the request is not valid yet")
        if now_s >= signed_s + claim.expires_s:
            raise expired(str(claim.expires_s))
        self._check_scope(claim, claim.time, "AuthorizationQueryParametersError")
        payload = _stated_payload(request, UNSIGNED)
        signed = payload if CONTENT_SHA256 in claim.signed.split(";") else UNSIGNED
        canonical = target.query.canonical(without=SIGNATURE.encode())
        return self._compare(request, target, canonical, claim, claim.time, payload, signed)

    def _prove_version2(self, request: IRequest, target: Target) -> Proof:
        query, bucket = target.query, target.host_bucket
        expires = query.get(version2.EXPIRES)
        if not (expires.isascii() and expires.isdigit() and len(expires) < 12):
            raise S3Error("AccessDenied", "Query-string authentication requires Expires, seconds since 1970")
        if self._wall.now_ms() / 1000 >= int(expires):
            raise S3Error("AccessDenied", "Request has expired", Expires=expires)
        access_key = query.get(version2.ACCESS_KEY)
        key = self._find(access_key)
        # Signers put these headers into the URL; who has only that need not send them.
        amz = {name.lower(): canonical_value(query.get(name)) for name in query if name.lower().startswith("x-amz-")}
        amz |= {
            name: ",".join(map(canonical_value, request.header_values(name)))
            for name in request.header_names()
            if name.startswith("x-amz-")
        }
        text = version2.string_to_sign(
            _method(request),
            request.getHeader("Content-MD5") or "",
            request.getHeader("Content-Type") or "",
            expires,
            amz.items(),
            (f"/{bucket}" if bucket else "") + target.raw_path.decode("ascii"),
            query,
        )
        signature = query.get(version2.SIGNATURE)
        if not is_same(version2.sign(key.secret, text), signature):
            raise _wrong_signature(access_key, text, signature)
        return Proof(key.principal, _stated_payload(request, UNSIGNED))

    def prove_policy(self, policy: str, fields: Mapping[str, str]) -> Principal:
        """Return who has signed the policy of a form.

        https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html

        :param policy: as it stands in the form.
        :param fields: the form's fields, by their names in lower case.
        :raise S3Error: the signature is not good; `code` says why.
        :raise NotLooked: the catalog must be asked for the key.
        """
        if version2.ACCESS_KEY.lower() in fields:
            access_key, signature = fields[version2.ACCESS_KEY.lower()], fields.get("signature", "")
            if not signature:
                raise _no_field("signature")
            key = self._find(access_key)
            ours = version2.sign(key.secret, policy)
        else:
            claim = parse_form(fields)
            self._check_scope(claim, claim.time, "InvalidArgument")
            access_key, signature = claim.access_key, claim.signature
            key = self._find(access_key)
            ours = sign(signing_key(key.secret, claim.scope), policy)
        if not is_same(ours, signature):
            raise _wrong_signature(access_key, policy, signature)
        return key.principal

    def _find(self, access_key: str) -> AccessKey:
        key = self._keys.find(access_key)
        if key is None:
            raise S3Error("InvalidAccessKeyId", "the access key is not known here", AWSAccessKeyId=access_key[:128])
        return key

    def _check_scope(self, claim: Claim, time: str, code: str) -> None:
        scope = claim.scope
        if scope.region != self._region:
            raise S3Error(
                code, f"the region {scope.region[:80]!r} is wrong; expecting {self._region!r}", Region=self._region
            )
        if scope.service != SERVICE:
            raise S3Error(code, f"the service {scope.service[:80]!r} is wrong; expecting {SERVICE!r}")
        if scope.date != time[:8]:
            raise S3Error(code, f"the day of the credential, {scope.date}, is not that of the request, {time[:8]}")

    def _compare(
        self, request: IRequest, target: Target, query: str, claim: Claim, time: str, payload: str, signed_payload: str
    ) -> Proof:
        """Compare the signature.

        :param query: the query in the form that is signed.
        :param payload: what the request says of its body's hash.
        :param signed_payload: what is signed in its place.
        """
        key = self._find(claim.access_key)
        _refuse_unsigned(request, claim.signed, is_presigned=claim.expires_s is not None)
        signed = claim.signed.split(";")
        secret = signing_key(key.secret, claim.scope)
        method, path = _method(request), canonical_path(target.raw_path)
        text = ""
        for host in called_hosts(request):
            if bucket_of(host, self._domains) != target.host_bucket:
                continue  # what is signed for one bucket is not good for another
            headers = [(name, host if name == "host" else _signed_value(request, name)) for name in signed]
            canonical = canonical_request(method, path, query, headers, claim.signed, signed_payload)
            text = string_to_sign(time, claim.scope, canonical)
            if is_same(sign(secret, text), claim.signature):
                chunks = _chunk_signer(payload, secret, time, claim)
                if not query and chunks is None and claim.expires_s is None:
                    around = _around_payload(headers, claim.signed)
                    alike = Alike(claim.access_key, key, secret, time, text[:-DIGITS], *around)
                    self._alike.note(request, claim.signed, alike)
                return Proof(key.principal, payload, chunks)
        raise _wrong_signature(claim.access_key, text, claim.signature)


def _method(request: IRequest) -> str:
    return request.method.decode("ascii", "replace")


def _no_field(name: str) -> S3Error:
    return S3Error("InvalidArgument", f"Bucket POST must contain a field named '{name}'.", ArgumentName=name)


def _wrong_signature(access_key: str, text: str, signature: str) -> S3Error:
    return S3Error(
        "SignatureDoesNotMatch",
        "the signature that was sent is not the one that the secret key makes of this request",
        AWSAccessKeyId=access_key[:128],
        StringToSign=text,
        SignatureProvided=signature[:128],
    )


def _around_payload(headers: Sequence[tuple[str, str]], signed: str) -> tuple[bytes, bytes]:
    """Return what is signed of a request behind its query: up to the hash of its body among the headers, which all
    signed requests have, and from there to the one at the end.

    :param headers: see `canonical_request`.
    """
    lines = [f"{name}:{value}\n" for name, value in headers]
    at = [name for name, _ in headers].index(CONTENT_SHA256)
    before = f"{''.join(lines[:at])}{CONTENT_SHA256}:"
    behind = f"\n{''.join(lines[at + 1 :])}\n{signed}\n"
    return before.encode("utf-8", "surrogateescape"), behind.encode("utf-8", "surrogateescape")


def _chunk_signer(payload: str, secret: bytes, time: str, claim: Claim) -> ChunkSigner | None:
    if payload not in {SIGNED_CHUNKS, SIGNED_CHUNKS_AND_TRAILER}:
        return None
    return ChunkSigner(secret, time, claim.scope, claim.signature)


def _stated_payload(request: IRequest, otherwise: str) -> str:
    """Return what a request says of its body's hash; `otherwise` if it says nothing."""
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


def _signed_time(request: IRequest) -> str:
    stated = request.getHeader("x-amz-date")
    if stated is not None and _TIME.match(stated):
        return stated
    seconds = parse_time(request.getHeader("Date")) if stated is None else parse_time(stated)
    if seconds is None:
        raise S3Error("AccessDenied", "a signed request needs a valid x-amz-date or Date header")
    return _format(seconds)


def _refuse_unsigned(request: IRequest, signed: str, *, is_presigned: bool) -> None:
    """Refuse headers that change what a request means and that nobody has signed."""
    loose = _find_loose(tuple(request.header_names()), signed, is_presigned)
    if "host" in loose:
        raise S3Error("AccessDenied", "the header host must be signed", HeadersNotSigned="host")
    if loose:
        raise S3Error(
            "AccessDenied",
            "there are headers in the request that are not signed",
            HeadersNotSigned=", ".join(sorted(loose)),
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


def _signed_value(request: IRequest, name: str) -> str:
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


@lru_cache(4096)
def _seconds(time: str) -> int:
    """Return a time in the form YYYYMMDDTHHMMSSZ as seconds since 1970.

    :raise S3Error: it is no time.
    """
    match = _TIME.match(time)
    if match is not None:
        year, month, day, hour, minute, second = map(int, match.groups())
        if year >= 1970 and 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61:
            return timegm((year, month, day, hour, minute, second))
    raise S3Error("AccessDenied", f"{time[:40]!r} is no time")


def _format(seconds: int) -> str:
    return strftime("%Y%m%dT%H%M%SZ", gmtime(seconds))
