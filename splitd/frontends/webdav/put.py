"""PUT: a file comes in (RFC 9110 section 9.3.4)."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IConsumer

from splitd.errors import BadName
from splitd.frontends.webdav.answers import Refused, answer, describe
from splitd.frontends.webdav.targets import Target, parse_condition
from splitd.interfaces import IObjectStore, IUpload
from storaged.streaming import BodyBroken, StreamingRequest


async def put(request: StreamingRequest, store: IObjectStore, target: Target) -> None:
    """Store the body under the target's name.  Everything that can be refused is, before a byte of it is read."""
    if target.slash:
        raise BadName(f"{target.path}/: the name of a file does not end in a slash; MKCOL makes a collection")
    if request.getHeader("Content-Range") is not None:
        # RFC 9110 section 14.5: storing the piece as if it were the whole would destroy the file.
        raise Refused(400, "PUT of a part of a file (Content-Range) is not supported")
    content_type = request.getHeader("Content-Type") or ""
    upload = await store.create(target.path, request.body.length, content_type, parse_condition(request))
    await _receive(request, upload)
    manifest, created = await upload.finish()
    describe(request, manifest)
    if created:
        answer(request, 201)
    else:
        answer(request, 204)


async def _receive(request: StreamingRequest, upload: IUpload) -> None:
    """Let the body flow into the upload.  Where it does not come to its end, the upload is aborted."""
    delivered = request.body.deliver(IConsumer(upload))
    broken: list[Exception] = []

    def give_up(problem: Exception) -> None:
        broken.append(problem)
        delivered.cancel()

    upload.when_broken().addCallback(give_up)
    try:
        await delivered
    except CancelledError:
        problem = broken[0] if broken else None
        await upload.abort(str(problem or "cancelled"))
        if problem is None:
            raise
        raise problem from None
    except BodyBroken as problem:
        await upload.abort(str(problem))
        raise
