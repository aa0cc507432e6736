"""The messages of a link: small parts, many in one message.  Pure.  The page is docs/part-protocol.md.

Each message is MessagePack, behind its length in four bytes (`frames`).  An answer
carries the number of the request that it answers, and a result for each of its items, in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

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

_MAX_TIME_MS = 2**63 - 1

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

    :raise BadRequest: the bytes are no request, or it asks for more than one message may ask for.
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
    """Read an answer.

    :raise NodeUnavailable: the bytes are not one.
    """
    try:
        return _answers.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        raise NodeUnavailable(f"answered what is not a message of a link: {problem}") from problem


def read_results(
    answer: Answer, asked: Sequence[Any], fits: Callable[[Any, Result], bool]
) -> list[tuple[int, int] | bytes | bool | StoragedError]:
    """Check that an answer is one to its request.

    :param asked: the request's items.
    :param fits: whether a result can be that of an item which did not fail, as `fits_put` tells for a `Put`.
    :return: the result of each item, an error where the item failed.
    :raise NodeUnavailable: the answer has another number of results than there are items, an error for a place where
        there is no item or where there is a result, or a result that does not fit.  None of it can be trusted then.
    """
    results, problems = answer.results, answer.problems
    if len(results) != len(asked):
        raise NodeUnavailable(f"answered {len(results)} results to the {len(asked)} items of request {answer.number}")
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
    """Whether a node that stored a part can have answered this: all the part's bytes, and a time."""
    return isinstance(result, tuple) and result[0] == len(part[1]) and 0 <= result[1] <= _MAX_TIME_MS


def fits_get(_part_id: str, result: Result) -> bool:
    """Whether a node that read a part can have answered this: the bytes of a small part; its reader checks them."""
    return isinstance(result, bytes) and 0 < len(result) <= SMALL_PART


def fits_remove(_part_id: str, result: Result) -> bool:
    """Whether a node that was asked to delete a part can have answered this: whether there was one."""
    return isinstance(result, bool)


def encode_problem(problem: StoragedError) -> str:
    """An error as an answer tells it."""
    return wire.format_error(problem)[1]


def decode_problem(text: str) -> StoragedError:
    """The error that an answer tells."""
    return wire.parse_error_text(text)
