"""Long JSON, compressed on the way: a page of members takes a tenth of its bytes."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from splitd.frontends.console.door import JSON, Asked, answer_json
from storaged.http import send_body

_WORTH = 8 * 1024
_PIECE = 64 * 1024
_LEVEL = 1
_GZIP = 16 + zlib.MAX_WBITS


async def answer_packed(asked: Asked, document: dict[str, Any]) -> None:
    """Answer with a JSON document, by gzip if it is long and the client takes that.

    It must hold no secret: the length of the answer tells something about what it has.
    """
    request = asked.request
    request.setHeader("Vary", "Accept-Encoding, Cookie, Authorization")
    data = msgspec.json.encode(document) + b"\n"
    if len(data) < _WORTH or "gzip" not in (request.getHeader("Accept-Encoding") or ""):
        answer_json(request, document)
        return
    request.setHeader("Cache-Control", "no-store")
    request.setHeader("Content-Type", JSON)
    request.setHeader("Content-Encoding", "gzip")
    packing, at = zlib.compressobj(_LEVEL, wbits=_GZIP), 0

    async def read() -> Sequence[bytes]:
        nonlocal at
        if at > len(data):  # all of it was read
            return []
        await deferLater(asked.door.clock, 0)  # other requests have a turn
        packed = packing.compress(data[at : at + _PIECE])
        at += _PIECE
        if at >= len(data):
            packed, at = packed + packing.flush(), len(data) + 1
        return [packed]

    await send_body(request, lambda: Deferred.fromCoroutine(read()))
    request.finish()
