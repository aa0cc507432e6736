"""The messages of a link: both ends read them alike, and nothing else is taken for an answer."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from storaged.parts import errors, messages
from storaged.parts.format import SMALL_PART
from tests.contract.link_messages import answers, anything, gets, ids, puts, removes

PART = "3f" + "0" * 30 + ".2"
STORED = (PART, b"0123456789")


@given(puts | gets | removes)
def test_a_request_travels(request: messages.Request) -> None:
    assert messages.decode_request(messages.encode(request)) == request


@given(st.binary() | anything.map(msgspec.msgpack.encode))
@example(b"\x93" * 100_000)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with suppress(errors.BadRequest):
        assert isinstance(messages.decode_request(data), messages.Request)
    with suppress(errors.NodeUnavailable):
        assert isinstance(messages.decode_answer(data), messages.Answer)


@pytest.mark.parametrize(
    "request_",
    [
        messages.Get(1, [PART] * (messages.MAX_GET + 1)),
        messages.Remove(1, [PART] * (messages.MAX_REMOVE + 1)),
        messages.Put(1, [(PART, bytes(messages.MAX_PUT)), (PART, b"1")]),
    ],
    ids=["get", "remove", "put"],
)
def test_a_request_for_more_than_a_message_may_ask_is_refused(request_: messages.Request) -> None:
    with pytest.raises(errors.BadRequest, match="at most"):
        messages.decode_request(messages.encode(request_))


@given(answers, st.lists(st.tuples(ids, st.binary(min_size=1, max_size=30)), max_size=5))
def test_an_answer_fits_its_request_in_each_item_or_is_refused_whole(
    answer: messages.Answer, parts: list[tuple[str, bytes]]
) -> None:
    for fits in (messages.fits_put, messages.fits_get, messages.fits_remove):
        with suppress(errors.NodeUnavailable):
            outcomes = messages.read_results(answer, parts, fits)
            assert len(outcomes) == len(parts)
            for index, (part, outcome) in enumerate(zip(parts, outcomes, strict=True)):
                assert isinstance(outcome, errors.StoragedError) == (index in answer.problems)
                if not isinstance(outcome, errors.StoragedError):
                    assert fits(part, outcome)
            assert set(answer.problems) <= set(range(len(parts)))


def read(fits: Any, item: Any, result: messages.Result, problems: dict[int, str] | None = None) -> Any:
    [outcome] = messages.read_results(messages.Answer(1, [result], problems or {}), [item], fits)
    return outcome


def test_a_result_of_each_kind_is_read() -> None:
    assert read(messages.fits_put, STORED, (10, 1_700_000_000_000)) == (10, 1_700_000_000_000)
    assert read(messages.fits_get, PART, b"0123456789") == b"0123456789"
    assert read(messages.fits_remove, PART, False) is False
    missing = read(messages.fits_get, PART, None, {0: "PartMissing: part x is not here"})
    assert isinstance(missing, errors.PartMissing)
    assert str(missing) == "part x is not here"


@pytest.mark.parametrize(
    ("fits", "item", "result", "problems"),
    [
        (messages.fits_put, STORED, (9, 0), {}),
        (messages.fits_put, STORED, (11, 0), {}),
        (messages.fits_put, STORED, (10, -1), {}),
        (messages.fits_put, STORED, True, {}),
        (messages.fits_put, STORED, b"0123456789", {}),
        (messages.fits_put, STORED, None, {}),
        (messages.fits_put, STORED, None, {1: "NoSpace: full"}),
        (messages.fits_put, STORED, None, {0: "NoSpace: full", -1: "NoSpace: full"}),
        (messages.fits_put, STORED, (10, 0), {0: "NoSpace: full"}),
        (messages.fits_get, PART, b"", {}),
        (messages.fits_get, PART, bytes(SMALL_PART + 1), {}),
        (messages.fits_get, PART, True, {}),
        (messages.fits_get, PART, (10, 0), {}),
        (messages.fits_remove, PART, b"1", {}),
        (messages.fits_remove, PART, (1, 0), {}),
        (messages.fits_remove, PART, None, {5: "NoSpace: full"}),
    ],
)
def test_a_result_that_cannot_be_that_of_its_request_is_refused(
    fits: Any, item: Any, result: messages.Result, problems: dict[int, str]
) -> None:
    with pytest.raises(errors.NodeUnavailable, match="request 1"):
        read(fits, item, result, problems)


@given(answers)
def test_an_answer_travels(answer: messages.Answer) -> None:
    assert messages.decode_answer(messages.encode(answer)) == answer
