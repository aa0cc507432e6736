"""An issuer of OpenID Connect for tests: its keys, its documents, and tokens that it signs."""

from __future__ import annotations

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


def discovery(**more: Any) -> bytes:
    """Return the discovery document."""
    return json.dumps({"issuer": ISSUER, "jwks_uri": KEYS_URL, **more}).encode()


def key_set(*keys: Any) -> bytes:
    """Return the document with public keys."""
    return json.dumps({"keys": [key if isinstance(key, dict) else key.as_dict(private=False) for key in keys]}).encode()
