"""MOVE: another name for a file, or for a collection with all in it (RFC 4918 section 9.9)."""

from __future__ import annotations

from splitd.errors import NotFound
from splitd.frontends.http.answers import answer
from splitd.frontends.http.bodies import refuse_body
from splitd.frontends.http.conditions import parse_condition
from splitd.frontends.http.targets import Target, parse_depth, parse_destination, parse_overwrite
from splitd.frontends.webdav.door import Door
from splitd.model.manifest import Manifest
from splitd.model.tree import Collection
from storaged.http import StreamingRequest


async def move(request: StreamingRequest, door: Door, target: Target) -> None:
    """Move the target to its destination, all or nothing."""
    await refuse_body(request)
    destination = parse_destination(request)
    if not isinstance(await find_source(door, target), Manifest):
        parse_depth(request, "infinity")
    is_new = await door.namespace.move(
        target.path, destination.path, parse_condition(request, target), overwrite=parse_overwrite(request)
    )
    answer(request, 201 if is_new else 204)


async def find_source(door: Door, target: Target) -> Manifest | Collection | None:
    """What there is to move or copy.  `Depth` has a meaning for collections only: for a file it is not read.

    :raise NotFound: it is a file, and the URL ends in a slash.
    """
    entry = await door.store.stat(target.path)
    if target.slash and isinstance(entry, Manifest):
        raise NotFound(f"{target.path}/ does not exist: {target.path} is a file")
    return entry
