"""Fetches small documents from servers of others, with limits on their size and on the time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone

from storaged.http.reasons import reason_of

_HEADERS = {"Accept": "application/json"}


class NotFetched(Exception):
    """A document could not be fetched; the message names its URL and says why."""


class Fetcher:
    """Fetches documents over HTTP or HTTPS.  It follows no redirect and keeps no connection.

    Certificates are believed if the system trusts their issuer; `SSL_CERT_FILE` names others.

    :param timeout_s: how long one document may take, in seconds.
    :param limit: the most bytes that a document may have.
    """

    def __init__(self, reactor: Any, *, timeout_s: float, limit: int) -> None:
        self._reactor = reactor
        self._timeout_s = timeout_s
        self._limit = limit
        agent = Agent(reactor, connectTimeout=timeout_s, pool=HTTPConnectionPool(reactor, persistent=False))
        self._http = HTTPClient(agent)

    def fetch(self, url: str) -> Deferred[bytes]:
        """Fetch a document.

        :return: a Deferred that fires with its bytes.  Cancelling it ends the connection.
        :raise NotFetched: the server could not be reached in time, the status of its answer is not 200, or the document
            is longer than the limit.
        """
        return self.ask(url).addCallback(_whole, url)

    def ask(
        self, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Deferred[tuple[int, bytes]]:
        """Send a request.

        :param body: the body of a POST; None for a GET.
        :param headers: more headers.
        :return: a Deferred that fires with the status and the body of the answer.  Cancelling it ends the connection.
        :raise NotFetched: the server could not be reached in time, or the answer is longer than the limit.
        """
        asking = Deferred.fromCoroutine(self._ask(url, body, {**_HEADERS, **(headers or {})}))
        return asking.addTimeout(self._timeout_s, self._reactor, lambda _, timeout_s: _late(url, timeout_s))

    async def _ask(self, url: str, body: bytes | None, headers: dict[Any, Any]) -> tuple[int, bytes]:
        method = "GET" if body is None else "POST"
        try:
            answer = await self._http.request(
                method, url, headers=headers, data=body, allow_redirects=False, unbuffered=True
            )
            reader = _Reader(self._limit)
            answer.deliverBody(reader)
            read = await reader.done
        except (CancelledError, NotFetched):
            raise
        except Exception as problem:  # each step of a connection has errors of its own
            raise NotFetched(f"{url}: {reason_of(problem)}") from problem
        if len(read) > self._limit:
            raise NotFetched(f"{url}: the answer has more than {self._limit} bytes")
        return answer.code, read


def _whole(answer: tuple[int, bytes], url: str) -> bytes:
    status, body = answer
    if status != 200:
        raise NotFetched(f"{url}: the answer has the status {status}")
    return body


def _late(url: str, timeout_s: float) -> tuple[int, bytes]:
    raise NotFetched(f"{url}: no answer in {timeout_s:.0f} s")


class _Reader(Protocol):
    """Reads a body to its end, or one byte more than the limit.

    :ivar done: fires with the body.
    """

    def __init__(self, limit: int) -> None:
        self.done: Deferred[bytes] = Deferred(lambda _: self._leave())
        self._limit = limit
        self._data = b""

    def _leave(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """Keep the next bytes."""
        self._data = (self._data + data)[: self._limit + 1]
        if len(self._data) > self._limit:
            self._leave()

    def connectionLost(self, reason: Failure = ResponseDone) -> None:  # type: ignore[assignment]
        """Tell the end of the body."""
        if self.done.called:  # it was cancelled
            return
        if reason.check(ResponseDone) or len(self._data) > self._limit:
            self.done.callback(self._data)
        else:
            self.done.errback(reason)
