"""Reads small request bodies completely, and refuses bodies that must not be there."""

from __future__ import annotations

from splitd.frontends.http.answers import Refused
from storaged.http import BodyTooLong, IRequest, read_whole

XML_LIMIT = 64 * 1024
"""The most bytes that a request's XML may have."""


async def read_body(request: IRequest) -> bytes:
    """Return the body of a request.

    :raise Refused: the body is longer than `XML_LIMIT`.  The rest of it is neither read nor kept.
    :raise BodyBroken: the client left before the end of the body.
    """
    try:
        return await read_whole(request, XML_LIMIT)
    except BodyTooLong as problem:
        raise Refused(413, str(problem)) from problem


async def refuse_body(request: IRequest) -> None:
    """Refuse a body if the method gives it no meaning (RFC 4918 section 8.4).

    :raise Refused: the request has a body.
    """
    if request.body.length or await read_body(request):
        method = request.method.decode("ascii", "replace")
        raise Refused(415, f"{method} takes no body")
