"""Sends clients that came without TLS to the same URL with TLS."""

from __future__ import annotations

from collections.abc import Callable

from splitd.frontends.http.answers import answer
from storaged.http import IRequest, StreamingResource, origin_form


class Redirect(StreamingResource):
    """Answers every request with 308, which keeps the method (RFC 9110 section 15.4.9), before its body is read.

    :param port: returns the port with TLS.
    :param checks_names: whether clients are led to own names only; see `IRequest.comes_by_safe_names`.
    """

    def __init__(self, port: Callable[[], int], *, checks_names: bool = False) -> None:
        super().__init__()
        self._port = port
        self._checks_names = checks_names

    async def respond(self, request: IRequest) -> None:
        """Answer a request."""
        origin = request.origin
        if origin.is_secure:  # it would come here again, for ever
            answer(
                request, 421, b"this port is for clients without TLS, and the proxy says it is https\n", "text/plain"
            )
            return
        if self._checks_names and not request.comes_by_safe_names():
            answer(request, 421, b"this server does not have that name\n", "text/plain")
            return
        host = origin.host
        if not host:
            answer(request, 400, b"this port only leads to the one with TLS, and needs a Host for that\n", "text/plain")
            return
        port = self._port()
        authority = host if port == 443 else f"{host}:{port}"
        target = origin_form(request.uri).decode("ascii")
        request.setHeader("Location", f"https://{authority}{target if target.startswith('/') else '/'}")
        answer(request, 308, b"use https\n", "text/plain")
