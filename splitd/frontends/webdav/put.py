"""PUT: stores the body of a request as a file (RFC 9110 section 9.3.4)."""

from __future__ import annotations

import re

from twisted.internet.interfaces import IConsumer

from splitd.errors import BadName
from splitd.frontends.http.answers import Refused, answer, describe
from splitd.frontends.http.conditions import parse_condition
from splitd.frontends.http.digests import DigestingConsumer, expected_digests
from splitd.frontends.http.media import parse_media
from splitd.frontends.http.targets import Target
from splitd.frontends.webdav.door import Door
from storaged.http import IRequest, reason_of, receive_body

_NUMBER = re.compile(r"\A[0-9]{1,19}\Z")


async def put(request: IRequest, door: Door, target: Target) -> None:
    """Store the body under the target's name.  Whatever can be refused is refused before a byte of the body is read."""
    if target.slash:
        raise BadName(f"{target.path}/: the name of a file does not end in a slash; MKCOL makes a collection")
    if request.getHeader("Content-Range") is not None:
        # RFC 9110 section 14.5: storing the piece as if it were the whole would destroy the file.
        raise Refused(400, "PUT of a part of a file (Content-Range) is not supported")
    media = parse_media(request)
    expected = expected_digests(request)
    upload = await door.store.create(target.path, _size(request), media, parse_condition(request, target))
    consumer = IConsumer(upload)
    proof = DigestingConsumer(consumer, expected) if expected else None
    try:
        await receive_body(request, proof or consumer, upload.when_broken())
        if proof is not None:
            proof.refuse_other()
    except BaseException as problem:
        await upload.abort(reason_of(problem))
        raise
    manifest, created = await upload.finish()
    describe(request, manifest)
    if created:
        answer(request, 201)
    else:
        answer(request, 204)


def _size(request: IRequest) -> int | None:
    """Return the size of the file in bytes; None if the client does not announce it.  Finder announces it beside a
    chunked body.
    """
    announced = request.getHeader("X-Expected-Entity-Length")
    if request.body.length is None and announced is not None and _NUMBER.match(announced):
        return int(announced)
    return request.body.length
