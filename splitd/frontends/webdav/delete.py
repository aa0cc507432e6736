"""DELETE: deletes a file, or a collection and everything in it (RFC 4918 section 9.6)."""

from __future__ import annotations

from splitd.errors import Locked
from splitd.frontends.http.answers import answer
from splitd.frontends.http.bodies import refuse_body
from splitd.frontends.http.conditions import parse_condition
from splitd.frontends.http.targets import Target, parse_depth
from splitd.frontends.webdav.door import Door
from splitd.frontends.webdav.multistatus import answer_multistatus, protected_response
from splitd.model.manifest import Manifest
from splitd.model.paths import is_below
from storaged.http import IRequest


async def delete(request: IRequest, door: Door, target: Target) -> None:
    """Delete the target; if something in it is locked, delete nothing."""
    await refuse_body(request)
    if not isinstance(await door.find(target), Manifest):
        parse_depth(request, "infinity")
    try:
        await door.store.delete(target.path, parse_condition(request, target))
    except Locked as problem:
        if not all(is_below(path, target.path) for path in problem.paths):
            raise
        answer_multistatus(request, "".join(protected_response(path, problem, target.base) for path in problem.paths))
        return
    answer(request, 204)
