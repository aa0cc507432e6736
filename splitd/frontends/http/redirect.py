"""Sends clients that came without TLS to the same URL with TLS."""

from __future__ import annotations

from collections.abc import Callable

from splitd.frontends.http.answers import answer
from storaged.http import IRequest, StreamingResource, origin_form, parse_authority


class Redirect(StreamingResource):
    """Answers every request with 308, which keeps the method (RFC 9110 section 15.4.9), before its body is read.

    :param port: returns the port with TLS.
    """

    def __init__(self, port: Callable[[], int]) -> None:
        super().__init__()
        self._port = port

    async def respond(self, request: IRequest) -> None:
        """Answer a request."""
        try:
            host = parse_authority(request.call.host).host
        except ValueError:
            host = ""
        if not host:
            answer(request, 400, b"this port only leads to the one with TLS, and needs a Host for that\n", "text/plain")
            return
        host = f"[{host}]" if ":" in host else host
        port = self._port()
        authority = host if port == 443 else f"{host}:{port}"
        target = origin_form(request.uri).decode("ascii")
        request.setHeader("Location", f"https://{authority}{target if target.startswith('/') else '/'}")
        answer(request, 308, b"use https\n", "text/plain")
