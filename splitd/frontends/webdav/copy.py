"""COPY: a second name for a file, or for all in a collection (RFC 4918 section 9.8)."""

from __future__ import annotations

from splitd.frontends.http.answers import answer
from splitd.frontends.http.bodies import refuse_body
from splitd.frontends.http.conditions import parse_condition
from splitd.frontends.http.targets import Target, parse_depth, parse_destination, parse_overwrite
from splitd.frontends.webdav.door import Door
from splitd.frontends.webdav.move import find_source
from splitd.model.manifest import Manifest
from storaged.http import StreamingRequest


async def copy(request: StreamingRequest, door: Door, target: Target) -> None:
    """Copy the target to its destination, all or nothing."""
    await refuse_body(request)
    destination = parse_destination(request)
    is_file = isinstance(await find_source(door, target), Manifest)
    deep = is_file or parse_depth(request, "infinity", "0") == "infinity"
    is_new = await door.namespace.copy(
        target.path,
        destination.path,
        parse_condition(request, target),
        deep=deep,
        overwrite=parse_overwrite(request),
    )
    answer(request, 201 if is_new else 204)
