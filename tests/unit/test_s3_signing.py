"""Signatures of S3: ours are those of botocore, and nothing that was signed can be changed."""

from __future__ import annotations

import hmac
import re
from calendar import timegm
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from time import strptime
from typing import Any
from urllib.parse import quote

import pytest
from botocore.auth import HmacV1QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.signing.authentication import SKEW_S, Authenticator, Proof
from splitd.frontends.s3.signing.canonical import Scope
from splitd.frontends.s3.signing.canonical import sign as make_signature
from splitd.frontends.s3.signing.claims import parse_authorization
from splitd.frontends.s3.signing.stated import (
    UNSIGNED,
    called_hosts,
)
from splitd.frontends.s3.target import parse_target
from storaged.system.clocks import WallClock
from tests.s3 import ACCESS_KEY, REGION, SECRET_KEY, FakeRequest, OneUser, presign, sign

KEYS = OneUser()
HOST = "http://s3.example:8082"

keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
names = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz0123456789-_"), min_size=1, max_size=12)
methods = st.sampled_from(["GET", "PUT", "HEAD", "DELETE", "POST"])


def signed_ms(request: FakeRequest) -> int:
    """Return when a request was signed: botocore reads the clock itself."""
    stated = request.getHeader("X-Amz-Date")
    if stated is None:
        stated = parse_target(request.uri, (), ()).query.get("X-Amz-Date")
    return timegm(strptime(stated, "%Y%m%dT%H%M%SZ")) * 1000


def prove(request: FakeRequest, later_s: float = 0.0, region: str = REGION, domains: Sequence[str] = ()) -> Proof:
    now_s = signed_ms(request) / 1000 + later_s
    authenticator = Authenticator(KEYS, region, WallClock(lambda: now_s), domains)
    target = parse_target(request.uri, called_hosts(request), domains)  # type: ignore[arg-type]
    return authenticator.prove(request, target)  # type: ignore[arg-type]


def refused(request: FakeRequest, later_s: float = 0.0, region: str = REGION) -> str:
    with pytest.raises(S3Error) as caught:
        prove(request, later_s, region)
    return caught.value.code


def url_of(key: str, query: dict[str, str]) -> str:
    pairs = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query.items())
    return f"{HOST}/bucket/{quote(key, safe='/~')}" + (f"?{pairs}" if pairs else "")


@given(methods, keys, st.dictionaries(names, keys, max_size=4), st.dictionaries(names, values, max_size=4), st.binary())
@settings(max_examples=300)
def test_a_signature_of_botocore_is_good(
    method: str, key: str, query: dict[str, str], metadata: dict[str, str], body: bytes
) -> None:
    headers = {f"x-amz-meta-{name}": value for name, value in metadata.items()}
    request = sign(method, url_of(key, query), headers, body)
    assert prove(request).principal is KEYS.user


@given(methods, keys, st.dictionaries(names, keys, max_size=4), st.dictionaries(names, values, max_size=4))
@settings(max_examples=300)
def test_a_signed_url_of_botocore_is_good(
    method: str, key: str, query: dict[str, str], metadata: dict[str, str]
) -> None:
    headers = {f"x-amz-meta-{name}": value for name, value in metadata.items()}
    request = presign(method, url_of(key, query), headers)
    proof = prove(request)
    assert (proof.principal, proof.payload, proof.chunks) == (KEYS.user, UNSIGNED, None)


def a_request() -> FakeRequest:
    return sign("PUT", f"{HOST}/bucket/a//../b?x=1&y", {"x-amz-meta-a": "1", "Content-Type": "text/plain"}, b"body")


def a_url() -> FakeRequest:
    return presign("GET", f"{HOST}/bucket/key?response-content-type=a", {})


def test_the_path_is_signed_as_it_stands() -> None:
    assert prove(a_request()).principal is KEYS.user
    request = a_request()
    request.uri = b"/bucket/b?x=1&y"
    assert refused(request) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("make", [a_request, a_url])
