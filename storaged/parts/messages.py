"""The messages of a link, which carry small parts, many in one message.  Pure.  Their page is docs/part-protocol.md.

Each message is MessagePack, after its length in four bytes (`frames`).  An answer carries the number of its request,
and a result for each of the request's items, in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

import msgspec

from storaged.parts import wire
from storaged.parts.errors import BadRequest, NodeUnavailable, StoragedError
from storaged.parts.format import SMALL_PART

MAX_MESSAGE = 8 * 1024 * 1024
"""The size of the longest message in bytes."""

MAX_PUT = 2 * 1024 * 1024
"""The most bytes of parts in one message."""

MAX_GET = 16
"""The most parts requested in one message: this many small parts fit into an answer."""

MAX_REMOVE = 1000
"""The most parts removed by one message."""

_MAX_TIME_MS = 2**63 - 1

assert MAX_GET * SMALL_PART <= MAX_MESSAGE // 2


class Put(msgspec.Struct, array_like=True, tag="put", frozen=True, gc=False):
    """Store parts.

    :param parts: (part id, stored bytes) of each.
    :param epoch: the front's epoch; 0 if it has none.
    :param requests: the ids of the clients' requests on whose behalf it is made, with spaces between them, for the
        node's log; empty if they are not told.  A node that does not know this field ignores it.
    """

    number: int
    parts: list[tuple[str, bytes]]
    epoch: int = 0
    requests: str = ""


class Get(msgspec.Struct, array_like=True, tag="get", frozen=True, gc=False):
    """Read parts.

    :param requests: as in `Put`.
    """

    number: int
    parts: list[str]
    requests: str = ""


class Remove(msgspec.Struct, array_like=True, tag="remove", frozen=True, gc=False):
    """Delete parts.

    :param epoch: as in `Put`.
    :param requests: as in `Put`.
    """

    number: int
    parts: list[str]
    epoch: int = 0
    requests: str = ""


Request: TypeAlias = Put | Get | Remove

Result: TypeAlias = tuple[int, int] | bytes | bool | None
"""For a `Put` (number of stored bytes, modified_ms), for a `Get` the stored bytes, for a `Remove` whether there was
such a part; None if the item failed."""


class Answer(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The answer to a request.

    :param problems: the error of each item that failed, by the item's index, as `storaged.parts.wire` formats it.
    """

    number: int
    results: list[Result]
    problems: dict[int, str]


_encoder = msgspec.msgpack.Encoder()
_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_answers: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)

encode = _encoder.encode
"""Encodes a message, without its length."""


def decode_request(data: bytes) -> Request:
    """Decode a request.

    :raise BadRequest: the bytes are not a request, or exceed `MAX_PUT`, `MAX_GET` or `MAX_REMOVE`.
    """
    try:
        request = _requests.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        raise BadRequest(f"not a message of a link: {problem}") from problem
    size, limit = _size_and_limit(request)
    if size > limit:
        raise BadRequest(f"request {request.number} of a link: {size}, at most {limit} are allowed")
    return request


def _size_and_limit(request: Request) -> tuple[int, int]:
    if isinstance(request, Put):
        return sum(len(data) for _, data in request.parts), MAX_PUT
    return len(request.parts), MAX_GET if isinstance(request, Get) else MAX_REMOVE


def decode_answer(data: bytes) -> Answer:
    """Decode an answer.

    :raise NodeUnavailable: the bytes are not an answer.
    """
    try:
        return _answers.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        raise NodeUnavailable(f"answered what is not a message of a link: {problem}") from problem


def read_results(
    answer: Answer, asked: Sequence[Any], fits: Callable[[Any, Result], bool]
) -> list[tuple[int, int] | bytes | bool | StoragedError]:
    """Check an answer against its request, and return the outcomes.

    :param asked: the request's items.
    :param fits: returns whether an item that did not fail can have a result, as `fits_put` does for a `Put`.
    :return: the result of each item, or an error if the item failed.
    :raise NodeUnavailable: the answer has more or fewer results than there are items, an error at the index of a result
        or of no item, or a result that does not fit.  Then none of the answer can be trusted.
    """
    results, problems = answer.results, answer.problems
    if len(results) != len(asked):
        raise NodeUnavailable(f"answered {len(results)} results to the {len(asked)} items of request {answer.number}")
    if not problems and all(map(fits, asked, results)):  # as nearly always
        return cast(list[tuple[int, int] | bytes | bool | StoragedError], results)
    outcomes: list[tuple[int, int] | bytes | bool | StoragedError] = []
    failed = 0
    for index, (item, result) in enumerate(zip(asked, results, strict=True)):
        if result is not None and fits(item, result):
            outcomes.append(result)
        elif result is None and index in problems:
            outcomes.append(decode_problem(problems[index]))
            failed += 1
        else:
            raise NodeUnavailable(f"answered what cannot be the result of item {index} of request {answer.number}")
    if failed != len(problems):
        raise NodeUnavailable(f"answered errors of items that did not fail to request {answer.number}")
    return outcomes


def fits_put(part: tuple[str, bytes], result: Result) -> bool:
    """Return whether a result can be that of a stored part: the number of all its bytes, and a time."""
    return isinstance(result, tuple) and result[0] == len(part[1]) and 0 <= result[1] <= _MAX_TIME_MS


def fits_get(_part_id: str, result: Result) -> bool:
    """Return whether a result can be that of a part that was read: as many bytes as a small part may have.

    The bytes themselves are checked by the reader of the part.
    """
    return isinstance(result, bytes) and 0 < len(result) <= SMALL_PART


def fits_remove(_part_id: str, result: Result) -> bool:
    """Return whether a result can be that of a removal: whether there was such a part."""
    return isinstance(result, bool)


def encode_problem(problem: StoragedError) -> str:
    """Encode an error for an answer."""
    return wire.format_error(problem)[1]


def decode_problem(text: str) -> StoragedError:
    """Decode an error of an answer."""
    return wire.parse_error_text(text)
