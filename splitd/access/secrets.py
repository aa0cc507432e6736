"""Makes and proves the secrets of users: passwords, tokens and keys."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Sequence

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

TOKEN_PREFIX = "splitd_"  # noqa: S105 - not a secret
OWN_TOKEN_PREFIX = "splitd_own_"  # noqa: S105 - not a secret
"""What a token begins with that its user has made; the catalog has it, and not the users' file."""
OWN_KEY_PREFIX = "SPLOWN"
"""What the id of a key begins with that its user has made."""
MOST_PASSWORD = 1024
"""The most bytes of a password."""

_HASHER = PasswordHasher()
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$bm9ib2R5aGFzdGhpcw$bm9ib2R5IGhhcyB0aGlzIHBhc3N3b3JkLCBub3QgZXZlcg"
_SEALED = "v1."
_NONCE = 12


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password.  It takes about a tenth of a second, and 64 MiB of memory.

    :raise ValueError: the password is empty, has a control character, or more than `MOST_PASSWORD` bytes.
    """
    if not password or len(password.encode("utf-8", "surrogateescape")) > MOST_PASSWORD:
        raise ValueError(f"a password has 1 to {MOST_PASSWORD} bytes")
    if not password.isprintable():
        raise ValueError("a password has no control characters")
    return _HASHER.hash(password)


def proves_password(password: bytes, hashed: str | None) -> bool:
    """Return whether this is the password of a hash.  It takes as long if there is no hash, so that nobody learns by it
    which users there are.
    """
    try:
        return _HASHER.verify(hashed or _NOBODY, password) and hashed is not None
    except (VerifyMismatchError, VerificationError, InvalidHashError):
        return False


def new_token() -> str:
    """Return a new token: 256 random bits, with a prefix by which scanners for leaked secrets know it."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def hash_token(token: bytes) -> str:
    """Return the hash of a token.  A fast one is enough: nobody can try 2^256 tokens."""
    return "sha256:" + hashlib.sha256(token).hexdigest()


def new_key() -> tuple[str, str]:
    """Return the id and the secret of a new key, in the forms that S3's clients expect."""
    name = base64.b32encode(secrets.token_bytes(10)).decode()
    return f"SPLIT{name}", secrets.token_urlsafe(30)


class Seal:
    """Seals secrets under the cluster key, so that the file alone does not give them away: AES-256-GCM (NIST SP
    800-38D) under a key that HKDF (RFC 5869) derives.

    :param cluster_keys: the cluster key; further ones, which were valid before, only open what they have sealed.
    """

    def __init__(self, *cluster_keys: str) -> None:
        self._watchers: list[Callable[[], object]] = []
        self.take(*cluster_keys)

    def watch(self, changed: Callable[[], object]) -> None:
        """Call something whenever there are other cluster keys."""
        self._watchers.append(changed)

    def take(self, *cluster_keys: str) -> None:
        """Use other cluster keys from now on."""
        self._ciphers = [AESGCM(_derive(key)) for key in cluster_keys]
        for each in self._watchers:
            each()

    def seal(self, key_id: str, secret: str) -> str:
        """Return the sealed form of a key's secret."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = nonce + self._ciphers[0].encrypt(nonce, secret.encode(), key_id.encode())
        return _SEALED + base64.urlsafe_b64encode(sealed).decode()

    def is_newest(self, key_id: str, sealed: str) -> bool:
        """Return whether the first of the cluster keys has sealed a secret."""
        try:
            return bool(self._open(key_id, sealed, self._ciphers[:1]))
        except ValueError:
            return False

    def open(self, key_id: str, sealed: str) -> str:
        """Return the secret of a key.

        :raise ValueError: it was sealed for another key, or under another cluster key, or is damaged.
        """
        return self._open(key_id, sealed, self._ciphers)

    @staticmethod
    def _open(key_id: str, sealed: str, ciphers: Sequence[AESGCM]) -> str:
        try:
            data = base64.b64decode(sealed.removeprefix(_SEALED), b"-_", validate=True)
        except ValueError:
            data = b""
        for cipher in ciphers if sealed.startswith(_SEALED) and len(data) > _NONCE else ():
            try:
                return cipher.decrypt(data[:_NONCE], data[_NONCE:], key_id.encode()).decode()
            except InvalidTag:
                continue
        raise ValueError("its secret was not sealed under this cluster key")


def _derive(cluster_key: str) -> bytes:
    return HKDF(SHA256(), 32, None, b"splitd: secrets of users").derive(cluster_key.encode())
