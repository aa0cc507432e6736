"""A request that is like one that was proven is recognized; the judgement stays that of a first request."""

from __future__ import annotations

from calendar import timegm
from time import strptime

from hypothesis import given
from hypothesis import strategies as st

from splitd.access.keys import AccessKey
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.signing.authentication import SKEW_S, Authenticator, Proof
from splitd.frontends.s3.signing.canonical import Scope, canonical_request, signing_key, string_to_sign
from splitd.frontends.s3.signing.canonical import sign as make_signature
from splitd.frontends.s3.signing.stated import (
    SIGNED_CHUNKS,
    SIGNED_CHUNKS_AND_TRAILER,
    UNSIGNED,
    UNSIGNED_CHUNKS,
)
from splitd.frontends.s3.target import parse_target
from storaged.system.clocks import WallClock
from tests.s3 import REGION, SECRET_KEY, FakeRequest, OneUser, presign, sign
from tests.unit.test_s3_signing import HOST, KEYS, keys, methods, prove, refused, signed_ms, url_of, values


def test_each_request_is_judged_by_its_own_headers() -> None:
    """Requests whose headers have the same names may differ in which of them are signed."""
    whole = sign("GET", f"{HOST}/bucket/key", {"x-amz-meta-a": "b"})
    loose = sign("GET", f"{HOST}/bucket/key", {})
    loose.headers["x-amz-meta-a"] = ["b"]
    for _ in range(2):
        assert prove(whole).principal is KEYS.user
        assert refused(loose) == "AccessDenied"
        assert sorted(whole.header_names()) == sorted(loose.header_names())


pairs = st.tuples(values, values)


@given(methods, keys, pairs, pairs, st.booleans())
def test_a_request_with_other_values_than_one_before_is_proven_anew(
    method: str, key: str, before: tuple[str, str], now: tuple[str, str], signs_body: bool
) -> None:
    """Only their signatures tell such requests apart from those that somebody has made up."""

    def make(method: str, key: str, some: tuple[str, str]) -> FakeRequest:
        headers = dict(zip(("x-amz-meta-a", "x-amz-meta-%s"), some, strict=True))
        return sign(method, url_of(key, {}), headers, b"body", payload="" if signs_body else UNSIGNED)

    first, second = make("GET", "first", before), make(method, key, now)
    seasoned = Authenticator(OneUser(), REGION, WallClock(lambda: signed_ms(first) / 1000))
    fresh = Authenticator(OneUser(), REGION, WallClock(lambda: signed_ms(first) / 1000))

    def judge(authenticator: Authenticator, request: FakeRequest) -> tuple[str, str]:
        try:
            proof = authenticator.prove(request, parse_target(request.uri, (), ()))  # type: ignore[arg-type]
        except S3Error as problem:
            return problem.code, str(problem)
        return proof.principal.name, proof.payload

    assert judge(seasoned, first)[0] == judge(seasoned, second)[0] == "anna"
    assert seasoned._alike.find(second) is not None  # type: ignore[arg-type]
    assert judge(seasoned, second) == judge(fresh, second)
    for name in ("x-amz-meta-a", "x-amz-meta-%s", "host", "x-amz-date", "x-amz-content-sha256", "authorization"):
        value = second.headers[name][0]
        for other in (f"{value}x", f"{value} x", "", f"\x1f{value}\x0b", f"\u00e9{value}", second.headers["host"][0]):
            changed = _alter(make(method, key, now), headers={**second.headers, name: [other]})
            assert judge(seasoned, changed) == judge(Authenticator(
                OneUser(), REGION, WallClock(lambda: signed_ms(first) / 1000)), changed), (name, other)  # fmt: skip


def test_the_day_and_the_key_of_an_earlier_request_prove_nothing() -> None:
    first = sign("GET", f"{HOST}/bucket/key", {})
    at, users = [signed_ms(first) / 1000], OneUser()
    found = [AccessKey(SECRET_KEY, users.user)]
    users.find = lambda _: found[0]  # type: ignore[method-assign, assignment]
    seasoned = Authenticator(users, REGION, WallClock(lambda: at[0]))

    def judge(request: FakeRequest) -> object:
        try:
            return seasoned.prove(request, parse_target(request.uri, (), ())).principal  # type: ignore[arg-type]
        except S3Error as problem:
            return problem.code

    assert judge(first) is users.user
    # The right signature, for a time on another day than the credential's.
    later, scope = "20991231T235959Z", Scope(first.headers["x-amz-date"][0][:8], REGION, "s3")
    sent = {**first.headers, "x-amz-date": [later]}
    lines = [(name, sent[name][0]) for name in ("host", "x-amz-content-sha256", "x-amz-date")]
    names, payload = ";".join(name for name, _ in lines), sent["x-amz-content-sha256"][0]
    text = string_to_sign(later, scope, canonical_request("GET", "/bucket/key", "", lines, names, payload))
    signature = make_signature(signing_key(SECRET_KEY, scope), text)
    sent["authorization"] = [first.headers["authorization"][0][:-64] + signature]
    at[0] = timegm(strptime(later, "%Y%m%dT%H%M%SZ"))
    assert judge(_alter(sign("GET", f"{HOST}/bucket/key", {}), headers=sent)) == "AuthorizationHeaderMalformed"
    at[0] = signed_ms(first) / 1000
    assert judge(first) is users.user
    found[0] = AccessKey("another", users.user)
    assert judge(first) == "SignatureDoesNotMatch"


