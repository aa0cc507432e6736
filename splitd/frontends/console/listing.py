"""What the console shows of files: pages of members, details of one, and what a search finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unicodedata import normalize

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from splitd.access.grants import RIGHTS
from splitd.errors import NotACollection, NotFound
from splitd.frontends.console.door import Asked, answer_json
from splitd.frontends.console.packing import answer_packed
from splitd.frontends.http.answers import Refused
from splitd.frontends.http.names import read_name, show_name, show_path
from splitd.frontends.http.opaque import readable
from splitd.interfaces.store import IObjectStore
from splitd.model.manifest import Manifest
from splitd.model.paths import join
from splitd.model.tree import Collection, Member
from storaged.http import send_body

FIRST = 300
"""Members that come with the page itself."""

_PAGE, _MOST_PAGE = 2_000, 10_000
_STEP = 500
_MOST_FOUND, _MOST_DEPTH = 1_000, 200
_MOST_LOOKED_AT = 2_000_000
_MOST_SOUGHT = 200

Row = tuple[str, int, int, str]
"""A member: its name, its bytes or -1 for a collection, when it was changed in milliseconds since 1970, its type."""


def row_of(member: Member) -> Row:
    """Return how a member stands in a page."""
    entry, name = member.entry, show_name(member.name)
    if isinstance(entry, Manifest):
        return name, entry.size, entry.created_ms, readable(entry.content_type)
    return name, -1, entry.modified_ms, ""


async def page_of(store: IObjectStore, path: str, after: str, limit: int) -> dict[str, Any]:
    """Return a page of members.

    :param after: the entry name of the last member of the page before; empty for the first one.
    """
    collection = await store.stat(path)
    if collection is None:
        raise NotFound(f"{show_path(path)} does not exist")
    if not isinstance(collection, Collection):
        raise NotACollection(f"{show_path(path)} is not a collection")
    members = await store.list_members(path, after, limit + 1)
    return {
        "path": show_path(path),
        "modified_ms": collection.modified_ms,
        "members": [row_of(member) for member in members[:limit]],
        "next": show_name(members[limit - 1].name) if len(members) > limit else None,
    }


def rights_at(asked: Asked, path: str) -> list[str]:
    """Return what the one who asks may do at a path."""
    return list(RIGHTS) if asked.principal is None else sorted(asked.principal.grants.rights(path))


async def list_members(asked: Asked) -> None:
    """Answer `GET api/list?path=P[&after=NAME][&limit=N]`."""
    path, after = asked.path(), read_name(asked.parameter("after"))
    store, _ = asked.files()
    page = await page_of(store, path, after, asked.number("limit", _PAGE, _MOST_PAGE))
    page["rights"] = rights_at(asked, path)
    await answer_packed(asked, page)


async def describe(asked: Asked) -> None:
    """Answer `GET api/details?path=P`: all that is known of a file or collection."""
    path = asked.path()
    store, namespace = asked.files()
    entry = await store.stat(path)
    if entry is None:
        raise NotFound(f"{show_path(path)} does not exist")
    details = (await namespace.details([path]))[0]
    known: dict[str, Any] = {
        "path": show_path(path),
        "type": "file" if isinstance(entry, Manifest) else "collection",
        "rights": rights_at(asked, path),
        "properties": dict(details.properties),
        "locks": [
            {"scope": lock.scope, "owner": lock.owner, "user": lock.user, "expires_ms": lock.expires_ms}
            for lock in details.locks
        ],
    }
    if isinstance(entry, Manifest):
        known |= _describe_file(entry)
    else:
        known |= {"created_ms": entry.created_ms, "modified_ms": entry.modified_ms}
    answer_json(asked.request, known)


def _describe_file(manifest: Manifest) -> dict[str, Any]:
    layout = manifest.layout
    return {
        "size": manifest.size,
        "modified_ms": manifest.created_ms,
        "etag": manifest.etag,
        "content_type": readable(manifest.content_type),
        "layout": f"{layout.data}+{layout.parity}",
        "segments": len(manifest.segments),
        "missing_parts": len(manifest.missing),
    }


async def room(asked: Asked) -> None:
    """Answer `GET api/room?path=P`: the bytes of the files, and how many still fit."""
    path = asked.path()
    store, _ = asked.files()
    if await store.stat(path) is None:
        raise NotFound(f"{show_path(path)} does not exist")
    left = (await asked.door.quota(path)).at(path)
    answer_json(asked.request, {"used": left.used, "available": left.available})


async def search(asked: Asked) -> None:
    """Answer `GET api/search?path=P&text=T`: the files and collections below a path whose names have a text.

    They come as lines of JSON while they are found, the nearest first; the last line says whether that is all.
    """
    path, text = asked.path(), _plain(asked.parameter("text"))
    if not 1 <= len(text) <= _MOST_SOUGHT:
        raise Refused(400, f"text: should have 1 to {_MOST_SOUGHT} characters")
    store, _ = asked.files()
    found = await store.stat(path)
    if found is None:
        raise NotFound(f"{show_path(path)} does not exist")
    if not isinstance(found, Collection):
        raise NotACollection(f"{show_path(path)} is not a collection")
    request = asked.request
    request.setHeader("Content-Type", "application/x-ndjson")
    request.setHeader("Cache-Control", "no-store")
    walk = _Walk(asked, store, path, text)
    await send_body(request, lambda: Deferred.fromCoroutine(walk.read()))
    request.finish()


def _plain(text: str) -> str:
    """Return a text without differences between letters that look the same; see Unicode, definition D145."""
    return text.lower() if text.isascii() else normalize("NFC", normalize("NFD", text).casefold())


class _Walk:
    """Looks through a tree, level by level, in short steps."""

    def __init__(self, asked: Asked, store: IObjectStore, path: str, text: str) -> None:
        self._clock = asked.door.clock
        self._store = store
        self._text = text
        self._folders = [path]
        self._after = ""
        self._found = self._looked_at = 0
        self._ended = False

    async def read(self) -> Sequence[bytes]:
        """Return the next lines; none at the end."""
        lines: list[bytes] = []
        while not lines and not self._ended:
            await deferLater(self._clock, 0)  # other requests have a turn
            if not self._folders or self._found >= _MOST_FOUND or self._looked_at >= _MOST_LOOKED_AT:
                self._ended = True
                return [msgspec.json.encode({"complete": not self._folders}) + b"\n"]
            lines = await self._step()
        return lines

    async def _step(self) -> list[bytes]:
        folder = self._folders[0]
        try:
            members = await self._store.list_members(folder, self._after, _STEP)
        except (NotFound, NotACollection):  # it went meanwhile
            members = []
        self._looked_at += len(members)
        self._after = members[-1].name if len(members) == _STEP else ""
        if not self._after:
            del self._folders[0]
        lines = []
        for member in members:
            path = join(folder, member.name)
            if isinstance(member.entry, Collection) and path.count("/") < _MOST_DEPTH:
                self._folders.append(path)
            if self._text in _plain(show_name(member.name)) and self._found < _MOST_FOUND:
                self._found += 1
                row = row_of(member)
                lines.append(msgspec.json.encode([show_path(folder), *row]) + b"\n")
        return lines
