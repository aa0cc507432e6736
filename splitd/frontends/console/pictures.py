"""Answers requests for thumbnails."""

from __future__ import annotations

from splitd.frontends.console.door import Asked
from splitd.frontends.console.thumbnails.painters import NotPainted
from splitd.frontends.http.answers import Refused, answer
from splitd.model.manifest import Manifest

_TYPE = "image/webp"


async def thumbnail(asked: Asked) -> None:
    """Answer `GET api/thumbnail?path=P[&v=MS]`.

    :raise Refused: there is none; or the browser has it already.
    """
    request, path = asked.request, asked.path()
    store, _ = asked.files()
    try:
        manifest, made = await asked.door.thumbnails.find(store, path, request)
    except NotPainted as problem:
        raise Refused(415, f"no thumbnail can be made of this file: {problem}") from problem
    etag, caching = f'"thumbnail-{manifest.upload}"', _caching(asked, manifest)
    request.setHeader("ETag", etag)
    request.setHeader("Cache-Control", caching)
    request.setHeader("Vary", "Cookie, Authorization")
    request.setHeader("Content-Security-Policy", "sandbox")
    request.setHeader("Cross-Origin-Resource-Policy", "same-origin")
    if request.getHeader("If-None-Match") == etag:
        answer(request, 304)
    else:
        answer(request, 200, made, _TYPE)


def _caching(asked: Asked, manifest: Manifest) -> str:
    """Return for how long the browser may keep it: if the URL names this version, for ever."""
    is_of_version = asked.parameter("v") == str(manifest.created_ms)
    return "private, max-age=31536000, immutable" if is_of_version else "private, no-cache"