def test_nothing_that_was_signed_can_be_changed(make: object) -> None:
    assert callable(make)

    def changed(**change: object) -> str:
        request: FakeRequest = make()
        for name, value in change.items():
            setattr(request, name, value)
        return refused(request)

    assert changed(method=b"DELETE") == "SignatureDoesNotMatch"
    for old, new in ((b"bucket", b"buckeu"), (b"x=1", b"x=2"), (b"content-type=a", b"content-type=b")):
        if old in make().uri:
            assert changed(uri=make().uri.replace(old, new)) == "SignatureDoesNotMatch"
    assert changed(uri=make().uri + (b"&more=1" if b"?" in make().uri else b"?more=1")) == "SignatureDoesNotMatch"
    headers = make().headers
    assert changed(headers={**headers, "host": ["other.example"]}) == "SignatureDoesNotMatch"
    for name in headers:
        if name not in {"authorization", "content-length", "x-amz-date"}:
            assert changed(headers={**headers, name: [headers[name][0] + "x"]}), name
            assert changed(headers={key: value for key, value in headers.items() if key != name}), name


def test_headers_of_s3_must_be_signed() -> None:
    for make in (a_request, a_url):
        request = make()
        request.headers["x-amz-acl"] = ["public-read"]
        assert refused(request) == "AccessDenied"


@pytest.mark.parametrize(
    "name", ["x-amz-copy-source", "x-amz-acl", "x-amz-tagging", "x-amz-storage-class", "X-Amz-New"]
)
def test_a_header_that_is_signed_as_one_text_is_not_read_as_another(name: str) -> None:
    """Signed are all values of a header, joined by commas; who passes a request on may divide them."""
    request = sign("PUT", f"{HOST}/bucket/key", {name: "/b/public,/b/secret"})
    authenticator = Authenticator(KEYS, REGION, WallClock(lambda: signed_ms(request) / 1000))
    target = parse_target(request.uri, (), ())
    for _ in range(2):  # the second one is known as one that is signed like the first
        assert authenticator.prove(request, target).principal is KEYS.user  # type: ignore[arg-type]
    request.headers[name.lower()] = ["/b/public", "/b/secret"]
    with pytest.raises(S3Error) as caught:
        authenticator.prove(request, target)  # type: ignore[arg-type]
    assert caught.value.code == "InvalidArgument"


@pytest.mark.parametrize("make", [a_url, lambda: FakeRequest("PUT", "/bucket/key", [("Host", "s3.example")])])
def test_a_header_of_s3_may_come_once_whoever_sends_it(make: Callable[[], FakeRequest]) -> None:
    request = make()
    request.headers["x-amz-content-sha256"] = [UNSIGNED, UNSIGNED]
    authenticator = Authenticator(KEYS, REGION, WallClock(datetime.now(UTC).timestamp))
    with pytest.raises(S3Error) as caught:
        authenticator.prove(request, parse_target(request.uri, (), ()))  # type: ignore[arg-type]
    assert caught.value.code == "InvalidArgument"


@pytest.mark.parametrize("name", ["x-amz-meta-a", "x-amz-object-attributes"])
def test_metadata_and_lists_may_come_in_several_headers(name: str) -> None:
    request = sign("GET", f"{HOST}/bucket/key?attributes", {name: "ETag,ObjectSize"})
    request.headers[name] = ["ETag", "ObjectSize"]
    assert prove(request).principal is KEYS.user


def test_the_clock_of_the_client_may_be_off_by_a_quarter_of_an_hour() -> None:
    for late_s in (-SKEW_S, SKEW_S):
        assert prove(a_request(), late_s).principal is KEYS.user
    for late_s in (-SKEW_S - 1, SKEW_S + 1):
        assert refused(a_request(), late_s) == "RequestTimeTooSkewed"


