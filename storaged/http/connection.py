"""A connection of a client: reads its requests, one after the other, and writes their answers.

A refusal closes the connection, because it is then not known where the next request begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IDelayedCall, IHandshakeListener
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Connection
from twisted.python.failure import Failure
from zope.interface import implementer

from storaged.http.ahead import Ahead
from storaged.http.background import Output
from storaged.http.body import RequestBody
from storaged.http.chunks import BrokenChunks, ChunkDecoder, take_body
from storaged.http.deadline import Deadline
from storaged.http.flow import Flow
from storaged.http.head_reader import HeadReader
from storaged.http.heads import Head, Refused, format_refusal
from storaged.http.idle import address_of
from storaged.http.interfaces import IDrainingProtocol
from storaged.http.linger import LINGER_S, UNUSED_LINGER_S, Linger
from storaged.http.reading import SMALL, Reader, read_to_measure
from storaged.http.request import StreamingRequest
from storaged.http.seams import AnsweredRequest, Site
from storaged.http.transports import is_tls, set_buffer_size
from storaged.http.uptake import Uptake
from storaged.system.buffers import Piece


@implementer(IHandshakeListener)
class HttpConnection(Protocol):
    """One connection.  It has at most one request in progress; the bytes of the next ones wait.

    :param peer: the other side.
    :param is_surplus: whether it is only told that its address has too many.
    :ivar address: what stands for the client; see `address_of`.
    :ivar request: the request in progress, until it is answered and its body has ended; None between requests.
    :ivar begun: whether a request has begun on this connection.
    :ivar is_secure: whether the connection is encrypted.
    :ivar flow: tells an answer when the client takes no more.
    :ivar known: what the resource knows of the client on this connection; None at first.
    """

    transport: Any
    _uptake: Uptake
    _reader: Reader

    def __init__(self, site: Site, peer: Any, *, is_surplus: bool = False) -> None:
        self.site = site
        self.peer = peer
        self.address = address_of(peer)
        self._is_surplus = is_surplus
        self.request: StreamingRequest | None = None
        self.begun = False
        self.is_secure = False
        self.known: object = None
        self.host: Any = None
        self._head = HeadReader(site.head_limit)
        self._is_head_timed = False
        self._left: int | ChunkDecoder = 0  # of the body: its bytes, or the decoder of its chunks
        self._ahead = Ahead()
        self._stays = True
        self._ended = False  # nothing that arrives is read any more
        self._going_on: IDelayedCall | None = None
        self._linger = Linger(site.reactor)
        self._is_reading = True
        self.flow = Flow(self._taken)
        self._output = Output(site.background, site.window, self.flow)
        self._upgraded: IDrainingProtocol | None = None
        self._deadline = Deadline(site.reactor, self._timed_out)

    # Input

    def connectionMade(self) -> None:
        """Begin to wait for the first request."""
        transport, site = self.transport, self.site
        transport.registerProducer(self.flow, True)
        set_buffer_size(transport, site.window.size)
        self._reader = read_to_measure(transport)
        self.host = transport.getHost()
        if hasattr(self.peer, "port"):
            transport.setTcpNoDelay(True)
        self._output.open(transport)
        self._uptake = Uptake(transport, site.take_timeout_s, lambda: self._output.held)
        site.idle_connections.add(self)
        self.is_secure = is_tls(transport)
        # TLS connects before its handshake, which must not take longer than the head of a request.
        self._deadline.set(min(site.head_timeout_s, site.idle_timeout_s) if self.is_secure else site.idle_timeout_s)
        if self._is_surplus:
            self._refuse_surplus()

    def _refuse_surplus(self) -> None:
        if self.is_secure:
            self.abort()  # a handshake, without which nothing can be said, costs more than many answers
        else:
            self.refuse(429, f"an address has at most {self.site.addresses.limit} connections at once")

    def handshakeCompleted(self) -> None:
        """Begin to wait for the first request: the handshake of TLS is done."""
        if not self._ended and not self.site.draining:  # a stop gives it no more time than it has
            self._deadline.set(self.site.idle_timeout_s)

    def dataReceived(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._upgraded is not None:
            self._upgraded.dataReceived(data)
        elif self._ended:
            return  # bytes still arrive while the client reads a refusal, or while TLS closes
        elif self.request is None and not self._ahead and not self.flow.is_full:
            self._read_head(data)
        elif self.request is not None and self._left:
            self._read_body(data)
        else:
            self._hold(data)

    def _hold(self, data: bytes) -> None:
        """Keep bytes of the next requests until the one in progress is answered, and the client takes the answers."""
        self._ahead.add(data)
        if self.request is None or self._ahead.is_much:
            self._set_reading(False)

    def _read_head(self, data: bytes) -> None:
        try:
            found = self._head.feed(data)
        except Refused as problem:
            self.refuse(problem.status, problem.why)
            return
        if found is not None:
            self._is_head_timed = False
            self._begin(*found)
        elif self._head:
            if not self._is_head_timed:
                # One time limit for the whole head, from its first byte on; further bytes do not extend it.
                self._is_head_timed = True
                self._deadline.set(min(self.site.head_timeout_s, self.site.idle_timeout_s))
            self.site.idle_connections.hold(self, len(self._head))
        elif self._is_head_timed:  # it was the first half of an empty line
            self._is_head_timed = False
            self._wait_on()

    def _wait_on(self) -> None:
        self.site.idle_connections.hold(self, 0)
        self._deadline.set(self.site.idle_timeout_s)
        if self.site.draining:
            self.close()

    def _begin(self, head: Head, rest: bytes) -> None:
        """Begin a request."""
        self.begun = True
        self.site.idle_connections.discard(self)
        self._deadline.set(None)  # until the body is wanted
        self._stays = head.stays
        body = RequestBody(self, head.length, expects_continue=head.expects_continue)
        request = self.request = StreamingRequest(self, head, body)
        if head.length == 0:
            if rest:
                self._hold(rest)
        else:
            self._left = ChunkDecoder() if head.length is None else head.length
            self._reader.expects_much = head.length is None or head.length > SMALL
            if rest:
                self._read_body(rest)
        if not self._ended:
            self.site.resource.render(request)

    def _read_body(self, data: bytes) -> None:
        request = self.request
        assert request is not None
        self._deadline.extend()
        try:
            self._left, data, rest = take_body(self._left, data)
        except BrokenChunks as problem:
            self.refuse(400, str(problem))
            return
        left = self._left
        if not left:
            self._deadline.set(None)
            self._reader.expects_much = False
            # Over TLS the last bytes may arrive after a pause; from now on only the end of the connection is awaited.
            self._set_reading(True)
            if rest:
                self._hold(rest)
        if data:
            request.body.received(data)
        if not left:
            request.body.ended()

    # The seam of the body

    def pause_reading(self) -> None:
        """Stop reading from the client.  No timeout runs, because it is this side that waits."""
        if self._left:
            self._deadline.set(None)
            self._set_reading(False)

    def resume_reading(self) -> None:
        """Continue to read; the client must not be silent for longer than `body_timeout_s`."""
        if self._left:
            self._deadline.set(self.site.body_timeout_s)
            self._set_reading(True)

    def send_continue(self) -> None:
        """Tell the client to send its body."""
        self._output.write([b"HTTP/1.1 100 Continue\r\n\r\n"])

    def _set_reading(self, wanted: bool) -> None:
        if wanted != self._is_reading:
            self._is_reading = wanted
            (self.transport.resumeProducing if wanted else self.transport.pauseProducing)()

    # Output

    def write(self, pieces: Sequence[Piece]) -> None:
        """Write bytes of an answer."""
        self._output.write(pieces)

    def may_stay(self, *, body_ended: bool) -> bool:
        """Return whether the connection may be used again after the answer that begins now."""
        if not body_ended or self.site.draining:
            self._stays = False
        return self._stays

    # The turn of the next request

    def answered(self) -> None:
        """Take note that the request in progress is answered, and its body has ended."""
        self.request = None
        self.flow.set_producer(None)
        if self._ended:
            return
        if not self._stays or self.site.draining:
            self.close()
            return
        self.site.idle_connections.add(self)
        self._deadline.set(self.site.idle_timeout_s)
        if self._ahead:
            # If answers need no waiting, no other client would get a turn.
            self._set_reading(False)
            self._go_on_soon()
        else:
            self._set_reading(True)

    def discard_body(self, request: AnsweredRequest) -> None:
        """Discard the rest of the body of a request that is answered, for some seconds, and close the connection."""
        self._stays = False
        self._linger.begin(self.transport, self._uptake)

        def ended(_: object) -> None:
            if not request.is_gone:
                self._linger.cancel()
                request.is_gone = True
                self.answered()

        request.body.discard().addBoth(ended)

    def _taken(self) -> None:
        if self._ahead and self.request is None:
            self._go_on_soon()

    def _go_on_soon(self) -> None:
        if self._going_on is None:
            self._going_on = self.site.reactor.callLater(0, self._go_on)

    def _go_on(self) -> None:
        self._going_on = None
        if self.flow.is_full or self._ended:
            return
        self._set_reading(True)
        self.dataReceived(self._ahead.take())

    # The end

    def _timed_out(self) -> None:
        if self._ahead or self._uptake.goes_on():
            self._deadline.set(self.site.idle_timeout_s)  # it is this side that has something to send
        elif self._head:
            self.refuse(408, "the head of the request took too long")
        elif self.request is not None:
            self.refuse(408, "the body of the request broke off")
        else:
            self.close()

    def refuse(self, status: int, why: str) -> None:
        """Refuse a request, and close the connection when the client has read the refusal."""
        if self._ended:
            return
        self._end()
        request, self.request = self.request, None
        if request is None or not request.startedWriting:
            self.transport.write(format_refusal(status, why))
        if request is not None and not request.startedWriting:
            request.setResponseCode(status)
        if request is None and self.site.observer is not None:
            self.site.observer.refused(status, getattr(self.peer, "host", ""))
        self._linger.begin(self.transport, self._uptake)
        if isinstance(self.transport, Connection):
            self.transport.loseWriteConnection()
        else:
            self.transport.loseConnection()  # TLS waits until the other side closes, too
        if request is not None:
            request.lost(Failure(ConnectionAborted(why)))

    def _end(self) -> None:
        """Read no more requests.  What arrives is discarded; if it was not read, the end of the connection would not be
        seen.
        """
        self._ended = True
        self._set_reading(True)
        self._left = 0
        self._ahead.take()
        self._head.forget()
        self._is_head_timed = False
        self._deadline.set(None)
        self.site.idle_connections.discard(self)
        self.transport.unregisterProducer()

    def close(self) -> None:
        """Close the connection when the client has taken all that was written."""
        if not self._ended:
            self._end()
            # TLS would wait for ever for the other side to close, too.
            self._linger.begin(self.transport, self._uptake, LINGER_S if self.begun else UNUSED_LINGER_S)
            self.transport.loseConnection()

    def evict(self) -> None:
        """End a connection without a request in progress, because there are too many of them."""
        if self._head:
            self.refuse(503, "too many connections wait with a request that is not whole")
        else:
            self.close()

    def drain(self, linger_s: float = 0) -> None:
        """Take no more requests: end now, or with the answer to the request in progress or whose head has begun.

        :param linger_s: for how long to wait for one more request, if none is in progress.
        """
        if self._upgraded is not None:
            self._upgraded.drain()
        elif self.request is None and not self._head and self.transport is not None:
            # It has no transport if it was never connected: a client left while TLS was set up.
            if linger_s:
                self._deadline.set(linger_s)
            else:
                self.close()

    def end_soon(self) -> None:
        """Take no more requests on this connection."""
        self._stays = False
        self.drain()

    def abort(self) -> None:
        """Cut the connection."""
        if self.transport is not None:
            self.transport.abortConnection()

    def hand_over(self, protocol: IDrainingProtocol) -> None:
        """Pass all that arrives to a different protocol from now on.  A request must be in progress."""
        assert self.request is not None
        self.request.is_gone = True  # what it still writes would reach the new protocol's client
        self.request = None
        self.transport.unregisterProducer()
        self._deadline.stop()
        self._upgraded = protocol
        ahead = self._ahead.take()
        protocol.makeConnection(self.transport)
        self.transport.resumeProducing()
        if ahead:
            protocol.dataReceived(ahead)
        if self.site.draining:
            protocol.drain()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """Handle the end of the connection."""
        self._ended = True
        self._output.close()
        self._ahead.take()
        self._deadline.stop()
        self.site.idle_connections.discard(self)
        self._linger.cancel()
        going_on, self._going_on = self._going_on, None
        if going_on is not None:
            going_on.cancel()
        request, self.request = self.request, None
        self.flow.set_producer(None)
        try:
            if self._upgraded is not None:
                self._upgraded.connectionLost(reason)
            elif request is not None:
                request.lost(reason)
        finally:
            self.site.forget(self)  # otherwise a stop would wait for it
