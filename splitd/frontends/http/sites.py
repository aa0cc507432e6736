"""Requests that a browser sends because a page of another site wants it."""

from __future__ import annotations

from splitd.frontends.http.answers import Refused
from storaged.http import IRequest


def refuse_cross_site(request: IRequest) -> None:
    """Refuse a request that a page of another site made a browser send: its user did not intend it.

    :raise Refused: its origin is another one.
    """
    site, origin = request.getHeader("Sec-Fetch-Site"), request.getHeader("Origin")
    is_foreign = origin is not None and not request.is_called(origin.partition("://")[2])
    if is_foreign or site not in {None, "none", "same-origin"}:
        raise Refused(403, "a page of another site asks for this")
