"""Streaming HTTP for both daemons.

Server: `StreamingSite` calls the `StreamingResource` with an `IRequest` when the head is complete; resources use
nothing else of a request.  `RequestBody` and `receive_body` deliver the body with back-pressure.  `send_body` writes an
answer as fast as the client takes it, `send_file` sends one without its bytes passing through the process, and
`upgrade` hands the connection to a different protocol.
Client: `NodeConnections` has treq clients with large buffers, whose GET requests go a shorter way (`gets`), and
connects protocols that begin as an HTTP request.  A `Greeting` is what it says first on each connection.
`write_body` and `abort_body` send and abort the body of a request.
`Fetcher` gets small documents from servers of others.
Both: `read_whole` and `WholeBody` for small bodies.

Each use of a private name says what it relies on, as found in Twisted 26.10.
"""

from twisted.web.client import ResponseDone
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer

from storaged.http.background import Background
from storaged.http.body import BodyBroken, RequestBody, Work
from storaged.http.client import abort_body, write_body
from storaged.http.eager import write_eagerly
from storaged.http.fetching import Fetcher, NotFetched
from storaged.http.greeting import Exchange, Greeting, Said
from storaged.http.header_lines import encode_header
from storaged.http.interfaces import IAnswer, IDrainingProtocol, IHeaders, IObservedRequest, IRequest
from storaged.http.names import Authority, OwnNames, network_of, parse_authority, parse_networks
from storaged.http.node_connections import NodeConnections
from storaged.http.observing import Observer
from storaged.http.pace import Bucket, Buckets, Pace
from storaged.http.reasons import reason_of, why_client_left, why_unanswered
from storaged.http.request import StreamingRequest
from storaged.http.resource import Storing, StreamingResource, receive_body
from storaged.http.sendfile import can_send_file, send_file
from storaged.http.sending import send_body
from storaged.http.site import BUFFER_SIZE, HEAD_TIMEOUT_S, IDLE_LIMIT, StreamingSite
from storaged.http.targets import Parameters, origin_form, parse_absolute, split_target
from storaged.http.thread_sender import ThreadSender
from storaged.http.trust import NodeTrust
from storaged.http.upgrade import NotUpgraded, upgrade
from storaged.http.whole import BodyTooLong, WholeBody, read_whole
from storaged.http.window import SharedWindow

__all__ = [
    "BUFFER_SIZE",
    "HEAD_TIMEOUT_S",
    "IDLE_LIMIT",
    "UNKNOWN_LENGTH",
    "Authority",
    "Background",
    "BodyBroken",
    "BodyTooLong",
    "Bucket",
    "Buckets",
    "Exchange",
    "Fetcher",
    "Greeting",
    "IAnswer",
    "IBodyProducer",
    "IDrainingProtocol",
    "IHeaders",
    "IObservedRequest",
    "IRequest",
    "NodeConnections",
    "NodeTrust",
    "NotFetched",
    "NotUpgraded",
    "Observer",
    "OwnNames",
    "Pace",
    "Parameters",
    "RequestBody",
    "ResponseDone",
    "Said",
    "SharedWindow",
    "Storing",
    "StreamingRequest",
    "StreamingResource",
    "StreamingSite",
    "ThreadSender",
    "WholeBody",
    "Work",
    "abort_body",
    "can_send_file",
    "encode_header",
    "network_of",
    "origin_form",
    "parse_absolute",
    "parse_authority",
    "parse_networks",
    "read_whole",
    "reason_of",
    "receive_body",
    "send_body",
    "send_file",
    "split_target",
    "upgrade",
    "why_client_left",
    "why_unanswered",
    "write_body",
    "write_eagerly",
]
