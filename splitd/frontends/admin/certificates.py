"""What the status and the metrics tell about certificates."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from splitd.frontends.admin.reports import CertificateReport
from storaged.http.certificates import ServerCertificate
from storaged.http.tls import CertificateFolders

_DAY_MS = 86_400_000
_WARN_DAYS = 14


def report_certificates(folders: CertificateFolders) -> list[CertificateReport]:
    """Return the certificates in use."""
    return [
        CertificateReport(each.file, each.names, _expires_ms(each))
        for folder in folders.all()
        for each in folder.certificates()
    ]


def warn_of_certificates(folders: CertificateFolders, now_ms: int) -> list[str]:
    """Return what an operator should know about certificates: some were refused, or expire within two weeks."""
    warnings = [f"certificates are not taken: {each.files.refused}" for each in folders.all() if each.files.refused]
    for each in report_certificates(folders):
        days = (each.expires_ms - now_ms) // _DAY_MS
        if days < 0:
            warnings.append(f"{each.file}: the certificate has expired")
        elif days < _WARN_DAYS:
            warnings.append(f"{each.file}: the certificate expires in {days} days")
    return warnings


def measure_certificates(folders: CertificateFolders) -> Iterator[Metric]:
    """Return the metrics of certificates."""
    expiry = GaugeMetricFamily(
        "splitd_certificate_expires_seconds", "When a certificate expires, seconds since 1970.", labels=["file"]
    )
    for each in report_certificates(folders):
        expiry.add_metric([each.file], each.expires_ms / 1000)
    yield expiry
    refused = any(folder.files.refused for folder in folders.all())
    text = "Whether the certificates in their files cannot be used as they are."
    yield GaugeMetricFamily("splitd_certificates_refused", text, value=float(refused))


def _expires_ms(certificate: ServerCertificate) -> int:
    return int(certificate.certificate.not_valid_after_utc.timestamp() * 1000)
