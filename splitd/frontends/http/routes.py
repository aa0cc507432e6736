"""Gives requests to one of several resources by the beginning of their path."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.defer import Deferred

from storaged.http import IRequest, StreamingResource, origin_form


class Routes(StreamingResource):
    """Answers each request by the resource of its path.

    :param otherwise: answers what no prefix leads to.
    :param prefixes: resources by what the paths of their requests begin with, as they stand in the request.  None of
        them begins with another one.
    """

    def __init__(self, otherwise: StreamingResource, prefixes: Mapping[str, StreamingResource]) -> None:
        super().__init__()
        self._otherwise = otherwise
        self._prefixes = [(prefix.encode(), resource) for prefix, resource in prefixes.items()]
        self._all = tuple(prefix for prefix, _ in self._prefixes)

    def respond_at_once(self, request: IRequest) -> bool | Deferred[bool]:
        """Answer a request if little has to be waited for; see `StreamingResource.respond_at_once`."""
        return self._find(request).respond_at_once(request)

    def put_at_once(self, request: IRequest) -> bool:
        """Take a PUT with a body; see `StreamingResource.put_at_once`."""
        return self._find(request).put_at_once(request)

    async def respond(self, request: IRequest) -> None:
        """Answer a request."""
        await self._find(request).respond(request)

    def _find(self, request: IRequest) -> StreamingResource:
        uri = request.uri
        if not uri.startswith(b"/"):
            uri = origin_form(uri)
        if uri.startswith(self._all):
            return next(resource for prefix, resource in self._prefixes if uri.startswith(prefix))
        return self._otherwise
