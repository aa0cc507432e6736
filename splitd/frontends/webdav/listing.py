"""What a GET of a collection answers: its members, for programs as JSON, for people as a page.

Both are made page by page from the store: a large collection takes no more memory than a small one.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from urllib.parse import quote

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from splitd.frontends.http.answers import Refused, answer
from splitd.frontends.http.media import REVALIDATE
from splitd.frontends.http.opaque import readable
from splitd.frontends.http.targets import Target, href
from splitd.frontends.http.times import format_time
from splitd.frontends.webdav.door import Door
from splitd.model.manifest import Manifest
from splitd.model.tree import Collection, Member
from storaged.http import IRequest, send_body

PAGE_LIMIT = 10_000
_PAGE_DEFAULT = 1000
_ROWS = 200
"""Rows that are made before others are served."""


async def list_collection(request: IRequest, door: Door, target: Target, collection: Collection) -> None:
    """Answer with a collection's members, in the form the client accepts."""
    request.setHeader("Last-Modified", format_time(collection.modified_ms))
    request.setHeader("Vary", "Accept")
    request.setHeader("Cache-Control", REVALIDATE)
    request.setHeader("X-Content-Type-Options", "nosniff")
    if not target.slash:
        request.setHeader("Content-Location", href(target.path, is_collection=True))
    if "application/json" in (request.getHeader("Accept") or ""):
        await _answer_json(request, door, target)
    else:
        await _answer_html(request, door, target)


async def _answer_json(request: IRequest, door: Door, target: Target) -> None:
    after = target.parameter("after", "")
    limit = _parse_limit(target.parameter("limit", str(_PAGE_DEFAULT)))
    members = await door.store.list_members(target.path, after, limit + 1)
    page = {
        "path": target.path,
        "members": [_describe(member) for member in members[:limit]],
        "next": members[limit - 1].name if len(members) > limit else None,
    }
    answer(request, 200, msgspec.json.encode(page) + b"\n", "application/json")


def _parse_limit(text: str) -> int:
    # Python reads no number of thousands of digits.
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= PAGE_LIMIT:
        raise Refused(400, f"limit {text[:20]!r}: should be a number from 1 to {PAGE_LIMIT}")
    return int(text)


def _describe(member: Member) -> dict[str, str | int]:
    entry = member.entry
    if isinstance(entry, Manifest):
        return {
            "name": member.name,
            "type": "file",
            "size": entry.size,
            "modified_ms": entry.created_ms,
            "etag": entry.etag,
            "content_type": readable(entry.content_type),
        }
    return {"name": member.name, "type": "collection", "modified_ms": entry.modified_ms}


async def _answer_html(request: IRequest, door: Door, target: Target) -> None:
    title = html.escape(target.path)
    request.setHeader("Content-Type", "text/html; charset=utf-8")
    # A name that slips through the escaping still runs nothing.
    request.setHeader("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
    if request.method == b"HEAD":
        request.finish()
        return
    request.write(
        f"<!DOCTYPE html><title>{title}</title><style>body{{font:16px sans-serif;margin:2em}}"
        f"td{{padding:.1em 1.5em .1em 0}}</style><h1>{title}</h1><table>\n".encode()
    )
    base = "" if target.path == "/" else quote(target.path)
    if base:
        request.write(f'<tr><td><a href="{quote(target.path.rpartition("/")[0])}/">..</a>\n'.encode())
    await send_body(request, _Rows(door, target.path, base).read)
    request.write(b"</table>\n")
    request.finish()


class _Rows:
    """The rows of the page about a collection."""

    def __init__(self, door: Door, path: str, base: str) -> None:
        self._door = door
        self._path = path
        self._base = base
        self._after = ""
        self._ended = False

    def read(self) -> Deferred[Sequence[bytes]]:
        """The next rows; none at the end."""
        return Deferred.fromCoroutine(self._read())

    async def _read(self) -> Sequence[bytes]:
        if self._ended:
            return []
        await deferLater(self._door.clock, 0)  # others want to be served, too
        members = await self._door.store.list_members(self._path, self._after, _ROWS)
        if not members:
            return []
        self._ended = len(members) < _ROWS
        self._after = members[-1].name
        return ["".join(self._row(member) for member in members).encode()]

    def _row(self, member: Member) -> str:
        entry = member.entry
        href, name = f"{self._base}/{quote(member.name)}", html.escape(member.name)
        if isinstance(entry, Manifest):
            modified = format_time(entry.created_ms)
            return f'<tr><td><a href="{href}">{name}</a><td align=right>{entry.size:,}<td>{modified}\n'
        return f'<tr><td><a href="{href}/">{name}/</a><td><td>{format_time(entry.modified_ms)}\n'
