"""Finds out who sends a request, by its signature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from splitd.access.grants import Principal
from splitd.access.keys import AccessKey, IAccessKeys
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.signing import version2
from splitd.frontends.s3.signing.alike import CONTENT_SHA256, AlikeRequests
from splitd.frontends.s3.signing.canonical import (
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
from splitd.frontends.s3.signing.stated import (
    SIGNED_CHUNKS,
    SIGNED_CHUNKS_AND_TRAILER,
    UNSIGNED,
    called_hosts,
    find_seconds,
    is_plain_payload,
    refuse_repeated,
    refuse_unsigned,
    seconds_of,
    signed_time,
    signed_value,
    stated_payload,
)
from splitd.frontends.s3.target import Target, bucket_of
from storaged.http import IRequest
from storaged.system.clocks import WallClock

SKEW_S = 15 * 60
"""How far the clock of a client may be off."""

SERVICE = "s3"


@attrs.define  # it is made for each request, and one that is frozen takes three times as long
class Proof:
    """Who sends a request, and what is known of its body before that is read.

    :param payload: the SHA-256 of the body in hexadecimal digits, or one of the words in `stated`.
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
            return proven  # each of its headers of S3 is signed, and came once
        refuse_repeated(request)
        headers = request.header_values("Authorization")
        if SIGNATURE in query or "X-Amz-Algorithm" in query:
            if headers:
                raise S3Error("InvalidArgument", "a request is signed in its header or in its URL, not in both")
            return self._prove_presigned(request, target)
        if not headers:
            if version2.ACCESS_KEY in query and version2.SIGNATURE in query:
                return self._prove_version2(request, target)
            return Proof(self._keys.anonymous, stated_payload(request, UNSIGNED))
        if len(headers) > 1:  # a program before this one may have judged another one than we would
            raise S3Error("InvalidArgument", "the Authorization header came more than once")
        return self._prove_header(request, target, parse_authorization(headers[0]))

    def _prove_alike(self, request: IRequest, raw_path: bytes) -> Proof | None:
        """Return who sends a request that is signed like one that was proven before; None if that must be found out,
        and if it is to be refused.
        """
        found = self._alike.find(request)
        if found is None:
            return None
        alike, signed, signature = found
        signed_s = find_seconds(signed.time)
        if signed_s is None or abs(self._wall.now_ms() / 1000 - signed_s) > SKEW_S:
            return None
        if not signed.time.startswith(alike.scope.date) or not is_plain_payload(signed.payload):
            return None
        key = self._keys.find(alike.access_key)
        if key is not alike.key and key != alike.key:
            return None
        if not signed.is_signed(request.method, canonical_path(raw_path), signature):
            return None
        return Proof(alike.key.principal, signed.payload)

    def _prove_header(self, request: IRequest, target: Target, claim: Claim) -> Proof:
        time = signed_time(request)
        if abs(self._wall.now_ms() / 1000 - seconds_of(time)) > SKEW_S:
            raise S3Error(
                "RequestTimeTooSkewed",
                "the difference between the request's time and the server's is too large",
                RequestTime=time,
                MaxAllowedSkewMilliseconds=str(SKEW_S * 1000),
            )
        payload = stated_payload(request, "")
        if not payload:
            raise S3Error("InvalidRequest", f"a signed request needs the header {CONTENT_SHA256}")
        self._check_scope(claim, time, "AuthorizationHeaderMalformed")
        return self._compare(request, target, target.query.canonical(), claim, time, payload, payload)

    def _prove_presigned(self, request: IRequest, target: Target) -> Proof:
        claim = parse_presigned(target.query)
        assert claim.expires_s is not None
        now_s, signed_s = self._wall.now_ms() / 1000, seconds_of(claim.time)
        if signed_s > now_s + SKEW_S:
            raise S3Error("AccessDenied", "the request is not valid yet")
        if now_s >= signed_s + claim.expires_s:
            raise expired(str(claim.expires_s))
        self._check_scope(claim, claim.time, "AuthorizationQueryParametersError")
        payload = stated_payload(request, UNSIGNED)
        signed = payload if CONTENT_SHA256 in claim.signed.split(";") else UNSIGNED
        canonical = target.query.canonical(without=SIGNATURE.encode())
        return self._compare(request, target, canonical, claim, claim.time, payload, signed)

    def _prove_version2(self, request: IRequest, target: Target) -> Proof:
        query, bucket = target.query, target.host_bucket
        version2.refuse_unsigned(query)
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
        return Proof(key.principal, stated_payload(request, UNSIGNED))

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
        refuse_unsigned(request, claim.signed, is_presigned=claim.expires_s is not None)
        signed = claim.signed.split(";")
        secret = signing_key(key.secret, claim.scope)
        method, path = _method(request), canonical_path(target.raw_path).decode("ascii")
        text = ""
        for host in called_hosts(request):
            if bucket_of(host, self._domains) != target.host_bucket:
                continue  # what is signed for one bucket is not good for another
            headers = [(name, host if name == "host" else signed_value(request, name)) for name in signed]
            canonical = canonical_request(method, path, query, headers, claim.signed, signed_payload)
            text = string_to_sign(time, claim.scope, canonical)
            if is_same(sign(secret, text), claim.signature):
                chunks = _chunk_signer(payload, secret, time, claim)
                if not query and chunks is None and claim.expires_s is None:
                    self._alike.note(request, claim, key, secret)
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


def _chunk_signer(payload: str, secret: bytes, time: str, claim: Claim) -> ChunkSigner | None:
    if payload not in {SIGNED_CHUNKS, SIGNED_CHUNKS_AND_TRAILER}:
        return None
    return ChunkSigner(secret, time, claim.scope, claim.signature)
