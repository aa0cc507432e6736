"""TLS for the servers of both daemons: certificates of a folder, chosen by the name that the client asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import attrs
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from storaged.http.certificates import CertificatesRefused, ServerCertificate, certificate_files, read_certificates
from storaged.http.reasons import reason_of
from storaged.system.clocks import WallClock
from storaged.system.parallel import InThread, settled
from storaged.system.watching import WatchedFiles, sign_file

_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!MD5:!DSS"
"""For TLS 1.2: only suites with forward secrecy and authenticated encryption.  All suites of TLS 1.3 are like that."""

_PROTOCOL = b"http/1.1"

_Choose = Callable[[SSL.Connection], None]


@attrs.frozen(eq=False)
class _Served:
    certificate: ServerCertificate
    context: SSL.Context


@attrs.frozen(eq=False)
class CertificateTable:
    """The certificates of a folder, by the names that they are valid for.

    :param default: for clients that ask for no name, or for one that no certificate has.
    """

    served: tuple[_Served, ...]
    default: SSL.Context
    _by_name: Mapping[str, SSL.Context]

    def find(self, name: str) -> SSL.Context:
        """Return the context for a name."""
        name = name.lower().removesuffix(".")
        exact = self._by_name.get(name)
        return exact or self._by_name.get(f"*.{name.partition('.')[2]}") or self.default


def make_table(certificates: Iterable[ServerCertificate], choose: _Choose, now: datetime) -> CertificateTable:
    """Make a table.  If several certificates have a name, one that is valid now is taken, and of those the newest.

    :param choose: called at the beginning of each connection that asks for a name.
    :raise CertificatesRefused: OpenSSL does not take a certificate or its key.
    """
    served = tuple(_Served(each, _make_context(each, choose)) for each in certificates)
    by_name: dict[str, _Served] = {}
    for each in served:
        for name in each.certificate.names:
            present = by_name.get(name)
            if present is None or _rank(each, now) > _rank(present, now):
                by_name[name] = each
    return CertificateTable(served, served[0].context, {name: each.context for name, each in by_name.items()})


def _rank(served: _Served, now: datetime) -> tuple[bool, datetime]:
    return not served.certificate.fault_at(now), served.certificate.certificate.not_valid_before_utc


def _make_context(certificate: ServerCertificate, choose: _Choose) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(_CIPHERS)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # idle connections then take a few KiB less
    context.set_alpn_select_callback(_select_protocol)
    context.set_tlsext_servername_callback(choose)
    try:
        context.use_certificate(certificate.certificate)
        for issuer in certificate.chain:
            context.add_extra_chain_cert(issuer)
        context.use_privatekey(certificate.key)  # type: ignore[arg-type]
        context.check_privatekey()
    except (SSL.Error, TypeError) as problem:
        raise CertificatesRefused(f"{certificate.file}: {reason_of(problem)}") from problem
    return context


def _select_protocol(_connection: SSL.Connection, offered: list[bytes]) -> Any:
    return _PROTOCOL if _PROTOCOL in offered else SSL.NO_OVERLAPPING_PROTOCOLS


@implementer(IOpenSSLServerConnectionCreator)
class CertificateFolder:
    """The certificates of one folder.  Connections that are open keep theirs when the folder is read again.

    :param folder: the path of the folder.
    :param in_thread: makes a blocking call in a thread.
    :param clock: measures the pauses between two checks of the folder.
    :param wall: tells which certificates are valid.
    :ivar files: reads the folder again when it has changed.
    """

    _log = Logger()

    def __init__(self, folder: str, in_thread: InThread, clock: Any, wall: WallClock) -> None:
        self._wall = wall
        self._table: CertificateTable | None = None
        self.folder = folder
        self.files = WatchedFiles(
            f"the certificates in {folder}",
            lambda: tuple((file, sign_file(file)) for file in certificate_files(folder)),
            lambda: make_table(read_certificates(folder), self._choose, self._now()),
            self._take,
            in_thread,
            clock,
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._wall.now_ms() / 1000, UTC)

    def _take(self, table: CertificateTable) -> None:
        """Use a table.

        :raise CertificatesRefused: it has a new certificate that is not valid now.  At the start, that is only logged:
            a server whose certificate has expired is of more use than none.
        """
        known = set() if self._table is None else {each.certificate.fingerprint for each in self._table.served}
        new = [each.certificate for each in table.served if each.certificate.fingerprint not in known]
        faults = [fault for each in new if (fault := each.fault_at(self._now()))]
        if faults and self._table is not None:
            raise CertificatesRefused(faults[0])
        for fault in faults:
            self._log.error("{fault}", fault=fault)
        self._table = table

    def certificates(self) -> list[ServerCertificate]:
        """Return the certificates in use."""
        return [] if self._table is None else [each.certificate for each in self._table.served]

    def _choose(self, connection: SSL.Connection) -> None:
        name = connection.get_servername()
        if name and self._table is not None:
            connection.set_context(self._table.find(name.decode("ascii", "replace")))

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: ARG002 - Twisted's
        """Make the TLS side of a new connection."""
        assert self._table is not None
        return SSL.Connection(self._table.default, None)


class CertificateFolders:
    """The certificate folders of a daemon, each read once for all endpoints that use it.

    :param in_thread: makes a blocking call in a thread.
    :param clock: measures the pauses between two checks of a folder.
    :param wall: tells which certificates are valid.
    """

    def __init__(self, in_thread: InThread, clock: Any, wall: WallClock) -> None:
        self._in_thread = in_thread
        self._clock = clock
        self._wall = wall
        self._folders: dict[str, CertificateFolder] = {}

    async def open(self, folder: str) -> CertificateFolder:
        """Read a folder, unless an endpoint uses it already, and begin to watch it.

        :raise CertificatesRefused: its certificates cannot be used.
        """
        if folder not in self._folders:
            made = CertificateFolder(folder, self._in_thread, self._clock, self._wall)
            await made.files.load()
            made.files.start()
            self._folders[folder] = made
        return self._folders[folder]

    def all(self) -> list[CertificateFolder]:
        """Return the folders in use."""
        return list(self._folders.values())

    def stop(self) -> Deferred[None]:
        """Stop watching the folders.

        :return: a Deferred that fires when the checks in progress have ended.
        """
        return settled([each.files.stop() for each in self._folders.values()])
