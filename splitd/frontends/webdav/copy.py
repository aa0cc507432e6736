"""COPY: gives a file, or a collection and everything in it, a second name (RFC 4918 section 9.8)."""

from __future__ import annotations

from splitd.frontends.http.answers import answer
from splitd.frontends.http.bodies import refuse_body
from splitd.frontends.http.targets import Target, parse_depth, parse_destination, parse_overwrite
from splitd.frontends.webdav.door import Door
from splitd.frontends.webdav.transfer import transfer_condition
from splitd.model.manifest import Manifest
from storaged.http import IRequest


async def copy(request: IRequest, door: Door, target: Target) -> None:
    """Copy the target to its destination, completely or not at all."""
    await refuse_body(request)
    destination = parse_destination(request, target.base)
    is_file = isinstance(await door.find(target), Manifest)
    deep = is_file or parse_depth(request, "infinity", "0") == "infinity"
    is_new = await door.namespace.copy(
        target.path,
        destination.path,
        await transfer_condition(request, door, target, destination),
        deep=deep,
        overwrite=parse_overwrite(request),
    )
    answer(request, 201 if is_new else 204)