def test_a_signed_url_is_good_until_it_expires() -> None:
    request = presign("GET", f"{HOST}/bucket/key", {}, 3600)
    for late_s in (-SKEW_S, 0, 3599):
        assert prove(request, late_s).principal is KEYS.user
    for late_s in (-SKEW_S - 1, 3600, 7200):
        assert refused(request, late_s) == "AccessDenied"
    assert refused(presign("GET", f"{HOST}/bucket/key", {}, 7 * 86400 + 1)) == "AuthorizationQueryParametersError"
    for never_s in (0, -7, -1000):
        assert refused(presign("GET", f"{HOST}/bucket/key", {}, never_s)) == "AccessDenied"
    for wrong in ("soon", "1.5", "1" * 10, "--1"):
        request.uri = re.sub(rb"Expires=[^&]+", b"Expires=" + wrong.encode(), request.uri)
        assert refused(request) == "AuthorizationQueryParametersError"


def test_the_scope_must_be_ours() -> None:
    assert refused(sign("GET", f"{HOST}/b/k", {}, region="eu-west-1")) == "AuthorizationHeaderMalformed"
    assert prove(sign("GET", f"{HOST}/b/k", {}, region="eu-west-1"), region="eu-west-1").principal is KEYS.user


def test_a_key_that_is_not_known_is_refused() -> None:
    request = a_request()
    request.headers["authorization"] = [request.headers["authorization"][0].replace("SPLITTEST", "NOBODY")]
    assert refused(request) == "InvalidAccessKeyId"


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("AWS key:signature", "InvalidRequest"),
        ("Basic YTpi", "InvalidArgument"),
        ("AWS4-HMAC-SHA256", "AuthorizationHeaderMalformed"),
        ("AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host", "AuthorizationHeaderMalformed"),
        (
            "AWS4-HMAC-SHA256 Credential=a/20260101/r/s3/aws4_request, SignedHeaders=host, SignedHeaders=x, Signature=",
            "AuthorizationHeaderMalformed",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a/2026/r/s3/aws4_request, SignedHeaders=host, Signature=" + "0" * 64,
            "AuthorizationHeaderMalformed",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a/20260101/r/s3/aws4_request, SignedHeaders=Host, Signature=" + "0" * 64,
            "AuthorizationHeaderMalformed",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a/20260101/r/s3/aws4_request, SignedHeaders=host, Signature=00",
            "SignatureDoesNotMatch",
        ),
    ],
)
def test_an_authorization_that_cannot_be_read_is_refused(authorization: str, code: str) -> None:
    request = a_request()
    request.headers["authorization"] = [authorization]
    assert refused(request) == code


def test_an_authorization_is_read_whole_also_where_it_begins_like_another_one() -> None:
    credential, names = "Credential=a/20260101/r/s3/aws4_request", "SignedHeaders=host"
    one, two = "1" * 64, "2" * 64
    for signature in (one, two):
        for fields in permutations([credential, names, f"Signature={signature}"]):
            for between in (",", ", "):
                claim = parse_authorization(f"AWS4-HMAC-SHA256 {between.join(fields)}")
                scope = Scope("20260101", "r", "s3")
                assert (claim.access_key, claim.scope, claim.signed) == ("a", scope, "host")
                assert claim.signature == signature
    start = f"AWS4-HMAC-SHA256 {credential}, {names}, "
    for value in (
        f"{start}Signature={one[1:]}g",
        f"{start}Signature={one[1:]}A",
        f"{start}XSignature={one}",
        f"{start}Signature={one}, Signature={two}",
        f"{start}X=Signature={two}",
        f"{start}Signature=Signature={two}",
    ):
        for _ in range(2):
            with pytest.raises(S3Error):
                parse_authorization(value)


def test_a_request_is_signed_in_one_way_only() -> None:
    request = a_url()
    request.headers["authorization"] = a_request().headers["authorization"]
    assert refused(request) == "InvalidArgument"


def test_a_request_without_a_signature_is_anonymous() -> None:
    now = datetime.now(UTC) + timedelta(0)
    authenticator = Authenticator(KEYS, REGION, WallClock(now.timestamp))
    request = FakeRequest("GET", "/bucket/key", [("Host", "s3.example")])
    target = parse_target(request.uri, (), ())
    proof = authenticator.prove(request, target)  # type: ignore[arg-type]
    assert proof.is_anonymous


def test_the_name_that_a_trusted_proxy_was_called_by_may_be_signed() -> None:
    request = a_request()
    request.headers["host"] = ["inner:1"]
    request.headers["x-forwarded-host"] = ["s3.example:8082"]
    assert refused(request) == "SignatureDoesNotMatch"
    request.called = {"s3.example:8082"}
    assert prove(request).principal is KEYS.user


