"""The single resource of the front door: dispatches requests by method, and turns errors into answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from cachetools import LRUCache
from twisted.internet.defer import Deferred

from splitd.access.grants import Principal
from splitd.errors import Busy, LoginRequired, SplitdError
from splitd.frontends.http.answers import Refused
from splitd.frontends.http.content import send_whole
from splitd.frontends.http.cors import greet_page
from splitd.frontends.http.entering import Entering
from splitd.frontends.http.guard import Guard, login_headers
from splitd.frontends.http.limits import RequestLimits
from splitd.frontends.http.media import parse_media
from splitd.frontends.http.targets import Target, parse_target
from splitd.frontends.webdav.answers import ALLOWED, refusal, refuse
from splitd.frontends.webdav.copy import copy
from splitd.frontends.webdav.delete import delete
from splitd.frontends.webdav.door import Door
from splitd.frontends.webdav.get import DECIDING, get
from splitd.frontends.webdav.lock import lock
from splitd.frontends.webdav.mkcol import mkcol
from splitd.frontends.webdav.move import move
from splitd.frontends.webdav.options import options
from splitd.frontends.webdav.propfind import propfind
from splitd.frontends.webdav.proppatch import proppatch
from splitd.frontends.webdav.put import DECIDING as DECIDING_PUT
from splitd.frontends.webdav.put import answer_stored, put
from splitd.frontends.webdav.unlock import unlock
from splitd.interfaces.store import Kept
from splitd.model.conditions import ALWAYS
from splitd.model.cors import Cors
from splitd.model.manifest import Manifest
from splitd.model.path_faults import fault_of
from splitd.model.paths import check_path
from storaged.http import BodyBroken, IRequest, Storing, StreamingResource
from storaged.system.tracing import doing_for

_MOST_DOORS = 4096
"""Users whose door is kept.  An issuer of tokens may name any number of them."""

_Method = Callable[[IRequest, Door, Target], Awaitable[None]]

_METHODS: dict[bytes, _Method] = {
    b"GET": get,
    b"HEAD": get,
    b"PUT": put,
    b"DELETE": delete,
    b"MKCOL": mkcol,
    b"COPY": copy,
    b"MOVE": move,
    b"PROPFIND": propfind,
    b"PROPPATCH": proppatch,
    b"LOCK": lock,
    b"UNLOCK": unlock,
}


class WebdavResource(StreamingResource):
    """Answers every request on the front's port.

    :param door: the collaborators of the methods.
    :param guard: asks for logins; None if there are no users, and everybody may do everything.
    :param limit: returns the door limited to what a user may do.
    :param checks_names: whether requests are refused that call the server by a name that is not its own.
    :param cors: which pages of other origins may use the store; None for no page.
    :param limits: lets requests in; None for no limits.
    :param tells_nodes: whether requests to nodes name the client's request.
    :param base: what all URLs begin with, as "/files"; empty for nothing.
    """

    def __init__(
        self,
        door: Door,
        guard: Guard | None = None,
        limit: Callable[[Door, Principal], Door] = lambda door, _: door,
        cors: Cors | None = None,
        limits: RequestLimits | None = None,
        *,
        checks_names: bool = False,
        base: str = "",
        tells_nodes: bool = False,
    ) -> None:
        super().__init__()
        self._door = door
        self._guard = guard
        self._limit = limit
        self._cors = cors
        self._entering = Entering(limits)
        self._base = base
        self._tells_nodes = tells_nodes
        self._checks_names = checks_names
        self._doors: LRUCache[Principal, Door] = LRUCache(_MOST_DOORS)  # those of the present users
        self._doors_of: object = None

    def respond_at_once(self, request: IRequest) -> bool | Deferred[bool]:
        """Answer with a small file that is in memory, or whose parts only have to come from their nodes, or with what a
        HEAD asks for of a file.  All else is left to `respond`, errors too.
        """
        if request.has_any_header(DECIDING):
            return False
        try:
            door = self._door_at_once(request)
            if door is None:
                return False
            target = parse_target(request.uri, self._base)
            if target.slash or target.has_parameter("zip") or not self._entering.at_once(request):
                return False
            store = door.store
            if request.method == b"HEAD":
                read: Kept | Deferred[Kept | None] | None = store.stat_soon(target.path)
            else:
                # Nodes are told of requests by the contexts of coroutines.
                read = store.read_kept(target.path) if self._tells_nodes else store.read_soon(target.path)
        except (Refused, SplitdError):
            return False
        return read.addCallback(self._send, request) if isinstance(read, Deferred) else self._send(read, request)

    def _send(self, read: Kept | None, request: IRequest) -> bool:
        """Answer with a file that was read; if it was not, `respond` finds out why."""
        if read is None:
            return False
        if self._cors is not None:
            greet_page(request, self._cors)
        send_whole(request, *read)
        return True

    def begin_at_once(self, request: IRequest) -> Storing | None:
        """Begin to store a small file, if there is no condition.  All else is left to `respond`, also what can be
        refused before anything is stored.
        """
        if self._tells_nodes or request.has_any_header(DECIDING_PUT):
            return None
        body = request.body
        try:
            door = self._door_at_once(request)
            if door is None:
                return None
            target = parse_target(request.uri, self._base)
            if target.slash or fault_of(target.shown) or not self._entering.at_once(request):
                return None
            size, media = body.length or 0, parse_media(request)
            upload = door.store.create_soon(target.path, size, media, ALWAYS, assumes=body.complete)
        except (Refused, SplitdError):
            return None
        if upload is not None and self._cors is not None:
            greet_page(request, self._cors)
        return upload

    def answer_stored(self, stored: tuple[Manifest, bool], request: IRequest) -> None:
        """Answer that a file is stored."""
        answer_stored(request, stored[0], created=stored[1])

    def _door_at_once(self, request: IRequest) -> Door | None:
        """Return the door for the user who sends a request; None if that needs a wait, or a refusal."""
        if self._checks_names and not request.comes_by_safe_names():
            return None
        if self._guard is None:
            return self._door
        principal = self._guard.known(request)
        return None if principal is None else self._door_for(request, principal, self._guard.generation)

    async def respond(self, request: IRequest) -> None:
        """Answer a request."""
        if self._tells_nodes:
            doing_for([request.id])
        if self._checks_names and not request.comes_by_safe_names():
            # The page of another site may have given its own name the address of this server (DNS rebinding).
            self._refuse(
                request, Refused(421, f"{request.call.host!r} is not a name of this server; see its setting names")
            )
            return
        if self._cors is not None and greet_page(request, self._cors):
            return
        await self.judge(request, partial(self._serve, request))

    async def _serve(self, request: IRequest) -> None:
        if self._guard is None:
            door = self._door
        else:
            # Almost every request has a login that is remembered, and needs no coroutine for that.
            principal = self._guard.known(request) or await self._guard.find(request)
            door = self._door_for(request, principal, self._guard.generation)
        waiting = self._entering.enter(request)
        if waiting is not None:
            await waiting
        await self._dispatch(request, door)

    async def judge(self, request: IRequest, work: Callable[[], Awaitable[None]]) -> None:
        """Do what a request asks for, and answer with its error, if there is one."""
        try:
            await work()
        except BodyBroken:
            raise
        except Refused as refused:
            self._refuse(request, refused)
        except SplitdError as problem:
            await self._failed_by(request, problem)
        except Exception:
            self._log.failure("{method} {uri}", method=request.method, uri=request.uri)
            self._refuse(request, Refused(500, "this is a fault of the server; its log says more"))

    async def _failed_by(self, request: IRequest, problem: SplitdError) -> None:
        """Answer with an error of the store."""
        page = self._door.page
        asks = isinstance(problem, LoginRequired) and not request.has_header(b"authorization")
        if asks and page is not None and page.is_wanted(request):
            await page.ask_for_login(request, problem)
            return
        answer = refusal(problem, self._base)
        answer.headers.update(login_headers(request, problem))
        # Under overload, the log would only add to it; the metrics count what is refused.
        if answer.status >= 500 and not isinstance(problem, Busy):
            self._log.warn(
                "{method} {uri}: {outcome} {problem}",
                method=request.method.decode("ascii", "replace"),
                uri=request.uri.decode("ascii"),
                outcome="cut:" if request.startedWriting else answer.status,
                problem=str(problem),
            )
        self._refuse(request, answer)

    def _door_for(self, request: IRequest, principal: Principal, generation: object) -> Door:
        """Return the door for the user who sends a request."""
        if self._doors_of is not generation:
            self._doors, self._doors_of = LRUCache(_MOST_DOORS), generation
        request.user = principal.name or None
        door = self._doors.get(principal)
        if door is None:
            door = self._doors[principal] = self._limit(self._door, principal)
        return door

    async def _dispatch(self, request: IRequest, door: Door) -> None:
        if request.method == b"OPTIONS":
            if request.uri != b"*":
                parse_target(request.uri)  # the answer is the same for every path, also outside of the base
            await options(request)
            return
        method = _METHODS.get(request.method)
        if method is None:
            name = request.method.decode("ascii", "replace")
            raise Refused(405, f"{name} is not a method of this server", Allow=ALLOWED)
        target = parse_target(request.uri, self._base)
        # Keys may be longer than the names that are made here.
        if fault_of(target.shown) and await door.store.stat(target.path) is None:
            check_path(target.shown)
        await method(request, door, target)

    @staticmethod
    def _refuse(request: IRequest, refused: Refused) -> None:
        if request.startedWriting:
            # The status has been sent; only a cut connection tells the client that the answer is not whole.
            request.abort()
        else:
            refuse(request, refused)
