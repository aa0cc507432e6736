"""MOVE: gives a file, or a collection and everything in it, a new name (RFC 4918 section 9.9)."""

from __future__ import annotations

from splitd.frontends.http.answers import answer
from splitd.frontends.http.bodies import refuse_body
from splitd.frontends.http.targets import Target, parse_depth, parse_destination, parse_overwrite
from splitd.frontends.webdav.door import Door
from splitd.frontends.webdav.transfer import transfer_condition
from splitd.model.manifest import Manifest
from storaged.http import IRequest


async def move(request: IRequest, door: Door, target: Target) -> None:
    """Move the target to its destination, completely or not at all."""
    await refuse_body(request)
    destination = parse_destination(request, target.base)
    if not isinstance(await door.find(target), Manifest):  # a file has only one depth
        parse_depth(request, "infinity")
    is_new = await door.namespace.move(
        target.path,
        destination.path,
        await transfer_condition(request, door, target, destination),
        overwrite=parse_overwrite(request),
    )
    answer(request, 201 if is_new else 204)
