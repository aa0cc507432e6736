"""The authorization code flow of OpenID Connect with PKCE (RFC 7636): its requests, and what its answers must be.  Pure
but for the random numbers that it draws.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from hmac import compare_digest
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from splitd.access.entries import SignInEntry
from splitd.access.oidc.keys import Metadata
from splitd.errors import BadCredentials

LASTS_S = 600
"""How long somebody may take to log in at the issuer."""

_HASHES = {"256": "sha256", "384": "sha384", "512": "sha512"}
_LONGEST_NEXT = 2000


class Pending(msgspec.Struct, frozen=True):
    """A login that has begun and not ended, as the cookie of its browser keeps it, sealed.

    :param issuer: who was asked.
    :param client: as whom.
    :param nonce: what the ID token must name.
    :param verifier: what proves to the issuer that its code came to the one who asked (PKCE).
    :param back: where the issuer sends the browser back to.
    :param next: the URL that the browser goes on to, without scheme and host.
    :param ends_ms: until when it must have ended, by `WallClock.steady_ms`.
    """

    issuer: str
    client: str
    nonce: str
    verifier: str
    back: str
    next: str
    ends_ms: int


class Tokens(msgspec.Struct):
    """The tokens that an issuer gave for a code."""

    id_token: str
    access_token: str = ""


class _Refusal(msgspec.Struct):
    error: str


def begin(entry: SignInEntry, issuer: str, back: str, then: str, now_ms: int) -> Pending:
    """Return a new login."""
    return Pending(
        issuer,
        entry.client,
        secrets.token_urlsafe(24),
        secrets.token_urlsafe(48),
        back,
        then,
        now_ms + LASTS_S * 1000,
    )


def authorization_url(metadata: Metadata, entry: SignInEntry, pending: Pending, state: str) -> str:
    """Return where a browser is sent to log in."""
    challenge = hashlib.sha256(pending.verifier.encode()).digest()
    asked = {
        "response_type": "code",
        "client_id": entry.client,
        "redirect_uri": pending.back,
        "scope": " ".join(entry.scopes),
        "state": state,
        "nonce": pending.nonce,
        "code_challenge": _base64(challenge),
        "code_challenge_method": "S256",
    }
    return _with_query(metadata.authorization, asked)


def read_code(query: Mapping[str, Sequence[str]], metadata: Metadata, issuer: str) -> str:
    """Return the code in the answer of the issuer.

    :param query: the parameters by which the browser came back.
    :raise BadCredentials: there is none, or another issuer sends it; the message says why.
    """
    if any(len(values) != 1 for values in query.values()):
        raise BadCredentials("the answer of the issuer has a parameter more than once")
    told = query.get("iss", [""])[0]
    if told != issuer and (told or metadata.names_itself):  # RFC 9207: against mixed-up issuers
        raise BadCredentials("the answer comes from another issuer")
    if "error" in query:
        raise BadCredentials(f"the issuer refuses the login: {_word(query['error'][0])}")
    code = query.get("code", [""])[0]
    if not code:
        raise BadCredentials("the answer of the issuer has no code")
    return code


def token_request(metadata: Metadata, pending: Pending, code: str, secret: str) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of the request that exchanges a code.

    :param secret: that of the client; empty if it has none.
    """
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": pending.back,
        "code_verifier": pending.verifier,
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if secret and not metadata.posts_secret:  # RFC 6749 section 2.3.1
        pair = f"{quote(pending.client, safe='')}:{quote(secret, safe='')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    else:
        form["client_id"] = pending.client
        if secret:
            form["client_secret"] = secret
    return urlencode(form).encode(), headers


def read_tokens(status: int, body: bytes) -> Tokens:
    """Return the tokens in the answer of the issuer.

    :raise BadCredentials: it refuses the code, or the answer cannot be read.
    """
    try:
        if status == 200:
            return msgspec.json.decode(body, type=Tokens)
        word = _word(msgspec.json.decode(body, type=_Refusal).error)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise BadCredentials(f"the answer of the issuer cannot be read; its status is {status}") from problem
    raise BadCredentials(f"the issuer refuses the code: {word}")


def check_id_token(claims: Mapping[str, Any], algorithm: str, pending: Pending, tokens: Tokens) -> None:
    """Check what an ID token must say besides what every token must (OpenID Connect Core 1.0 section 3.1.3.7).

    :param algorithm: the algorithm of its signature.
    :raise BadCredentials: it is not the one for this login; the message says why.
    """
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not compare_digest(nonce.encode("utf-8", "replace"), pending.nonce.encode()):
        raise BadCredentials("the token is not for this login: nonce")
    audience, party = claims.get("aud"), claims.get("azp")
    if party not in {None, pending.client} or (party is None and isinstance(audience, list) and len(audience) > 1):
        raise BadCredentials("the token is for another client: azp")
    if not isinstance(claims.get("iat"), int | float) or not isinstance(claims.get("sub"), str):
        raise BadCredentials("the token is no ID token: it lacks iat or sub")
    told = claims.get("at_hash")
    if told is not None and tokens.access_token and told != _half_hash(tokens.access_token, algorithm):
        raise BadCredentials("the token does not belong to its access token: at_hash")


def _half_hash(token: str, algorithm: str) -> str:
    name = _HASHES.get(algorithm[-3:], "sha512")  # EdDSA hashes with SHA-512
    digest = hashlib.new(name, token.encode()).digest()
    return _base64(digest[: len(digest) // 2])


def read_userinfo(body: bytes, subject: str) -> dict[str, Any]:
    """Return more claims, as the issuer tells them (OpenID Connect Core 1.0 section 5.3).

    :param subject: whom the ID token is about.
    :raise BadCredentials: they are about somebody else, or cannot be read.
    """
    try:
        found = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise BadCredentials("the claims that the issuer tells cannot be read") from problem
    if found.get("sub") != subject:
        raise BadCredentials("the claims that the issuer tells are about somebody else: sub")
    return found


def logout_url(metadata: Metadata, client: str, hint: str, back: str) -> str:
    """Return where a browser is sent to log out at the issuer, too; empty if it cannot.

    :param hint: the ID token of the session; empty if it is not known.
    :param back: where the issuer sends it back to.
    """
    if not metadata.end_session:
        return ""
    asked = {"client_id": client, "post_logout_redirect_uri": back, **({"id_token_hint": hint} if hint else {})}
    return _with_query(metadata.end_session, asked)


def safe_next(url: str, base: str) -> str:
    """Return a URL that a browser may go on to after a login: one of this server, as it stands, or the root.

    :param url: a path with its query, as it came with the request.
    :param base: what all URLs of this server begin with.
    """
    is_ours = url.startswith(f"{base}/") and not url.startswith(("//", f"{base}/.splitd/oidc"))
    is_plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url and len(url) < _LONGEST_NEXT
    return url if is_ours and is_plain else f"{base}/"


def _with_query(url: str, parameters: Mapping[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}"


def _word(text: str) -> str:
    """Return what may be shown of an error code (RFC 6749 section 4.1.2.1)."""
    return "".join(each for each in text[:60] if each.isalnum() or each in "_-. ") or "?"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