def _alter(request: FakeRequest, **change: object) -> FakeRequest:
    for name, value in change.items():
        setattr(request, name, value)
    return request


def _with(request: FakeRequest, **headers: list[str]) -> FakeRequest:
    return _alter(request, headers={**request.headers, **{name.replace("_", "-"): headers[name] for name in headers}})


def test_a_request_that_differs_in_its_body_is_judged_by_what_it_says_of_that() -> None:
    first = sign("PUT", f"{HOST}/bucket/key", {}, payload=UNSIGNED)
    seasoned = Authenticator(OneUser(), REGION, WallClock(lambda: signed_ms(first) / 1000))

    def judge(said: str, signed: str) -> tuple[str, bool] | str:
        request = _with(sign("PUT", f"{HOST}/bucket/key", {}, payload=signed), x_amz_content_sha256=[said])
        try:
            proof = seasoned.prove(request, parse_target(request.uri, "", ()))  # type: ignore[arg-type]
        except S3Error as problem:
            return problem.code
        return proof.payload, proof.chunks is not None

    said = (UNSIGNED, UNSIGNED_CHUNKS, SIGNED_CHUNKS, SIGNED_CHUNKS_AND_TRAILER, "0" * 64, "1" * 64)
    for _ in range(2):  # the second time, each is like one that was proven
        for each in said:
            assert judge(each, each) == (each, each in {SIGNED_CHUNKS, SIGNED_CHUNKS_AND_TRAILER})
            for other in said:
                assert other == each or judge(other, each) == "SignatureDoesNotMatch"
        for unknown, code in (("x" * 64, "InvalidArgument"), ("STREAMING-X", "NotImplemented")):
            assert judge(unknown, unknown) == code


def test_what_was_proven_before_changes_no_judgement() -> None:
    """A request that is like one that was proven is recognized; one that only looks like it is not."""
    at = [0.0]
    keys_now = OneUser()
    seasoned = Authenticator(keys_now, REGION, WallClock(lambda: at[0]))

    def judge(authenticator: Authenticator, request: FakeRequest) -> object:
        target = parse_target(request.uri, "", ())
        try:
            return authenticator.prove(request, target)  # type: ignore[arg-type]
        except S3Error as problem:
            return problem.code, str(problem)

    def good(method: str = "GET", key: str = "a", body: bytes = b"", **headers: str) -> FakeRequest:
        return sign(method, f"{HOST}/bucket/{key}", {name.replace("_", "-"): headers[name] for name in headers}, body)

    at[0] = signed_ms(good()) / 1000
    for each in (good(), good(body=b"b"), good(x_amz_meta_a="1"), good("PUT", "c")):
        assert isinstance(judge(seasoned, each), Proof)
        assert seasoned._alike.find(each) is not None  # type: ignore[arg-type]
    other_body = good(body=b"b").headers["x-amz-content-sha256"]
    variants = [
        good("DELETE", "other %"), good("PUT", "\u00e9/~"), good(key="?a=b"), good(x_amz_meta_a="2"),
        _alter(good(), uri=b"/bucket/b"), _alter(good(), uri=b"/bucket/a?x"), _alter(good(), method=b"PUT"),
        _with(good(), host=["other.example"]), _with(good(), host=["s3.example:8082", "s3.example:8082"]),
        _with(good(), x_amz_acl=["public-read"]), _with(good(), x_amz_content_sha256=other_body),
        _with(good(), x_amz_content_sha256=[UNSIGNED]), _with(good(), x_amz_date=["20200101T000000Z"]),
        _with(good(), x_amz_meta_a=["1"]), _with(good(x_amz_meta_a="1"), x_amz_meta_a=["2"]),
        _with(good(), date=["Mon, 30 Nov 2026 00:00:00 GMT"]), _with(good(), x_forwarded_host=["inner"]),
        _alter(_with(good(), x_forwarded_host=["s3.example:8082"], host=["inner"]), called={"s3.example:8082"}),
        _with(good(), authorization=good().headers["authorization"] * 2),
        _with(good(), authorization=[good().headers["authorization"][0][:-1] + "x"]),
        _with(good(), authorization=[good().headers["authorization"][0][:-64]]),
        presign("GET", f"{HOST}/bucket/a", {}), _with(presign("GET", f"{HOST}/bucket/a", {}), **good().headers),
    ]  # fmt: skip
    for variant in variants:
        fresh = Authenticator(keys_now, REGION, WallClock(lambda: at[0]))
        assert judge(seasoned, variant) == judge(fresh, variant)
    request = good()
    assert isinstance(judge(seasoned, request), Proof)
    at[0] += SKEW_S + 2
    assert judge(seasoned, request)[0] == "RequestTimeTooSkewed"  # type: ignore[index]
    at[0] -= SKEW_S + 2
    assert isinstance(judge(seasoned, request), Proof)
    keys_now.find = lambda _: None  # type: ignore[method-assign]
    assert judge(seasoned, request)[0] == "InvalidAccessKeyId"  # type: ignore[index]