def test_what_is_signed_for_one_bucket_is_not_good_for_another() -> None:
    """A proxy may pass on a name that its client has made up."""
    domains = ("s3.example",)
    for forwarded, host, expected in (
        ("a.s3.example", "a.s3.example", True),
        ("a.s3.example", "inner:1", True),
        ("a.s3.example", "s3.example", True),  # the object is still that of the first bucket
        ("a.s3.example", "b.s3.example", False),
        ("s3.example", "a.s3.example", False),
        ("s3.example", "inner:1", True),
    ):
        request = presign("GET", f"http://{forwarded}/photos/x", {})
        request.headers["host"], request.headers["x-forwarded-host"] = [host], [forwarded]
        request.called = {host, forwarded}
        if expected:
            assert prove(request, domains=domains).principal is KEYS.user, (forwarded, host)
        else:
            with pytest.raises(S3Error) as caught:
                prove(request, domains=domains)
            assert caught.value.code == "SignatureDoesNotMatch", (forwarded, host)


def test_what_is_said_of_the_payload_must_be_known() -> None:
    for word, code in (("x", "InvalidArgument"), ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "NotImplemented")):
        request = a_request()
        request.headers["x-amz-content-sha256"] = [word]
        assert refused(request) == code
    request = a_request()
    del request.headers["x-amz-content-sha256"]
    assert refused(request) == "InvalidRequest"


def test_what_a_signed_url_leaves_open_of_the_payload_is_taken_as_it_is_said() -> None:
    """The framing of a body must not become a part of the object because nobody has signed that there is one."""
    for word in ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", "0" * 64):
        request = a_url()
        assert prove(request).payload == UNSIGNED
        request.headers["x-amz-content-sha256"] = [word]
        assert prove(request).payload == word
        older = version2("PUT", "/bucket/key", {"x-amz-content-sha256": word})
        assert prove_now(older).payload == word


def version2(method: str, path: str, headers: dict[str, str] | None = None, expires: str | None = None) -> FakeRequest:
    """Return a request whose URL botocore has signed by version 2."""
    request: Any = AWSRequest(method=method, url=HOST + path, headers=headers)
    HmacV1QueryAuth(Credentials(ACCESS_KEY, SECRET_KEY), 60).add_auth(request)
    uri = request.url.removeprefix(HOST)
    if expires is not None:
        uri = re.sub(r"Expires=[0-9]+", f"Expires={expires}", uri)
    return FakeRequest(method, uri, [("Host", "s3.example"), *(headers or {}).items()])


def prove_now(request: FakeRequest) -> Proof:
    target = parse_target(request.uri, (), ())
    return Authenticator(KEYS, REGION, WallClock()).prove(request, target)  # type: ignore[arg-type]


@given(methods, keys)
def test_a_signed_url_of_version_2_is_good(method: str, key: str) -> None:
    url = f"/bucket/{quote(key, safe='/~')}?uploads&response-content-type=a%2Fb&other=1"
    assert prove_now(version2(method, url)).principal is KEYS.user


def test_nothing_of_a_signed_url_of_version_2_can_be_changed() -> None:
    for change in (("GET", "PUT"), ("key", "kex"), ("acl", "tagging"), ("Signature=", "Signature=A"), ("SPLIT", "X")):
        request = version2("GET", "/bucket/key?acl")
        request.uri = request.uri.decode().replace(*change).encode()
        request.method = request.method.decode().replace(*change).encode()
        with pytest.raises(S3Error):
            prove_now(request)
    for expires in ("1", "9999999999", "x", ""):
        with pytest.raises(S3Error):
            prove_now(version2("GET", "/bucket/key", expires=expires))


@given(st.binary(max_size=200), st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_a_signature_is_an_hmac(key: bytes, text: str) -> None:
    for _ in range(2):  # the second one begins with what is remembered of the key
        assert make_signature(key, text) == hmac.digest(key, text.encode(), "sha256").hex()
