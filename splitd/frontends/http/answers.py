"""Answers with a body that is in memory, and refusals."""

from __future__ import annotations

from splitd.frontends.http.times import format_time
from splitd.model.manifest import Manifest
from storaged.http import IRequest


class Refused(Exception):
    """A request is refused with a status of HTTP.

    :param status: the status.
    :param message: one sentence for the client.
    :param condition: the failed condition in the form for programs, an XML element (RFC 4918 section 16); empty for
        none.
    :param headers: more headers of the answer.
    """

    def __init__(self, status: int, message: str, condition: str = "", **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.condition = condition
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def answer(request: IRequest, status: int, body: bytes = b"", content_type: str = "") -> None:
    """Answer a request with a body that is in memory."""
    request.setResponseCode(status)
    if status not in {204, 304}:
        request.setHeader("Content-Length", str(len(body)))
    if content_type:
        request.setHeader("Content-Type", content_type)
    request.write(body)
    request.finish()


def describe(request: IRequest, manifest: Manifest) -> None:
    """Set the headers that say which version of a file this is."""
    request.setHeader("ETag", manifest.etag)
    request.setHeader("Last-Modified", format_time(manifest.created_ms))
