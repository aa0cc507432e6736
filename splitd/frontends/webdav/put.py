"""PUT: a file comes in (RFC 9110 section 9.3.4)."""

from __future__ import annotations

from twisted.internet.interfaces import IConsumer

from splitd.errors import BadName
from splitd.frontends.webdav.answers import Refused, answer, describe
from splitd.frontends.webdav.conditions import parse_condition
from splitd.frontends.webdav.door import Door
from splitd.frontends.webdav.targets import Target
from storaged.streaming import StreamingRequest, receive_body


async def put(request: StreamingRequest, door: Door, target: Target) -> None:
    """Store the body under the target's name.  Everything that can be refused is, before a byte of it is read."""
    if target.slash:
        raise BadName(f"{target.path}/: the name of a file does not end in a slash; MKCOL makes a collection")
    if request.getHeader("Content-Range") is not None:
        # RFC 9110 section 14.5: storing the piece as if it were the whole would destroy the file.
        raise Refused(400, "PUT of a part of a file (Content-Range) is not supported")
    content_type = (request.getHeader("Content-Type") or "").replace("\t", " ")
    if not content_type.isprintable():
        raise Refused(400, "Content-Type: should be printable text")
    upload = await door.store.create(target.path, request.body.length, content_type, parse_condition(request, target))
    try:
        await receive_body(request, IConsumer(upload), upload.when_broken())
    except BaseException as problem:
        await upload.abort(str(problem))
        raise
    manifest, created = await upload.finish()
    describe(request, manifest)
    if created:
        answer(request, 201)
    else:
        answer(request, 204)
