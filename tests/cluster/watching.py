"""Sees which requests a front answers at once, and which it leaves to a coroutine."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from splitd.service import Front
from storaged.http import IRequest, StreamingResource


class Watching(StreamingResource):
    """Answers as another resource does.

    :ivar left: how many requests were left to the coroutine.
    """

    def __init__(self, inner: StreamingResource) -> None:
        super().__init__()
        self._inner = inner
        self.left = 0

    def respond_at_once(self, request: IRequest) -> bool | Deferred[bool]:
        return self._inner.respond_at_once(request)

    def put_at_once(self, request: IRequest) -> bool:
        return self._inner.put_at_once(request)

    async def respond(self, request: IRequest) -> None:
        self.left += 1
        await self._inner.respond(request)


def watch(front: Front | None) -> Watching:
    """Watch the files' port of a front."""
    assert front is not None
    return _watch(front.endpoints.site)


def watch_s3(front: Front | None) -> Watching:
    """Watch the port for S3 of a front."""
    assert front is not None
    port: Any = front.endpoints.s3_port
    return _watch(port.factory)


def _watch(site: Any) -> Watching:
    site.resource = watching = Watching(site.resource)
    return watching
