"""The operators' check of files: its answer is a stream of JSON lines, which ends when the check does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec
from twisted.internet.defer import Deferred

from splitd.frontends.admin.actions import Action
from splitd.frontends.admin.answers import Query
from splitd.frontends.http.answers import Refused
from splitd.upkeep.check.events import CheckEvent
from storaged.http import IRequest, send_body

LINES = "application/jsonl; charset=utf-8"

_MOST = 1e15


class ICheck(Protocol):
    """A check in progress, as `splitd.upkeep.check.check.Check`."""

    def next(self) -> Deferred[list[CheckEvent]]:
        """Return the next events; none after the last one."""

    def close(self) -> Deferred[None]:
        """End the check."""


def check(start: Callable[[str, bool, float | None], Awaitable[ICheck]]) -> Action:
    """Provide `POST /check?path=PATH[&deep=1][&limit=BYTES_PER_S]`.

    :param start: starts a check.  Its arguments are the path, whether every byte is read, and the most stored bytes to
        read per second; None for no limit.
    """

    async def post(request: IRequest) -> None:
        query = Query(request)
        path, deep, limit = query.text("path"), query.flag("deep"), query.number("limit", 1, _MOST)
        if limit is not None and not deep:
            raise Refused(400, "limit: only a deep check reads so much that it can be limited")
        running = await start(path, deep, limit)
        try:
            request.setResponseCode(200)
            request.setHeader("Content-Type", LINES)
            await send_body(request, lambda: running.next().addCallback(_lines))
            request.finish()
        finally:
            await running.close()  # also if the client has left

    return {"POST": post}


def _lines(events: list[CheckEvent]) -> Sequence[bytes]:
    return [msgspec.json.encode(event) + b"\n" for event in events]
