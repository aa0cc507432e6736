"""Proves the tokens of an issuer (JWT, RFC 7519; JWS, RFC 7515), and reads who they are for.  Pure."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from joserfc.errors import BadSignatureError, ExpiredTokenError, JoseError
from joserfc.jws import JWSRegistry, extract_compact
from joserfc.jwt import JWTClaimsRegistry, decode

from splitd.access.entries import OidcEntry, check_user_name
from splitd.access.oidc.keys import ALGORITHMS, SigningKey
from splitd.errors import BadCredentials

LEEWAY_S = 30
"""How far the issuer's clock and this one may differ."""

_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
"""The types of tokens that say who sends a request: ID tokens, and access tokens (RFC 9068).  Not, for example, those
that end a session.
"""


class _Registry(JWSRegistry):
    """What joserfc reads of a token; a header may have a certificate, and names that it does not know."""

    max_header_length = 8 * 1024


_REGISTRY = _Registry(algorithms=ALGORITHMS, strict_check_header=False)


class KeyMissing(BadCredentials):
    """None of the known keys is that of the token; the issuer may have a new one."""


@attrs.frozen
class Identity:
    """Who a token is for.

    :param user: the name.
    :param groups: the groups, by the names that the issuer gives them.
    :param ends_s: when the token is not good any more, in seconds since 1970.
    """

    user: str
    groups: frozenset[str]
    ends_s: float


@attrs.frozen
class Header:
    """What a token says about its signature.

    :param algorithm: the algorithm.
    :param kid: the name of the key; None if it names none.
    """

    algorithm: str
    kid: str | None

    def fits(self, key: SigningKey) -> bool:
        """Return whether the token may be signed with a key."""
        return self.algorithm in key.algorithms and (self.kid is None or self.kid == key.kid)


def read_header(token: str) -> Header:
    """Read the header of a token, of which nothing is proven yet.

    :raise BadCredentials: it cannot be a token of an issuer; the message says why.
    """
    try:
        header: Mapping[str, Any] = extract_compact(token.encode(), registry=_REGISTRY).headers()
    except (JoseError, ValueError, TypeError, KeyError, RecursionError) as problem:
        raise BadCredentials("the token cannot be read") from problem
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise BadCredentials(f"the token is signed by {algorithm!r:.40}, which is not believed")
    if not isinstance(kid, str | None) or not isinstance(kind, str) or kind.lower() not in _TYPES or "crit" in header:
        raise BadCredentials("the token is of a kind that is not for logins")
    return Header(algorithm, kid)


def prove(token: str, header: Header, keys: Sequence[SigningKey], entry: OidcEntry, now_s: int) -> Identity:
    """Prove a token, and return who it is for.

    :param header: its header.
    :param keys: the keys of the issuer.
    :param now_s: the time, in seconds since 1970.
    :raise KeyMissing: none of the keys is that of the token.
    :raise BadCredentials: it is not good; the message says why.
    """
    return identity_of(prove_claims(token, header, keys, entry.issuer, entry.audience, now_s), entry)


def identity_of(claims: Mapping[str, Any], entry: OidcEntry) -> Identity:
    """Return who the claims of a token are about.

    :raise BadCredentials: they name nobody; the message says why.
    """
    try:
        return Identity(_user(claims, entry), _groups(claims, entry), claims["exp"] + LEEWAY_S)
    except OverflowError as problem:
        raise BadCredentials("the token is not good: exp") from problem


def prove_claims(
    token: str, header: Header, keys: Sequence[SigningKey], issuer: str, audience: str, now_s: int
) -> dict[str, Any]:
    """Prove a token, and return its claims; see `prove` for the errors.

    :param audience: for whom it must be.
    """
    claims = _proven_claims(token, header, [key for key in keys if header.fits(key)])
    registry = JWTClaimsRegistry(
        now=now_s,
        leeway=LEEWAY_S,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": audience},
        exp={"essential": True},
    )
    try:
        registry.validate(claims)
        return claims
    except ExpiredTokenError as problem:
        raise BadCredentials("the token has expired") from problem
    except (JoseError, OverflowError) as problem:
        reason = problem.description if isinstance(problem, JoseError) else "exp"
        raise BadCredentials(f"the token is not good: {reason}") from problem


def _proven_claims(token: str, header: Header, keys: Sequence[SigningKey]) -> dict[str, Any]:
    for each in keys:
        try:
            with warnings.catch_warnings():  # EdDSA has got another name, which issuers do not use yet
                warnings.simplefilter("ignore")
                return decode(token, each.key, registry=_REGISTRY).claims
        except BadSignatureError:
            continue
        except (JoseError, ValueError, TypeError, RecursionError) as problem:
            raise BadCredentials("the token cannot be read") from problem
    if header.kid is None:
        raise KeyMissing("the token's signature is by none of the issuer's keys")
    if not keys:
        raise KeyMissing(f"the token's key {header.kid!r:.80} is none of the issuer's")
    raise BadCredentials("the token's signature is wrong")


def _user(claims: Mapping[str, Any], entry: OidcEntry) -> str:
    name = claims.get(entry.user_claim)
    if not isinstance(name, str):
        raise BadCredentials(f"the token has no text as its claim {entry.user_claim}")
    if entry.user_claim == "email" and claims.get("email_verified", True) is not True:
        raise BadCredentials("the token's email is not verified")
    try:
        check_user_name(name)
    except ValueError as problem:
        raise BadCredentials(f"the token's claim {entry.user_claim}: {problem}") from problem
    return name


def _groups(claims: Mapping[str, Any], entry: OidcEntry) -> frozenset[str]:
    found = claims.get(entry.groups_claim) if entry.groups_claim else None
    if isinstance(found, str):
        return frozenset({found})
    return frozenset(each for each in found if isinstance(each, str)) if isinstance(found, list) else frozenset()
