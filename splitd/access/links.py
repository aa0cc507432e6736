"""Signs links, so that only this cluster can make them, and what the catalog keeps of them gives none away."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Sequence

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_BYTES = 16


class LinkSigner:
    """Signs texts by HMAC-SHA-256 under a key that HKDF (RFC 5869) derives of the cluster key.

    :param keys: returns the cluster keys that are valid now; the first one signs.
    """

    def __init__(self, keys: Callable[[], Sequence[str]]) -> None:
        self._keys = keys
        self._derived: dict[str, bytes] = {}

    def sign(self, text: str) -> str:
        """Return the signature of a text: 22 characters that may stand in a URL."""
        return self._sign(self._keys()[0], text)

    def proves(self, text: str, signature: str) -> bool:
        """Return whether this is the signature of a text, under any of the valid keys."""
        sent = signature.encode("utf-8", "surrogateescape")
        return any(hmac.compare_digest(self._sign(key, text).encode(), sent) for key in self._keys())

    def _sign(self, key: str, text: str) -> str:
        derived = self._derived.get(key)
        if derived is None:
            derived = self._derived[key] = HKDF(SHA256(), 32, None, b"splitd: links").derive(key.encode())
        digest = hmac.digest(derived, text.encode(), "sha256")[:_BYTES]
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
