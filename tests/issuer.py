"""An issuer of OpenID Connect for tests: its keys, its documents, and tokens that it signs."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from splitd.access.entries import OidcEntry
from splitd.access.oidc.keys import ALGORITHMS

ISSUER = "https://login.example/realm"
KEYS_URL = "https://login.example/keys"
ENTRY = OidcEntry(ISSUER, "splitd", "email", "groups")

_NONE, _HMAC = b'{"alg":"none"}', b'{"alg":"HS256","kid":"first"}'

KEY = RSAKey.generate_key(2048, {"kid": "first"})
OTHER = RSAKey.generate_key(2048, {"kid": "second"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"})


def claims(now_s: int, **more: Any) -> dict[str, Any]:
    """Return the claims of a good token of anna; those that are None are left out."""
    good = {"iss": ISSUER, "aud": "splitd", "email": "anna", "iat": now_s, "exp": now_s + 300}
    return {name: value for name, value in {**good, **more}.items() if value is not None}


def signed(said: dict[str, Any], key: Any = KEY, alg: str = "RS256", **header: Any) -> str:
    """Return a token, signed as the issuer does."""
    registry = JWSRegistry(algorithms=[*ALGORITHMS, "HS256", "none"], strict_check_header=False)
    named = {name: value for name, value in {"alg": alg, "kid": key.kid, **header}.items() if value is not None}
    return jwt.encode(named, said, key, registry=registry)


def unsigned(said: dict[str, Any]) -> str:
    """Return a token that says that it needs no signature."""
    return f"{_encoded(_NONE)}.{signed(said).split('.')[1]}."


def signed_by_the_public_key(said: dict[str, Any]) -> str:
    """Return a token whose signature takes the public key for a shared secret."""
    text = f"{_encoded(_HMAC)}.{signed(said).split('.')[1]}"
    return f"{text}.{_encoded(hmac.digest(KEY.as_pem(private=False), text.encode(), 'sha256'))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def discovery(**more: Any) -> bytes:
    """Return the discovery document."""
    return json.dumps({"issuer": ISSUER, "jwks_uri": KEYS_URL, **more}).encode()


def key_set(*keys: Any) -> bytes:
    """Return the document with public keys."""
    return json.dumps({"keys": [key if isinstance(key, dict) else key.as_dict(private=False) for key in keys]}).encode()
