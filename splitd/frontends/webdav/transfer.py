"""The part that COPY and MOVE share: their condition."""

from __future__ import annotations

import attrs

from splitd.frontends.http.conditions import parse_condition
from splitd.frontends.http.targets import Target, parse_overwrite
from splitd.frontends.webdav.door import Door
from splitd.model.conditions import Condition
from splitd.model.tree import Collection
from storaged.http import IRequest


async def transfer_condition(request: IRequest, door: Door, source: Target, destination: Target) -> Condition:
    """Read the conditions of a COPY or MOVE.  A slash at the end of the destination is one of them.

    With this slash, no file is copied or moved there, and no file there is replaced.  RFC 4918 section 9.8.4 makes one
    exception: a file replaces a collection if the client sends `Overwrite: T`.  The default, which is the same, is not
    enough to delete a tree: the header must be there.

    :raise Refused: a header is not well formed.
    """
    condition = parse_condition(request, source)
    if not destination.slash:
        return condition
    replaces = request.getHeader("Overwrite") is not None and parse_overwrite(request)
    if replaces and isinstance(await door.store.stat(destination.path), Collection):
        return attrs.evolve(condition, collections=(*condition.collections, destination.path))
    return attrs.evolve(condition, collections=(source.path, destination.path))
