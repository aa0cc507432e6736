"""Reads what an issuer publishes: its discovery document, and its keys (RFC 7517).  Pure.

Only keys with which signatures are made that nobody else can make: no shared secrets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from splitd.access.oidc.urls import check_url

_MOST_KEYS = 64
_RSA_BYTES = range(256, 1025)
"""How long an RSA modulus may be: 2,048 bits (NIST SP 800-131A), to 8,192, for a longer one only takes time."""

_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVES = {
    "P-256": frozenset({"ES256"}),
    "P-384": frozenset({"ES384"}),
    "P-521": frozenset({"ES512"}),
    "Ed25519": frozenset({"EdDSA", "Ed25519"}),
}
ALGORITHMS = _RSA.union(*_CURVES.values())
"""The algorithms of signatures that are believed (RFC 7518 section 3.1, RFC 8037, RFC 9864)."""

WELL_KNOWN = "/.well-known/openid-configuration"


class BadDocument(Exception):
    """A document of the issuer cannot be used; the message says why."""


@attrs.frozen
class SigningKey:
    """A key with which the issuer signs.

    :param kid: its name; None if it has none.
    :param algorithms: the algorithms that it is for.
    :param key: the public key.
    """

    kid: str | None
    algorithms: frozenset[str]
    key: RSAKey | ECKey | OKPKey


@attrs.frozen
class Metadata:
    """What an issuer says of itself.  A URL is empty if the issuer has none that can be used safely.

    :param keys: where its keys are.
    :param authorization: where browsers are sent to log in.
    :param token: where codes are exchanged for tokens.
    :param userinfo: where claims can be asked for.
    :param end_session: where browsers are sent to log out.
    :param posts_secret: whether a client tells its secret in the body only.
    :param names_itself: whether its answers to browsers name it (RFC 9207).
    """

    keys: str
    authorization: str = ""
    token: str = ""
    userinfo: str = ""
    end_session: str = ""
    posts_secret: bool = False
    names_itself: bool = False


def read_discovery(issuer: str, document: bytes) -> Metadata:
    """Return what an issuer says of itself (OpenID Connect Discovery 1.0, section 4.3).

    :param issuer: the issuer that was asked.
    :param document: its answer.
    :raise BadDocument: it cannot be read, or is of another issuer, or names no URL that keys can be had from safely.
    """
    found = _read_object(document)
    if found.get("issuer") != issuer:
        raise BadDocument(f"it is of the issuer {found.get('issuer')!r:.200}")
    url = found.get("jwks_uri")
    if not isinstance(url, str):
        raise BadDocument("it has no jwks_uri")
    try:
        check_url(url)
    except ValueError as problem:
        raise BadDocument(f"jwks_uri: {problem}") from problem
    methods = found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return Metadata(
        url,
        _endpoint(found, "authorization_endpoint"),
        _endpoint(found, "token_endpoint"),
        _endpoint(found, "userinfo_endpoint"),
        _endpoint(found, "end_session_endpoint"),
        isinstance(methods, list) and "client_secret_basic" not in methods and "client_secret_post" in methods,
        found.get("authorization_response_iss_parameter_supported") is True,
    )


def _endpoint(found: Mapping[str, Any], name: str) -> str:
    url = found.get(name)
    try:
        check_url(url if isinstance(url, str) else "")
    except ValueError:
        return ""  # bearer tokens do without
    return str(url)


def read_keys(document: bytes) -> Sequence[SigningKey]:
    """Return the keys in a key set that signatures can be proven with; others are passed over.

    :raise BadDocument: it cannot be read, or has none.
    """
    keys = _read_object(document).get("keys")
    if not isinstance(keys, list) or len(keys) > _MOST_KEYS:
        raise BadDocument(f"it has no list of at most {_MOST_KEYS} keys")
    found = [key for each in keys if isinstance(each, dict) for key in _read_key(each)]
    if not found:
        raise BadDocument(f"none of its {len(keys)} keys can be used")
    return found


def _read_object(document: bytes) -> Mapping[str, Any]:
    try:
        return msgspec.json.decode(document, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise BadDocument(f"it is not a JSON object ({problem})") from problem


def _read_key(jwk: dict[str, Any]) -> Iterator[SigningKey]:
    kid, kind = jwk.get("kid"), jwk.get("kty")
    if jwk.get("use", "sig") != "sig" or not isinstance(kid, str | None):
        return
    reader: type[RSAKey] | type[ECKey] | type[OKPKey]
    if kind == "RSA":
        modulus = jwk.get("n")
        if not isinstance(modulus, str) or len(modulus) * 6 // 8 not in _RSA_BYTES:
            return
        reader, algorithms = RSAKey, _RSA
    else:
        reader, algorithms = ECKey if kind == "EC" else OKPKey, _CURVES.get(str(jwk.get("crv")), frozenset())
    if "alg" in jwk:
        algorithms &= {str(jwk["alg"])}
    if not algorithms:
        return
    try:
        key = reader.import_key(jwk)
    except (JoseError, ValueError, TypeError, KeyError):
        return  # one key that makes no sense does not take away the others
    yield SigningKey(kid, algorithms, key)
