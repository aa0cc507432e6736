"""Requests to one node, and their bodies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from treq.client import HTTPClient
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.web._newclient import LengthEnforcingConsumer
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer
from zope.interface import implementer

from storaged.http.eager import write_eagerly
from storaged.http.gets import Gets
from storaged.system.buffers import Piece
from storaged.system.origin import Origin

_STAND_IN = b"http://node"
"""A placeholder for a node's origin, in the URLs that are passed to treq."""


@implementer(IAgent)
class _NodeAgent:
    """Sends requests to one node, whatever host their URLs name.

    treq encodes the host of each URL with IDNA, which allows neither underscores nor IPv6 addresses.  So treq gets URLs
    with a placeholder, which is replaced by the node's origin here.
    """

    def __init__(self, agent: IAgent, origin: Origin) -> None:
        self._agent = agent
        self._url = origin.url.encode("ascii")
        self._host = origin.authority.encode("ascii")

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803 - Twisted's
    ) -> Any:
        headers = Headers() if headers is None else headers.copy()
        headers.setRawHeaders(b"Host", [self._host])
        return self._agent.request(method, self._url + uri.removeprefix(_STAND_IN), headers, bodyProducer)


class NodeClient:
    """Sends requests to one node.

    :param agent: sends all but GET requests.
    :param gets: sends GET requests.
    """

    def __init__(self, agent: IAgent, gets: Gets, origin: Origin) -> None:
        self._http = HTTPClient(_NodeAgent(agent, origin), data_to_body_producer=IBodyProducer)
        self._gets = gets

    def request(self, method: str, path: str, headers: Any, body: IBodyProducer | None = None) -> Deferred[Any]:
        """Send a request.

        :param path: begins with a slash.
        :return: a Deferred that fires with treq's answer, or a `GetAnswer`, whose body is not read yet.  Cancelling it
            ends the request.
        """
        if method == "GET":
            return Deferred.fromCoroutine(self._gets.get(path, headers))
        return maybeDeferred(
            self._http.request,
            method,
            _STAND_IN.decode() + path,
            headers=headers,
            data=body,
            unbuffered=True,
            allow_redirects=False,
        )

    def retire(self) -> None:
        """Keep no connection for further requests; those in progress end on theirs."""
        self._gets.close()


def write_body(consumer: Any, pieces: Sequence[Piece]) -> None:
    """Send pieces of a request's body, without joining them; together they must not be empty.

    :param consumer: the consumer that the Agent passed to the body's `startProducing`.
    """
    size = sum(map(len, pieces))
    if isinstance(consumer, LengthEnforcingConsumer):
        if size > consumer._length:
            consumer.write(b"".join(pieces))  # it reports that this is too much
            return
        consumer._length -= size
        write_eagerly(consumer._consumer, pieces)
    else:
        write_eagerly(consumer.transport, [b"%x\r\n" % size, *pieces, b"\r\n"])


def abort_body(consumer: Any) -> None:
    """Cut the connection on which a request's body is being sent.

    :param consumer: the consumer that the Agent passed to the body's `startProducing`.
    """
    # LengthEnforcingConsumer keeps the transport as _consumer, ChunkedEncoder as transport (web._newclient).
    transport = consumer._consumer if isinstance(consumer, LengthEnforcingConsumer) else consumer.transport
    transport.abortConnection()
