"""What COPY and MOVE have in common: the condition under which something is given another URL."""

from __future__ import annotations

import attrs

from splitd.frontends.http.conditions import parse_condition
from splitd.frontends.http.targets import Target, parse_overwrite
from splitd.frontends.webdav.door import Door
from splitd.model.conditions import Condition
from splitd.model.tree import Collection
from storaged.http import IRequest


async def transfer_condition(request: IRequest, door: Door, source: Target, destination: Target) -> Condition:
    """Read the conditions of a COPY or MOVE; a slash at the end of the destination is one of them.

    With the slash no file is copied or moved there, and none that is there is replaced.  One exception is RFC 4918's
    (section 9.8.4): a file takes the place of a collection where the client says `Overwrite: T`.  That this is meant
    where `Overwrite` is missing is not enough to delete a tree.

    :raise Refused: a header is not well formed.
    """
    condition = parse_condition(request, source)
    if not destination.slash:
        return condition
    replaces = request.getHeader("Overwrite") is not None and parse_overwrite(request)
    if replaces and isinstance(await door.store.stat(destination.path), Collection):
        return attrs.evolve(condition, collections=(*condition.collections, destination.path))
    return attrs.evolve(condition, collections=(source.path, destination.path))
