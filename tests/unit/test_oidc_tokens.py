"""Tokens of an issuer: which are believed, and for whom they are."""

from __future__ import annotations

import base64
import json
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OctKey, RSAKey

from splitd.access.oidc.keys import BadDocument, SigningKey, read_discovery, read_keys
from splitd.access.oidc.tokens import LEEWAY_S, Identity, prove, read_header
from splitd.errors import BadCredentials
from tests.issuer import EC, ED, ENTRY, ISSUER, KEY, OTHER, claims, discovery, key_set, signed

NOW_S = 1_800_000_000
KEYS = read_keys(key_set(KEY, EC, ED))


def identity(token: str, keys: Any = KEYS, now_s: int = NOW_S) -> Identity:
    return prove(token, read_header(token), keys, ENTRY, now_s)


def encoded(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def test_a_good_token_names_its_user_its_groups_and_its_end() -> None:
    token = signed(claims(NOW_S, groups=["staff", 7, "admins"]))
    assert identity(token) == Identity("anna", frozenset({"staff", "admins"}), NOW_S + 300 + LEEWAY_S)
    assert identity(signed(claims(NOW_S, groups="staff"))).groups == {"staff"}
    assert identity(signed(claims(NOW_S, groups={"staff": 1}))).groups == frozenset()


@pytest.mark.parametrize(
    ("key", "alg"), [(KEY, "RS256"), (KEY, "PS512"), (EC, "ES256"), (ED, "EdDSA"), (ED, "Ed25519")]
)
def test_all_kinds_of_signatures_that_only_the_issuer_can_make_are_believed(key: Any, alg: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joserfc prefers the new name of EdDSA
        token = signed(claims(NOW_S), key, alg)
    assert identity(token).user == "anna"
    assert identity(token, read_keys(key_set(OTHER, key))).user == "anna"


WRONG = [
    ({"iss": "https://elsewhere.example"}, "not good"),
    ({"iss": ISSUER + "/"}, "not good"),
    ({"iss": None}, "not good"),
    ({"iss": [ISSUER]}, "not good"),
    ({"aud": "another"}, "not good"),
    ({"aud": ["another", "third"]}, "not good"),
    ({"aud": None}, "not good"),
    ({"aud": []}, "not good"),
    ({"exp": None}, "not good"),
    ({"exp": NOW_S - LEEWAY_S}, "has expired"),
    ({"exp": str(NOW_S + 300)}, "not good"),
    ({"exp": True}, "not good"),
    ({"exp": float("nan")}, "not good"),
    ({"exp": float("inf")}, "not good"),
    ({"nbf": NOW_S + LEEWAY_S + 1}, "not yet valid"),
    ({"iat": NOW_S + LEEWAY_S + 1}, "in the future"),
    ({"email": None}, "no text as its claim email"),
    ({"email": ["anna"]}, "no text as its claim email"),
    ({"email": ""}, "cannot be a name"),
    ({"email": "a/b"}, "cannot be a name"),
    ({"email": "a:b"}, "cannot be a name"),
    ({"email": "a" * 65}, "cannot be a name"),
    ({"email_verified": False}, "not verified"),
    ({"email_verified": "true"}, "not verified"),
]


@pytest.mark.parametrize(("wrong", "reason"), WRONG, ids=range(len(WRONG)))
def test_a_claim_that_is_wrong_refuses_the_token(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadCredentials, match=reason):
        identity(signed(claims(NOW_S, **wrong)))


def test_clocks_may_differ_a_little() -> None:
    late = claims(NOW_S, nbf=NOW_S + LEEWAY_S, iat=NOW_S + LEEWAY_S, exp=NOW_S - LEEWAY_S + 1)
    assert identity(signed({**late, "aud": ["x", "splitd"]})).user == "anna"


def test_a_signature_that_is_not_of_the_issuer_is_refused() -> None:
    said = claims(NOW_S)
    head, body, mark = signed(said).split(".")
    secret = OctKey.import_key(json.dumps(KEY.as_dict(private=False)))
    for token, reason in [
        (signed(said, OTHER, kid="first"), "signature is wrong"),
        (f"{head}.{encoded({**said, 'email': 'root'})}.{mark}", "signature is wrong"),
        (f"{head}.{body}.{mark[:-8]}AAAAAAAA", "signature is wrong"),
        (f"{encoded({'alg': 'none'})}.{body}.{mark}", "not believed"),
        (f"{encoded({'alg': 'HS256', 'kid': 'first'})}.{body}.{mark}", "not believed"),
        (signed(said, secret, "HS256", kid="first"), "not believed"),
        (signed(said, EC, "ES256", kid="first"), "'first' is none of the issuer's"),
        (signed(said, kid="ec"), "'ec' is none of the issuer's"),
        (signed(said, OTHER, kid=None), "by none of the issuer's keys"),
        (signed(said, typ="logout+jwt"), "not for logins"),
        (f"{encoded({'alg': 'RS256', 'crit': ['b64'], 'b64': False})}.{body}.{mark}", "not for logins"),
    ]:
        with pytest.raises(BadCredentials, match=reason):
            identity(token)


def test_a_token_cannot_bring_its_own_key() -> None:
    token = signed(claims(NOW_S), OTHER, kid="first", jwk=OTHER.as_dict(private=False))
    with pytest.raises(BadCredentials, match="signature is wrong"):
        identity(token)


@given(st.text(max_size=300) | st.lists(st.binary(max_size=60), min_size=3, max_size=3).map(
    lambda parts: ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
) | st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "jwk"]), st.none() | st.integers() | st.text() |
    st.lists(st.text()) | st.just("RS256")).map(lambda header: f"{encoded(header)}.e30.AAAA"))  # fmt: skip
