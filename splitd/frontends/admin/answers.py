"""Answers to operators, and the queries of their requests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from splitd.frontends.http.answers import Refused
from storaged.http import IRequest, split_target

TEXT = "text/plain; charset=utf-8"


class Query:
    """The query of a request: the part of the URL after the question mark.  If a parameter comes more than once, the
    last one counts.

    Each method raises `Refused` with status 400 if the value is not allowed, or not UTF-8.
    """

    def __init__(self, request: IRequest) -> None:
        self._parameters = split_target(request.uri)[1]

    def _last(self, name: str) -> str | None:
        """Return the last value of a parameter; None if the query does not have it."""
        try:
            values = self._parameters.values(name)
        except ValueError as problem:
            raise Refused(400, str(problem)) from problem
        return values[-1] if values else None

    def text(self, name: str) -> str:
        """Return the value of a required parameter.

        :raise Refused: the query does not have this parameter.
        """
        value = self._last(name)
        if value is None:
            raise Refused(400, f"{name} is missing")
        return value

    def flag(self, name: str) -> bool:
        """Return whether a parameter is 1; it must be 0 or 1, and is 0 if it is missing."""
        value = self._last(name)
        if value not in {None, "0", "1"}:
            raise Refused(400, f"{name}={value!r}: should be 0 or 1")
        return value == "1"

    def is_one(self, name: str, value: str) -> bool:
        """Return whether a parameter has this value."""
        return self._last(name) == value

    def choice(self, name: str, values: Sequence[str]) -> str:
        """Return a parameter that must be one of `values`; empty if it is missing."""
        value = self._last(name)
        if value is None:
            return ""
        if value not in values:
            raise Refused(400, f"{name}={value!r}: should be {' or '.join(values)}")
        return value

    def number(self, name: str, low: float, high: float) -> float | None:
        """Return a parameter that must be a number from `low` to `high`; None if it is missing."""
        text = self._last(name)
        if text is None:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise Refused(400, f"{name}={text!r}: should be {low:g} to {high:g}")
        return value


def answer(request: IRequest, status: int, content_type: str, body: bytes) -> None:
    """Send a complete answer."""
    request.setResponseCode(status)
    request.setHeader("Content-Type", content_type)
    request.setHeader("Content-Length", str(len(body)))
    if request.method != b"HEAD":
        request.write(body)
    request.finish()


def answer_text(request: IRequest, status: int, sentence: str) -> None:
    """Answer with one sentence of plain text."""
    answer(request, status, TEXT, f"{sentence}\n".encode("utf-8", "replace"))


def answer_json(request: IRequest, status: int, document: Any) -> None:
    """Answer with a JSON document."""
    answer(request, status, "application/json", msgspec.json.encode(document) + b"\n")
