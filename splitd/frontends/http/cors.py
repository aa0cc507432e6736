"""Tells browsers which pages of other origins may use the store; see `splitd.model.cors`."""

from __future__ import annotations

from splitd.frontends.http.answers import answer
from splitd.model.cors import Cors
from storaged.http import IRequest


def greet_page(request: IRequest, cors: Cors) -> bool:
    """Set the headers by which a browser passes the answer on to the page, if the page may have it.

    :return: whether the request was a preflight of such a page; then it is answered.  A preflight carries no login, and
        tells nothing about the store.
    """
    request.setHeader("Vary", "Origin")
    origin = request.getHeader("Origin")
    preflight = request.method == b"OPTIONS" and request.getHeader("Access-Control-Request-Method") is not None
    headers = {} if origin is None else cors.headers_for(origin, preflight=preflight)
    for name, value in headers.items():
        request.setHeader(name, value)
    if not preflight or not headers:
        return False
    answer(request, 204)
    return True
