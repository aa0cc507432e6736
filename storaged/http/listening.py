"""Listening for requests, and ending those under way."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet import defer
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.logger import Logger

from storaged.http.request import StreamingSite

_log = Logger()

_BACKLOG = 1024
"""Connections that may wait to be accepted: as many as there are uploads that begin in one turn of the reactor."""


async def listen(reactor: Any, endpoint: str, factory: IProtocolFactory) -> IListeningPort:
    """Listen at an endpoint.

    :param endpoint: as `twisted.internet.endpoints.serverFromString` reads it.
    """
    port: Any = await serverFromString(reactor, endpoint).listen(factory)
    # The endpoint's own default of 50 is soon full, and the kernel turns away who comes then.
    port.socket.listen(_BACKLOG)
    return cast(IListeningPort, port)


async def drain(site: StreamingSite, timeout_s: float, reactor: Any) -> None:
    """Let the requests under way come to their ends; those that do not in time are cut."""
    try:
        await site.drain().addTimeout(timeout_s, reactor)
    except defer.TimeoutError:
        _log.warn("{count} connections are cut", count=len(site.connections()))
        site.abort_connections()
