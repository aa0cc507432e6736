"""Listens for requests, and ends those in progress at a stop."""

from __future__ import annotations

import os
from typing import Any, cast

from twisted.internet import defer
from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import TCP6ServerEndpoint, _parse, serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from storaged.http.handover import Handover, family_of
from storaged.http.reasons import reason_of
from storaged.http.site import StreamingSite
from storaged.http.tls import CertificateFolders
from storaged.http.transports import TLSFactory, bound_buffers
from storaged.system.settings import SettingsError

_log = Logger()

_BACKLOG = 1024
"""Connections that may wait to be accepted: enough for all uploads that begin in one turn of the reactor."""


async def listen(
    reactor: Any,
    endpoint: str,
    site: StreamingSite,
    folders: CertificateFolders | None = None,
    handover: Handover | None = None,
    *,
    bounded: bool = False,
) -> IListeningPort:
    """Listen at an endpoint.

    :param endpoint: as `twisted.internet.endpoints.serverFromString` reads it.  `tls:FOLDER:PORT` has the same form as
        Twisted's, but its certificates are those of `folders`.
    :param site: the site that gets the connections, as many at once as its `admission` accepts.
    :param folders: reads the certificates of `tls:` endpoints.
    :param handover: has the socket, if the program before this one has listened at the endpoint, and gets the port.
    :param bounded: whether the clients are fronts, whose connections are bounded by `bound_buffers`.
    :return: the port, which listens already.
    :raise SettingsError: the endpoint is malformed, or cannot be listened at, or its certificates cannot be used; the
        message names it.
    """
    inherited = None if handover is None else handover.take(endpoint)
    try:
        if folders is not None and endpoint.startswith("tls:"):
            port: Any = await _listen_with_tls(reactor, endpoint, site, folders, inherited)
        elif inherited is not None:
            port = reactor.adoptStreamPort(inherited, family_of(inherited), site)
        else:
            port = await serverFromString(reactor, endpoint).listen(site)
    except (CancelledError, SettingsError):
        raise
    except CannotListenError as problem:
        raise SettingsError(f"{endpoint}: cannot be listened at: {reason_of(problem)}") from problem
    except Exception as problem:  # each kind of endpoint has errors of its own: a key twice, a file that is missing
        hint = "; colons of an address are written \\:" if "::" in endpoint else ""
        raise SettingsError(
            f"{endpoint}: not an endpoint that can be listened at: {reason_of(problem)}{hint}"
        ) from problem
    finally:
        if inherited is not None:
            os.close(inherited)  # the port has one of its own
    if handover is not None:
        handover.keep(endpoint, port)
    if bounded:
        bound_buffers(port)  # connections inherit it
    # The endpoint's own default of 50 is soon full, and the kernel then refuses connections.
    port.socket.listen(_BACKLOG)
    site.admission.guard(port)
    return cast(IListeningPort, port)


async def bind(reactor: Any, endpoint: str, handover: Handover) -> IListeningPort:
    """Listen at an endpoint without accepting anything: processes that inherit the socket do that.

    :param handover: has the socket, if the program before this one has listened at the endpoint, and gets the port.
    :return: the port.
    :raise SettingsError: the endpoint is malformed, cannot be listened at, or its socket cannot be inherited.
    """
    if endpoint.startswith(("ssl:", "unix:")):
        raise SettingsError(f"{endpoint}: with workers, an endpoint is one of tcp:, tcp6:, tls: or systemd:")
    inherited = handover.take(endpoint)
    nobody = Factory()
    nobody.noisy = False
    try:
        if inherited is not None:
            port: Any = reactor.adoptStreamPort(inherited, family_of(inherited), nobody)
        elif endpoint.startswith("tls:"):
            words, named = _parse(endpoint)
            _, number, interface = _tls_arguments(*words[1:], **named)
            port = await TCP6ServerEndpoint(reactor, int(number), _BACKLOG, interface).listen(nobody)
        else:
            port = await serverFromString(reactor, endpoint).listen(nobody)
    except CannotListenError as problem:
        raise SettingsError(f"{endpoint}: cannot be listened at: {reason_of(problem)}") from problem
    except (ValueError, TypeError, AttributeError, LookupError) as problem:
        raise SettingsError(f"{endpoint}: not an endpoint that can be listened at: {reason_of(problem)}") from problem
    finally:
        if inherited is not None:
            os.close(inherited)
    port.stopReading()
    port.socket.listen(_BACKLOG)
    handover.keep(endpoint, port)
    return cast(IListeningPort, port)


async def open_certificates(endpoint: str, folders: CertificateFolders) -> None:
    """Read the certificates of an endpoint, if it is one with a folder of them, and begin to watch them.

    :raise CertificatesRefused: they cannot be used.
    """
    if endpoint.startswith("tls:"):
        words, named = _parse(endpoint)
        await folders.open(_tls_arguments(*words[1:], **named)[0])


async def _listen_with_tls(
    reactor: Any, endpoint: str, site: StreamingSite, folders: CertificateFolders, inherited: int | None
) -> Any:
    words, named = _parse(endpoint)  # private: the one reader of the quoting of endpoints
    folder, number, interface = _tls_arguments(*words[1:], **named)
    certificates = await folders.open(folder)
    factory = TLSFactory(certificates, False, site, clock=reactor)
    if inherited is not None:
        return reactor.adoptStreamPort(inherited, family_of(inherited), factory)
    # It also listens at IPv4 addresses.
    plain = TCP6ServerEndpoint(reactor, int(number), _BACKLOG, interface)
    return await plain.listen(factory)


def _tls_arguments(path: str, port: str = "443", interface: str = "::") -> tuple[str, str, str]:
    """Return the arguments of an endpoint by the names that Twisted gives them."""
    return path, port, interface


async def drain(site: StreamingSite, timeout_s: float, reactor: Any, linger_s: float = 0) -> None:
    """Let the requests in progress finish; cut those that do not finish in `timeout_s` seconds.

    :param linger_s: for how long idle connections are kept, each for one more request.
    """
    try:
        await site.drain(linger_s).addTimeout(timeout_s, reactor)
    except defer.TimeoutError:
        _log.warn("{count} connections are cut", count=len(site.connections()))
        site.abort_connections()
