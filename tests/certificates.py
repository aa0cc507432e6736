"""Keys and certificates for tests of TLS."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from splitd.cli.certificates.making import make_self_signed


def write_certificate(path: Path) -> None:
    """Write a key and a self-signed certificate to one file."""
    write_pair(path, "test")


def write_pair(path: Path, *names: str, days: int = 30, keep: str = "both", passphrase: bytes = b"") -> None:
    """Write a key and a self-signed certificate.

    :param days: for how many days it is valid; less than 1 for one that has expired.
    :param keep: "key" or "certificate" to write only that.
    :param passphrase: encrypts the key.
    """
    now = datetime.now(UTC)
    pair = (
        make_self_signed(names, now, days) if days > 0 else make_self_signed(names, datetime(2020, 1, 1, tzinfo=UTC), 1)
    )
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    key = pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    certificate = pair.certificate.public_bytes(Encoding.PEM)
    path.write_bytes({"both": key + certificate, "key": key, "certificate": certificate}[keep])
