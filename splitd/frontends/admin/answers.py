"""Answers to operators, and what their requests ask for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from splitd.frontends.http.answers import Refused
from storaged.http import IRequest, split_target

TEXT = "text/plain; charset=utf-8"


class Query:
    """What stands behind the question mark."""

    def __init__(self, request: IRequest) -> None:
        self._parameters = split_target(request.uri)[1]

    def _last(self, name: str) -> str | None:
        """The last value of a parameter; None where the query does not have it."""
        try:
            values = self._parameters.values(name)
        except ValueError as problem:
            raise Refused(400, str(problem)) from problem
        return values[-1] if values else None

    def text(self, name: str) -> str:
        """A value that must be there."""
        value = self._last(name)
        if value is None:
            raise Refused(400, f"{name} is missing")
        return value

    def flag(self, name: str) -> bool:
        """0 or 1; 0 where it is not there."""
        value = self._last(name)
        if value not in {None, "0", "1"}:
            raise Refused(400, f"{name}={value!r}: should be 0 or 1")
        return value == "1"

    def choice(self, name: str, values: Sequence[str]) -> str:
        """One of some values; empty where it is not there."""
        value = self._last(name)
        if value is None:
            return ""
        if value not in values:
            raise Refused(400, f"{name}={value!r}: should be {' or '.join(values)}")
        return value

    def number(self, name: str, low: float, high: float) -> float | None:
        """A number from `low` to `high`; None where it is not there."""
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
    """Answer a request."""
    request.setResponseCode(status)
    request.setHeader("Content-Type", content_type)
    request.setHeader("Content-Length", str(len(body)))
    if request.method != b"HEAD":
        request.write(body)
    request.finish()


def answer_text(request: IRequest, status: int, sentence: str) -> None:
    """Answer with a sentence."""
    answer(request, status, TEXT, f"{sentence}\n".encode("utf-8", "replace"))


def answer_json(request: IRequest, status: int, document: Any) -> None:
    """Answer with a document."""
    answer(request, status, "application/json", msgspec.json.encode(document) + b"\n")
