"""Answers to operators, and what their requests ask for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from splitd.frontends.http.answers import Refused
from storaged.http import IRequest

TEXT = "text/plain; charset=utf-8"


class Query:
    """What stands behind the question mark."""

    def __init__(self, request: IRequest) -> None:
        asked = urlsplit(request.uri.decode("ascii", "replace")).query
        self._values = parse_qs(asked, keep_blank_values=True)

    def text(self, name: str) -> str:
        """A value that must be there."""
        if name not in self._values:
            raise Refused(400, f"{name} is missing")
        return self._values[name][-1]

    def flag(self, name: str) -> bool:
        """0 or 1; 0 where it is not there."""
        value = self._values.get(name, ["0"])[-1]
        if value not in {"0", "1"}:
            raise Refused(400, f"{name}={value!r}: should be 0 or 1")
        return value == "1"

    def choice(self, name: str, values: Sequence[str]) -> str:
        """One of some values; empty where it is not there."""
        if name not in self._values:
            return ""
        value = self._values[name][-1]
        if value not in values:
            raise Refused(400, f"{name}={value!r}: should be {' or '.join(values)}")
        return value

    def number(self, name: str, low: float, high: float) -> float | None:
        """A number from `low` to `high`; None where it is not there."""
        if name not in self._values:
            return None
        text = self._values[name][-1]
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
