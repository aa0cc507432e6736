"""What a GET of a collection answers: its members, for programs as JSON, for people as a page.

Both are made step by step from the store: a large collection takes no more memory than one of `members.SORTED`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from twisted.internet.defer import Deferred

from splitd.frontends.http.answers import Refused, answer
from splitd.frontends.http.media import REVALIDATE
from splitd.frontends.http.names import read_name, show_name
from splitd.frontends.http.opaque import readable
from splitd.frontends.http.targets import Target, href_of_shown
from splitd.frontends.http.times import format_time
from splitd.frontends.webdav.door import Door
from splitd.frontends.webdav.members import Members
from splitd.frontends.webdav.page import FOOT, POLICY, format_head, format_row
from splitd.model.manifest import Manifest
from splitd.model.tree import Collection, Member
from storaged.http import IRequest, send_body

PAGE_LIMIT = 10_000
_PAGE_DEFAULT = 1000


async def list_collection(request: IRequest, door: Door, target: Target, collection: Collection) -> None:
    """Answer with a collection's members, in the form the client accepts."""
    request.setHeader("Last-Modified", format_time(collection.modified_ms))
    request.setHeader("Vary", "Accept, Origin")
    request.setHeader("Cache-Control", REVALIDATE)
    request.setHeader("X-Content-Type-Options", "nosniff")
    if not target.slash:
        request.setHeader("Content-Location", href_of_shown(target.shown, target.base, is_collection=True))
    if "application/json" in (request.getHeader("Accept") or ""):
        await _answer_json(request, door, target)
    elif door.page is not None and door.page.is_wanted(request):
        await door.page.collection(request, target)
    else:
        await _answer_html(request, door, target)


async def _answer_json(request: IRequest, door: Door, target: Target) -> None:
    after = read_name(target.parameter("after", ""))
    limit = _parse_limit(target.parameter("limit", str(_PAGE_DEFAULT)))
    members = await door.store.list_members(target.path, after, limit + 1)
    page = {
        "path": target.shown,
        "members": [_describe(member) for member in members[:limit]],
        "next": show_name(members[limit - 1].name) if len(members) > limit else None,
    }
    answer(request, 200, msgspec.json.encode(page) + b"\n", "application/json")


def _parse_limit(text: str) -> int:
    # Python reads no number of thousands of digits.
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= PAGE_LIMIT:
        raise Refused(400, f"limit {text[:20]!r}: should be a number from 1 to {PAGE_LIMIT}")
    return int(text)


def _describe(member: Member) -> dict[str, str | int]:
    entry, name = member.entry, show_name(member.name)
    if isinstance(entry, Manifest):
        return {
            "name": name,
            "type": "file",
            "size": entry.size,
            "modified_ms": entry.created_ms,
            "etag": entry.etag,
            "content_type": readable(entry.content_type),
        }
    return {"name": name, "type": "collection", "modified_ms": entry.modified_ms}


async def _answer_html(request: IRequest, door: Door, target: Target) -> None:
    request.setHeader("Content-Type", "text/html; charset=utf-8")
    request.setHeader("Content-Security-Policy", POLICY)
    if request.method == b"HEAD":
        request.finish()
        return
    members = Members(door.store, target.path, door.sorting, door.clock)
    try:
        await members.open()
        # Who has chosen the plain list stays with it.
        query = "?plain" if target.parameter("plain", "no") != "no" else ""
        request.write(format_head(target.shown, target.base, members, query).encode())
        base = href_of_shown(target.shown, target.base, is_collection=True)
        await send_body(request, lambda: Deferred.fromCoroutine(_rows(members, base, query)))
        request.write(FOOT.encode())
        request.finish()
    finally:
        members.close()


async def _rows(members: Members, base: str, query: str) -> Sequence[bytes]:
    """Return the next rows, none at the end."""
    some = await members.read()
    return ["".join(format_row(member, base, query) for member in some).encode()] if some else []
