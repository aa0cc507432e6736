"""Lists the uploads that somebody has begun and not ended."""

from __future__ import annotations

import msgspec

from splitd.frontends.http.answers import Refused, answer
from splitd.frontends.resumable.door import Asked
from storaged.http import Parameters, origin_form

_PAGE = 1000


async def list_uploads(asked: Asked) -> None:
    """Answer with a page of one's own uploads whose files get a path that begins with that of the URL.

    `after` and `upload` in the query are the path and the id of the last upload of the page before.
    """
    query = Parameters(origin_form(asked.request.uri).partition(b"?")[2])
    prefix = asked.target(asked.behind_prefix() or b"/")
    try:
        after = next(iter(query.values("after")), ""), next(iter(query.values("upload")), "")
    except ValueError as problem:
        raise Refused(400, str(problem)) from problem
    text = prefix.path if prefix.path == "/" or not prefix.slash else prefix.path + "/"
    found, following = await asked.uploads.list_uploads(text, after, _PAGE)
    shown = [
        {
            "url": asked.url(each.upload, each.path),
            "path": each.path,
            "offset": each.size,
            "length": note.length,
            "partial": note.partial,
            "began_ms": each.began_ms,
            "touched_ms": each.touched_ms,
            "ends_ms": asked.ends_ms(each.touched_ms),
        }
        for each, note in found
    ]
    more = None if following is None else {"after": following[0], "upload": following[1]}
    asked.request.setHeader("Cache-Control", "no-store")
    answer(asked.request, 200, msgspec.json.encode({"uploads": shown, "next": more}), "application/json")
