"""OPTIONS: lists the methods of the server (RFC 9110 section 9.3.7, RFC 4918 section 10.1)."""

from __future__ import annotations

from splitd.frontends.http.answers import answer
from splitd.frontends.webdav.answers import ALLOWED
from storaged.http import IRequest

CLASSES = "1, 2, 3, extended-mkcol"


async def options(request: IRequest) -> None:
    """Answer with the methods and the classes of WebDAV.  The answer is the same for every path, whether it exists or
    not.
    """
    request.setHeader("Allow", ALLOWED)
    request.setHeader("DAV", CLASSES)
    request.setHeader("MS-Author-Via", "DAV")  # without it, Windows asks whether to use FrontPage instead
    request.setHeader("Accept-Ranges", "bytes")
    answer(request, 200)
