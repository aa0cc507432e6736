"""What operators see of the cluster: the report of their own port, now and as it goes on, and its actions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from splitd.frontends.console.door import Asked, answer_json
from splitd.frontends.http.answers import Refused
from storaged.http import send_body

_EVERY_S = 2.0
"""How often a page that looks gets the present numbers."""


async def report(asked: Asked) -> None:
    """Answer `GET api/cluster`: the report of the operators' port."""
    asked.need_operator()
    answer_json(asked.request, await asked.door.operating.status())


async def events(asked: Asked) -> None:
    """Answer `GET api/cluster/events`: the same report again and again, as server-sent events, until the page goes.

    The first event, `history`, has the samples of the last hour; each of the others has the report and a sample.
    """
    asked.need_operator()
    request, door = asked.request, asked.door
    request.setHeader("Content-Type", "text/event-stream")
    request.setHeader("Cache-Control", "no-store")
    request.setHeader("X-Accel-Buffering", "no")  # a proxy shall pass each event on at once
    is_first = True

    async def read() -> Sequence[bytes]:
        nonlocal is_first
        if not is_first:
            await deferLater(door.clock, _EVERY_S)
        begins, is_first = is_first, False
        if door.operating.closed():
            return []  # the front stops, and waits for no page
        if asked.principal is not None and await door.principal(request) is not asked.principal:
            return []  # the user has been changed, or has logged out: the page asks again
        report = await door.operating.status()
        history = door.operating.history
        sample = msgspec.json.encode(history.now(report))
        data = b'{"report":%b,"sample":%b}' % (msgspec.json.encode(report), sample)
        lines = [b"data: " + data + b"\n\n"]
        if begins:
            lines.insert(0, b"event: history\ndata: " + msgspec.json.encode(await history.samples()) + b"\n\n")
        return lines

    await send_body(request, lambda: Deferred.fromCoroutine(read()))
    request.finish()


async def act(asked: Asked) -> None:
    """Answer `POST` and `DELETE api/cluster/act/ACTION`: what the operators' port answers to `/ACTION`."""
    asked.need_operator()
    name, method = asked.rest.removeprefix("cluster/act"), asked.request.method.decode("ascii", "replace")
    action: Any = asked.door.operating.actions().get(name)
    if action is None or method not in action:
        raise Refused(404, f"{method} {name[:100]} is no action")
    if asked.door.operating.closed():
        raise Refused(503, asked.door.operating.closed())
    await action[method](asked.request)
