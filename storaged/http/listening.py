"""Listens for requests, and ends those in progress at a stop."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet import defer
from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger

from storaged.http.reasons import reason_of
from storaged.http.site import StreamingSite
from storaged.system.settings import SettingsError

_log = Logger()

_BACKLOG = 1024
"""Connections that may wait to be accepted: enough for all uploads that begin in one turn of the reactor."""


async def listen(reactor: Any, endpoint: str, site: StreamingSite) -> IListeningPort:
    """Listen at an endpoint.

    :param endpoint: as `twisted.internet.endpoints.serverFromString` reads it.
    :param site: the site that gets the connections, as many at once as its `admission` accepts.
    :return: the port, which listens already.
    :raise SettingsError: the endpoint is malformed, or cannot be listened at; the message names it.
    """
    try:
        port: Any = await serverFromString(reactor, endpoint).listen(site)
    except CancelledError:
        raise
    except CannotListenError as problem:
        raise SettingsError(f"{endpoint}: cannot be listened at: {reason_of(problem)}") from problem
    except Exception as problem:  # each kind of endpoint has errors of its own: a key twice, a file that is missing
        hint = "; colons of an address are written \\:" if "::" in endpoint else ""
        raise SettingsError(
            f"{endpoint}: not an endpoint that can be listened at: {reason_of(problem)}{hint}"
        ) from problem
    # The endpoint's own default of 50 is soon full, and the kernel then refuses connections.
    port.socket.listen(_BACKLOG)
    site.admission.guard(port)
    return cast(IListeningPort, port)


async def drain(site: StreamingSite, timeout_s: float, reactor: Any) -> None:
    """Let the requests in progress finish; cut those that do not finish in `timeout_s` seconds."""
    try:
        await site.drain().addTimeout(timeout_s, reactor)
    except defer.TimeoutError:
        _log.warn("{count} connections are cut", count=len(site.connections()))
        site.abort_connections()