def test_no_text_breaks_the_reader(token: str) -> None:
    with pytest.raises(BadCredentials):
        identity(token)


def test_keys_that_cannot_be_used_are_passed_over() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joserfc, too, finds it weak
        weak = RSAKey.generate_key(1024, {"kid": "weak"}).as_dict(private=False)
    odd: list[Any] = [
        weak, {"kty": "oct", "k": "AAAA", "kid": "s"}, {"kty": "ML-DSA", "kid": "p"}, {"kty": "RSA"}, {}, {"kty": 7},
        {**KEY.as_dict(private=False), "use": "enc"}, {**KEY.as_dict(private=False), "alg": "RSA-OAEP"},
        {"kty": "EC", "crv": "P-256", "x": "!", "y": "AA"}, {**KEY.as_dict(private=False), "kid": 7},
        {**KEY.as_dict(private=False), "n": "A" * 4000}, {"kty": "OKP", "crv": "X25519", "x": "AAAA"},
    ]  # fmt: skip
    found = read_keys(key_set(*odd, {**EC.as_dict(private=False), "alg": "ES256", "use": "sig"}))
    assert [(key.kid, set(key.algorithms)) for key in found] == [("ec", {"ES256"})]
    with pytest.raises(BadDocument, match="none of its 12 keys"):
        read_keys(key_set(*odd))


def test_a_key_is_for_its_algorithms_only() -> None:
    [key] = read_keys(key_set({**KEY.as_dict(private=False), "alg": "RS512"}))
    assert isinstance(key, SigningKey)
    assert not read_header(signed(claims(NOW_S))).fits(key)
    assert read_header(signed(claims(NOW_S), alg="RS512")).fits(key)


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"{", b"{}", b'{"keys": 7}', b'{"keys": []}', b"\xff", b"[" * 100_000,
     b'{"keys": [' + b",".join([b"{}"] * 65) + b"]}"],
)  # fmt: skip
def test_a_wrong_key_set_is_refused(document: bytes) -> None:
    with pytest.raises(BadDocument):
        read_keys(document)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"issuer": "https://elsewhere.example"}, "of the issuer 'https://elsewhere.example'"),
        ({"issuer": None}, "of the issuer None"),
        ({"jwks_uri": None}, "no jwks_uri"),
        ({"jwks_uri": "http://login.example/keys"}, "not https"),
        ({"jwks_uri": "file:///etc/passwd"}, "not a URL like"),
        ({"jwks_uri": "https://login.example:99999/"}, "not a URL"),
    ],
)
def test_a_wrong_discovery_document_is_refused(more: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadDocument, match=reason):
        read_discovery(ISSUER, discovery(**more))
