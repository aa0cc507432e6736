"""PUT: stores the body of a request as a file (RFC 9110 section 9.3.4)."""

from __future__ import annotations

import re

from twisted.internet.interfaces import IConsumer

from splitd.errors import BadName
from splitd.frontends.http.answers import Refused
from splitd.frontends.http.conditions import CONDITIONS, parse_condition
from splitd.frontends.http.digests import DIGESTS, DigestingConsumer, expected_digests
from splitd.frontends.http.media import parse_media
from splitd.frontends.http.targets import Target
from splitd.frontends.http.times import format_time
from splitd.frontends.webdav.door import Door
from splitd.model.manifest import Manifest
from storaged.http import IRequest, encode_header, reason_of, receive_body

_NUMBER = re.compile(r"\A[0-9]{1,19}\Z")


DECIDING = CONDITIONS | DIGESTS | {b"content-range"}
"""The headers that decide whether the body of a PUT is stored, in lower case."""


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
    answer_stored(request, manifest, created=created)


def answer_stored(request: IRequest, manifest: Manifest, *, created: bool) -> None:
    """Answer that a file is stored.

    :param created: whether no file had its name before.
    """
    modified = format_time(manifest.created_ms).encode("ascii")
    request.setResponseCode(201 if created else 204)
    request.describe(b"%bLast-Modified: %b\r\n" % (encode_header("ETag", manifest.etag), modified))
    request.finish()


def _size(request: IRequest) -> int | None:
    """Return the size of the file in bytes; None if the client does not announce it.  Finder announces it beside a
    chunked body.
    """
    announced = request.getHeader("X-Expected-Entity-Length")
    if request.body.length is None and announced is not None and _NUMBER.match(announced):
        return int(announced)
    return request.body.length
