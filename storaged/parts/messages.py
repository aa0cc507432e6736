"""The messages of a link: small parts, many in one message.  Pure.  The page is docs/part-protocol.md.

Each message is MessagePack, behind its length in four bytes (`twisted.protocols.basic.Int32StringReceiver`).  An answer
carries the number of the request that it answers, and a result for each of its items, in their order.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from storaged.parts import wire
from storaged.parts.errors import BadRequest, NodeUnavailable, StoragedError
from storaged.parts.format import SMALL_PART

MAX_MESSAGE = 8 * 1024 * 1024
"""The bytes of the longest message."""

MAX_PUT = 2 * 1024 * 1024
"""The bytes of parts in one message."""

MAX_GET = 16
"""Parts asked for in one message: so many small parts fit into an answer."""

MAX_REMOVE = 1000
"""Parts removed by one message."""

assert MAX_GET * SMALL_PART <= MAX_MESSAGE // 2


class Put(msgspec.Struct, array_like=True, tag="put", frozen=True, gc=False):
    """Store parts.

    :param parts: (part id, stored bytes) of each.
    """

    number: int
    parts: list[tuple[str, bytes]]


class Get(msgspec.Struct, array_like=True, tag="get", frozen=True, gc=False):
    """Read parts."""

    number: int
    parts: list[str]


class Remove(msgspec.Struct, array_like=True, tag="remove", frozen=True, gc=False):
    """Delete parts."""

    number: int
    parts: list[str]


Request: TypeAlias = Put | Get | Remove

Result: TypeAlias = tuple[int, int] | bytes | bool | None
"""Of a `Put` (bytes stored, modified_ms), of a `Get` the stored bytes, of a `Remove` whether there was such a part;
None where it failed."""


class Answer(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What came of a request.

    :param problems: of each item that failed, by its place: an error in the words of `storaged.parts.wire`.
    """

    number: int
    results: list[Result]
    problems: dict[int, str]


_encoder = msgspec.msgpack.Encoder()
_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_answers: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)

encode = _encoder.encode
"""A message's bytes, without their length."""


def decode_request(data: bytes) -> Request:
    """Read a request.

    :raise BadRequest: the bytes are not one.
    """
    try:
        return _requests.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        raise BadRequest(f"not a message of a link: {problem}") from problem


def decode_answer(data: bytes) -> Answer:
    """Read an answer.

    :raise NodeUnavailable: the bytes are not one.
    """
    try:
        return _answers.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        raise NodeUnavailable(f"answered what is not a message of a link: {problem}") from problem


def encode_problem(problem: StoragedError) -> str:
    """An error as an answer tells it."""
    return wire.format_error(problem)[1]


def decode_problem(text: str) -> StoragedError:
    """The error that an answer tells."""
    return wire.parse_error_text(text)
