"""Policies of forms: what they allow, and those that cannot be."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.forms.policy import Policy, parse_policy

LATER = "2040-01-01T00:00:00.000Z"
LATER_MS = 2_208_988_800_000


def encoded(document: Any) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


def policy(*conditions: Any) -> Policy:
    return parse_policy(encoded({"expiration": LATER, "conditions": list(conditions)}))


def verdict(of: Policy, fields: dict[str, str], now_ms: int = 0) -> str:
    try:
        of.check(fields, now_ms)
    except S3Error as problem:
        return problem.code
    return ""


def test_each_condition_must_hold() -> None:
    found = policy(
        {"bucket": "b"}, ["starts-with", "$key", "user/"], ["eq", "$acl", "private"], ["StArTs-WiTh", "$X", ""]
    )
    good = {"bucket": "b", "key": "user/a", "acl": "private", "x": "anything"}
    assert verdict(found, good) == ""
    assert verdict(found, {name: value for name, value in good.items() if name != "x"}) == "", "any text, or none"
    for name, value in (("bucket", "c"), ("key", "users"), ("acl", "Private"), ("acl", "")):
        assert verdict(found, {**good, name: value}) == "AccessDenied", (name, value)


def test_a_field_without_a_condition_is_refused() -> None:
    found = policy({"key": "k"}, {"bucket": "b"})
    fields = {"bucket": "b", "key": "k", "policy": "p", "x-amz-signature": "s", "x-ignore-me": "1", "signature": "s"}
    assert verdict(found, fields) == ""
    for conditions in ([{"key": "k"}], [{"bucket": "b"}], []):
        assert verdict(policy(*conditions), fields) == "AccessDenied", "it would be good for any bucket, or any key"
    for other in ("acl", "x-amz-meta-a", "x-amz-date", "content-type"):
        assert verdict(found, {**fields, other: "1"}) == "AccessDenied", other


def test_it_is_good_until_it_expires() -> None:
    found = policy({"key": "k"})
    assert found.expires_ms == LATER_MS
    assert verdict(found, {"key": "k"}, LATER_MS - 1) == ""
    assert verdict(found, {"key": "k"}, LATER_MS) == "AccessDenied"


def test_the_size_may_have_bounds() -> None:
    found = policy(["content-length-range", 5, "10"], ["content-length-range", 0, 20])
    assert (found.least, found.most) == (5, 10), "all of them must hold"
    assert policy({"key": "k"}).most is None
    found.check_least(5)
    with pytest.raises(S3Error, match="smaller") as refused:
        found.check_least(4)
    assert refused.value.code == "EntityTooSmall"


@pytest.mark.parametrize(
    "document",
    [
        [],
        "text",
        {},
        {"conditions": []},
        {"expiration": LATER},
        {"Expiration": LATER, "conditions": []},
        {"expiration": LATER, "CONDITIONS": []},
        {"expiration": "soon", "conditions": []},
        {"expiration": "2040-01-01 00:00:00+00:00", "conditions": []},
        {"expiration": "2040-13-01T00:00:00Z", "conditions": []},
        {"expiration": "2040-01-01T00:00:00", "conditions": []},
        {"expiration": 5, "conditions": []},
        {"expiration": None, "conditions": []},
        {"expiration": LATER, "conditions": {}},
        *(
            {"expiration": LATER, "conditions": [condition]}
            for condition in (
                {},
                {"a": "1", "b": "2"},
                {"a": 1},
                [],
                ["eq", "$a"],
                ["eq", "a", "b"],
                ["like", "$a", "b"],
                ["eq", "$a", 1],
                "text",
                ["content-length-range"],
                ["content-length-range", 1],
                ["content-length-range", 1, 2, 3],
                ["content-length-range", -1, 2],
                ["content-length-range", 3, 2],
                ["content-length-range", True, 2],
                ["content-length-range", 1.5, 2],
                ["content-length-range", "x", "y"],
            )
        ),
    ],
)
def test_what_is_no_policy_is_refused(document: Any) -> None:
    with pytest.raises(S3Error) as refused:
        parse_policy(encoded(document))
    assert refused.value.code == "InvalidPolicyDocument"


@pytest.mark.parametrize("text", ["", "%", "eA", base64.b64encode(b"{").decode(), "W" * 20001, "ä"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(S3Error) as refused:
        parse_policy(text)
    assert refused.value.code == "InvalidPolicyDocument"
