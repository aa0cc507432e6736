"""The resource of resumable uploads, and the way to it."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from splitd.access.grants import Principal
from splitd.frontends.http.entrance import Cut, Entrance, refuse_plainly
from splitd.frontends.http.guard import Guard
from splitd.frontends.http.limits import RequestLimits
from splitd.frontends.resumable import draft, tus
from splitd.frontends.resumable.door import PREFIX, Asked, ResumableSettings
from splitd.frontends.resumable.exclusive import Exclusive
from splitd.frontends.resumable.sizes import Sizes
from splitd.frontends.resumable.uploads import ResumableUploads, Shared
from splitd.interfaces.continued import IContinuedUploads
from splitd.interfaces.store import IObjectStore
from splitd.model.cors import Cors
from storaged.http import IRequest, StreamingResource, origin_form
from storaged.system.clocks import WallClock

_DRAFT = draft.HEADER.lower().encode()
_DRAFT_METHODS = frozenset({b"PUT", b"POST", b"PATCH", b"OPTIONS"})

FilesOf = Callable[[Principal | None], tuple[IObjectStore, IContinuedUploads]]
"""Returns the files and the uploads as somebody sees them; None for everybody where there are no users."""


class ResumableResource(StreamingResource):
    """Answers what is said in tus or in the draft of the IETF.

    :param files_of: see `FilesOf`.
    :param wall: tells what time it is.
    """

    def __init__(
        self,
        files_of: FilesOf,
        settings: ResumableSettings,
        wall: WallClock,
        guard: Guard | None,
        limits: RequestLimits | None,
        cors: Cors | None,
        *,
        checks_names: bool,
        tells_nodes: bool,
        exclusive: Exclusive,
    ) -> None:
        super().__init__()
        self._files_of = files_of
        self._settings = settings
        self._wall = wall
        self._shared = Shared(Sizes(), exclusive)
        self._entrance = Entrance(guard, limits, cors, checks_names=checks_names, tells_nodes=tells_nodes)

    async def respond(self, request: IRequest) -> None:
        """Answer a request."""
        speaks_draft = request.has_header(_DRAFT)
        protocol = draft if speaks_draft else tus
        refuse = draft.refuse if speaks_draft else refuse_plainly

        async def answer_as(principal: Principal | None) -> None:
            store, uploads = self._files_of(principal)
            name = "" if principal is None else principal.name
            own = ResumableUploads(uploads, store, name, self._shared)
            await protocol.respond(Asked(request, own, store, self._settings, self._wall))

        try:
            await self._entrance.serve(request, answer_as, refuse, is_open=request.method == b"OPTIONS")
        except Cut:
            request.abort()


class ResumableRoute(StreamingResource):
    """Leads requests that are part of a resumable upload to its resource, and all others on.

    :param otherwise: answers all others.
    :param base: what all URLs begin with.
    """

    def __init__(self, otherwise: StreamingResource, resumable: ResumableResource, base: str) -> None:
        super().__init__()
        self._otherwise = otherwise
        self._resumable = resumable
        self._prefix = (base + PREFIX).encode()
        self._inside = self._prefix + b"/"

    def respond_at_once(self, request: IRequest) -> bool | Deferred[bool]:
        """Answer a request if little has to be waited for; see `StreamingResource.respond_at_once`."""
        return not self._is_resumable(request) and self._otherwise.respond_at_once(request)

    def put_at_once(self, request: IRequest) -> bool:
        """Take a PUT with a body; see `StreamingResource.put_at_once`."""
        return not self._is_resumable(request) and self._otherwise.put_at_once(request)

    async def respond(self, request: IRequest) -> None:
        """Answer a request."""
        await (self._resumable if self._is_resumable(request) else self._otherwise).respond(request)

    def _is_resumable(self, request: IRequest) -> bool:
        uri = request.uri if request.uri.startswith(b"/") else origin_form(request.uri)
        if uri.startswith(self._prefix) and (uri.startswith(self._inside) or uri.partition(b"?")[0] == self._prefix):
            return True
        return request.method in _DRAFT_METHODS and request.has_header(_DRAFT)
