"""UNLOCK: releases a lock (RFC 4918 section 9.11)."""

from __future__ import annotations

import re

from splitd.frontends.http.answers import Refused, answer
from splitd.frontends.http.bodies import refuse_body
from splitd.frontends.http.conditions import parse_condition
from splitd.frontends.http.targets import Target
from splitd.frontends.webdav.door import Door
from storaged.http import IRequest

_CODED_URL = re.compile(r"\A\s*<([^<>\s]+)>\s*\Z")


async def unlock(request: IRequest, door: Door, target: Target) -> None:
    """Release the lock that `Lock-Token` names."""
    await refuse_body(request)
    value = request.getHeader("Lock-Token")
    match = _CODED_URL.match(value or "")
    if match is None:
        raise Refused(400, f"Lock-Token: {value!r}: should be a token in angle brackets")
    await door.find(target)
    await door.locks.unlock(target.path, match[1], parse_condition(request, target))
    answer(request, 204)
