"""Which certificates of nodes are believed."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import Certificate, optionsForClientTLS, platformTrust, trustRootFromCertificates


class NodeTrust:
    """The authorities that sign the certificates of nodes: at first those that the system trusts.

    A certificate has to be for the host of the node's URL, and valid now.
    """

    def __init__(self) -> None:
        self._root = platformTrust()
        self._options: dict[str, IOpenSSLClientConnectionCreator] = {}

    def take(self, authorities: Sequence[x509.Certificate]) -> None:
        """Believe these authorities, and no others, on connections that are made from now on."""
        self._root = trustRootFromCertificates(
            [Certificate.loadPEM(each.public_bytes(Encoding.PEM)) for each in authorities]
        )
        self._options = {}

    def options(self, host: str) -> IOpenSSLClientConnectionCreator:
        """Return how to connect to a host with TLS."""
        if host not in self._options:  # making them costs more than a handshake
            self._options[host] = optionsForClientTLS(host, self._root)
        return self._options[host]
