"""Makes keys, certificates and an authority of one's own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_COMMON_NAME_LIMIT = 64
_EARLIER = timedelta(hours=1)
"""How much earlier than now a certificate becomes valid, because clocks differ."""


@attrs.frozen
class Pair:
    """A key and its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def pem(self, *chain: x509.Certificate) -> bytes:
        """Return key and certificate as the text of one file, with the certificates of issuers at its end."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return key + b"".join(each.public_bytes(Encoding.PEM) for each in (self.certificate, *chain))


def make_self_signed(names: Sequence[str], now: datetime, days: int) -> Pair:
    """Make a certificate that nobody vouches for: clients have to be told to trust exactly this one.

    :param names: the names and addresses that it is valid for; at least one.
    """
    return _issue(names, now, days, None)


def make_authority(name: str, now: datetime, days: int) -> Pair:
    """Make an authority that signs certificates of servers, and nothing else below it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(name)
    builder = (
        _builder(subject, subject, key.public_key(), now, days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    return Pair(key, builder.sign(key, SHA256()))


def make_server(authority: Pair, names: Sequence[str], now: datetime, days: int) -> Pair:
    """Make the certificate of a server, signed by an authority."""
    return _issue(names, now, days, authority)


def _issue(names: Sequence[str], now: datetime, days: int, authority: Pair | None) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(names[0])
    issuer = subject if authority is None else authority.certificate.subject
    signer = key if authority is None else authority.key
    builder = (
        _builder(subject, issuer, key.public_key(), now, days)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    return Pair(key, builder.sign(signer, SHA256()))


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_COMMON_NAME_LIMIT])])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
    return (
        builder.not_valid_before(now - _EARLIER)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def read_pair(path: Path) -> Pair:
    """Read a key and its certificate from one file.

    :raise ValueError: the file has no key of an elliptic curve, or no certificate.
    """
    data = path.read_bytes()
    key = load_pem_private_key(data, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the key is not one that this program makes")  # noqa: TRY004 - the file is wrong
    return Pair(key, x509.load_pem_x509_certificate(data))


def write_secret(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, and put it in its place at once."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
