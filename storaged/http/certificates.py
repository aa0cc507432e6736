"""Certificates and their keys, as a TLS server reads them from a folder.  Everything here blocks."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from storaged.system.os_errors import os_reason
from storaged.system.settings import SettingsError

_SUFFIXES = (".pem", ".crt", ".key")
_MOST_FILES = 1000
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s.*?-----END \1-----", re.DOTALL)


class CertificatesRefused(SettingsError):
    """Certificates cannot be used; the message names the file and the reason."""


@attrs.frozen(eq=False)
class ServerCertificate:
    """A certificate with its key.

    :param file: the file that it was read from.
    :param certificate: the certificate itself.
    :param key: its private key.
    :param chain: the certificates of its issuers, as far as they are known, without the root.
    :param names: the names that it is valid for, in lower case; "*.example.org" stands for one label.
    """

    file: str
    certificate: x509.Certificate
    key: object
    chain: tuple[x509.Certificate, ...]
    names: tuple[str, ...]

    @property
    def fingerprint(self) -> bytes:
        """The bytes that tell it from all others."""
        return self.certificate.public_bytes(Encoding.DER)

    def fault_at(self, now: datetime) -> str:
        """Return why the certificate is not valid at a time; empty if it is valid."""
        if now >= self.certificate.not_valid_after_utc:
            return f"{self.file}: the certificate has expired on {self.certificate.not_valid_after_utc:%Y-%m-%d}"
        if now < self.certificate.not_valid_before_utc:
            return f"{self.file}: the certificate is valid from {self.certificate.not_valid_before_utc:%Y-%m-%d} on"
        return ""


def certificate_files(folder: str) -> list[str]:
    """Return the files of a folder that may hold certificates and keys, and those of the folders in it, sorted.

    Hidden files and folders are left out.
    """
    found: list[str] = []
    for place, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        found += [f"{place}/{name}" for name in files if name.endswith(_SUFFIXES) and not name.startswith(".")]
        if len(found) > _MOST_FILES:
            break
    return sorted(found)[:_MOST_FILES]


def read_certificates(folder: str) -> tuple[ServerCertificate, ...]:
    """Read the certificates of a folder that have a key, sorted by their files' names.

    A key belongs to the certificate of its public key, whatever files they are in.  Other certificates are those of
    issuers, which clients are sent, too.

    :raise CertificatesRefused: a file cannot be read, a key lacks its certificate, a certificate that is none of an
        issuer lacks its key, or the folder has no certificate with a key.
    """
    if not Path(folder).is_dir():
        raise CertificatesRefused(f"{folder}: is not a folder")
    keys, certificates = _read_folder(folder)
    issuers = [certificate for _, certificate in certificates if _is_issuer(certificate)]
    served = []
    used = set()
    for file, certificate in certificates:
        public = _public(certificate)
        if public in keys:
            used.add(public)
            chain = _chain(certificate, issuers)
            served.append(ServerCertificate(file, certificate, keys[public][1], chain, _names(certificate)))
        elif not _is_issuer(certificate):
            raise CertificatesRefused(f"{file}: no key in {folder} belongs to this certificate")
    for public, (file, _) in keys.items():
        if public not in used:
            raise CertificatesRefused(f"{file}: no certificate in {folder} belongs to this key")
    if not served:
        raise CertificatesRefused(f"{folder}: has no certificate with its key (.pem, .crt and .key files are read)")
    return tuple(served)


def _read_folder(folder: str) -> tuple[dict[bytes, tuple[str, object]], list[tuple[str, x509.Certificate]]]:
    """Return the keys in a folder by their public parts, and the certificates, each with its file and only once."""
    keys: dict[bytes, tuple[str, object]] = {}
    certificates: dict[bytes, tuple[str, x509.Certificate]] = {}
    for file in certificate_files(folder):
        for label, block in _blocks(file):
            if label.endswith(b"PRIVATE KEY"):
                key = _read_key(file, block)
                keys.setdefault(_public(key), (file, key))
            elif label.endswith(b"CERTIFICATE"):
                certificate = _read_certificate(file, block)
                certificates.setdefault(certificate.public_bytes(Encoding.DER), (file, certificate))
    return keys, list(certificates.values())


def read_authorities(path: str) -> list[x509.Certificate]:
    """Read the certificates of the authorities that are trusted.

    :raise CertificatesRefused: the file cannot be read, or has no certificate.
    """
    found = [_read_certificate(path, block) for label, block in _blocks(path) if label.endswith(b"CERTIFICATE")]
    if not found:
        raise CertificatesRefused(f"{path}: has no certificate")
    return found


def _blocks(file: str) -> Iterator[tuple[bytes, bytes]]:
    try:
        data = Path(file).read_bytes()
    except OSError as problem:
        raise CertificatesRefused(f"{file}: {os_reason(problem)}") from problem
    blocks = [(match[1], match[0]) for match in _BLOCK.finditer(data)]
    if not blocks:
        raise CertificatesRefused(f"{file}: has neither a certificate nor a key in PEM form")
    yield from blocks


def _read_key(file: str, block: bytes) -> object:
    try:
        return load_pem_private_key(block, None)
    except TypeError as problem:
        raise CertificatesRefused(f"{file}: the key is encrypted; it has to be without a passphrase") from problem
    except (ValueError, UnsupportedAlgorithm) as problem:
        raise CertificatesRefused(f"{file}: the key cannot be read") from problem


def _read_certificate(file: str, block: bytes) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(block)
        _names(certificate)  # extensions are read late, and may be broken
    except ValueError as problem:
        raise CertificatesRefused(f"{file}: the certificate cannot be read") from problem
    return certificate


def _public(holder: object) -> bytes:
    key = holder.public_key()  # type: ignore[attr-defined]
    return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _is_issuer(certificate: x509.Certificate) -> bool:
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except x509.ExtensionNotFound:
        return False


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    return tuple(name.lower() for name in [*names.get_values_for_type(x509.DNSName), *addresses])


def _chain(certificate: x509.Certificate, issuers: Sequence[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    chain: list[x509.Certificate] = []
    while certificate.issuer != certificate.subject:
        issuer = next((each for each in issuers if _has_issued(each, certificate) and each not in chain), None)
        if issuer is None or issuer.issuer == issuer.subject:  # clients have the root, or do not trust it
            break
        chain.append(issuer)
        certificate = issuer
    return tuple(chain)


def _has_issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # each algorithm has errors of its own
        return False
    return True
