"""The resource below `/.splitd/`: assets, views of the page, and the JSON that the page asks for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from splitd.errors import (
    BadName,
    Busy,
    CatalogReadOnly,
    Forbidden,
    LoginRequired,
    LoginUnavailable,
    NotACollection,
    NotAFile,
    NotFound,
    Overloaded,
    PreconditionFailed,
    Protected,
    QuotaExceeded,
    SplitdError,
    TooManyLogins,
    TooManyRequests,
)
from splitd.frontends.console import bin as deleted
from splitd.frontends.console import cluster, listing, login, pictures, sign_in
from splitd.frontends.console.assets import FOREVER, Assets
from splitd.frontends.console.door import Asked, ConsoleDoor
from splitd.frontends.console.page import ConsolePage
from splitd.frontends.http.answers import Refused, answer
from splitd.frontends.http.guard import login_headers
from splitd.frontends.http.sites import refuse_cross_site
from storaged.http import BodyBroken, IRequest, StreamingResource, split_target

_STATUS: dict[type[SplitdError], int] = {
    BadName: 400,
    LoginRequired: 401,
    Forbidden: 403,
    NotFound: 404,
    NotACollection: 409,
    NotAFile: 409,
    PreconditionFailed: 412,
    Protected: 423,
    CatalogReadOnly: 503,
    QuotaExceeded: 507,
    TooManyLogins: 429,
    TooManyRequests: 429,
    LoginUnavailable: 503,
    Overloaded: 503,
}
"""The status of an error, by its class or the nearest above; every other error is a 409 of an operator's action."""

_Operation = Callable[[Asked], Awaitable[None]]

OPERATIONS: dict[tuple[str, str], _Operation] = {
    ("GET", "list"): listing.list_members,
    ("GET", "details"): listing.describe,
    ("GET", "room"): listing.room,
    ("GET", "search"): listing.search,
    ("GET", "thumbnail"): pictures.thumbnail,
    ("GET", "me"): login.me,
    ("POST", "login"): login.login,
    ("POST", "logout"): login.logout,
    ("POST", "logout-everywhere"): login.logout_everywhere,
    ("GET", "bin"): deleted.list_bin,
    ("POST", "bin"): deleted.put,
    ("DELETE", "bin"): deleted.purge,
    ("POST", "bin/restore"): deleted.restore,
    ("GET", "cluster"): cluster.report,
    ("GET", "cluster/events"): cluster.events,
}

_OPEN = frozenset({"login"})
"""What is asked for by those who have not logged in, and whose cookie may have ended."""

VIEWS = frozenset({"bin", "cluster", "keys", "shares"})
"""The addresses of the page that are no collections."""


class ConsoleResource(StreamingResource):
    """Answers every request below `/.splitd/`.

    :ivar page: answers requests for the page, also those for collections.
    """

    def __init__(self, door: ConsoleDoor, assets: Assets) -> None:
        super().__init__()
        self._door = door
        self._assets = assets
        self.page = ConsolePage(door, assets)

    async def respond(self, request: IRequest) -> None:
        """Answer a request."""
        request.body.greet_empty()
        request.setHeader("X-Content-Type-Options", "nosniff")  # refusals and JSON have what clients have said
        try:
            await self._dispatch(request)
        except BodyBroken:
            raise
        except Refused as problem:
            _refuse(request, problem)
        except SplitdError as problem:
            status = next((_STATUS[kind] for kind in type(problem).__mro__ if kind in _STATUS), 409)
            if status >= 500 and not isinstance(problem, Busy):
                self._log.warn("{uri}: {problem}", uri=request.uri.partition(b"?")[0], problem=str(problem))
            _refuse(request, Refused(status, str(problem)), **self._headers(request, problem))
        except Exception:
            self._log.failure("{method} {uri}", method=request.method, uri=request.uri.partition(b"?")[0])
            _refuse(request, Refused(500, "this is a fault of the server; its log says more"))

    @staticmethod
    def _headers(request: IRequest, problem: SplitdError) -> dict[str, str]:
        headers = login_headers(request, problem)
        if isinstance(problem, LoginRequired):
            headers["WWW-Authenticate"] = 'Form realm="splitd"'
        elif isinstance(problem, Overloaded):
            headers["Retry-After"] = str(problem.retry_after_s)
        return headers

    async def _dispatch(self, request: IRequest) -> None:
        if self._door.checks_names and not request.comes_by_safe_names():
            # The page of another site may have given its own name the address of this server (DNS rebinding).
            raise Refused(421, f"{request.call.host!r} is not a name of this server; see its setting names")
        path, parameters = split_target(request.uri)
        kind, _, rest = path.removeprefix(f"{self._door.root}/").partition("/")
        if kind == "assets":
            self._send_asset(request, rest)
            return
        if kind == "oidc":
            await self._enter(request)
            await sign_in.respond(Asked(request, self._door, None, rest, parameters), self.page)
            return
        if request.method not in {b"GET", b"HEAD"}:
            refuse_cross_site(request)
        principal = None if rest in _OPEN else await self._door.principal(request)
        await self._enter(request)
        asked = Asked(request, self._door, principal, rest, parameters)
        if kind == "api":
            await self._find(request, rest)(asked)
        elif kind in VIEWS and request.method in {b"GET", b"HEAD"}:
            if principal is not None and principal.is_anonymous:
                await self.page.ask_for_login(request, LoginRequired("log in to see this"))
            else:
                await self.page.view(asked)
        else:
            raise Refused(404, f"{path[:200]} is not here")

    async def _enter(self, request: IRequest) -> None:
        limits = self._door.limits
        waiting = None if limits is None else limits.enter(request)
        if waiting is not None:
            await waiting

    @staticmethod
    def _find(request: IRequest, rest: str) -> _Operation:
        method = request.method.decode("ascii", "replace")
        operation = OPERATIONS.get(("GET" if method == "HEAD" else method, rest))
        if operation is not None:
            return operation
        if rest.startswith("cluster/act/"):
            return cluster.act
        others = sorted(each for each, name in OPERATIONS if name == rest)
        if others:
            raise Refused(405, f"{method}: only {', '.join(others)} can be asked of this", Allow=", ".join(others))
        raise Refused(404, f"api/{rest[:200]} is not here")

    def _send_asset(self, request: IRequest, rest: str) -> None:
        version, _, name = rest.partition("/")
        asset = self._assets.find(name) if version == self._assets.version else None
        if asset is None or request.method not in {b"GET", b"HEAD"}:
            raise Refused(404, "this file of the page is not here; load the page again")
        request.setHeader("Cache-Control", FOREVER)
        request.setHeader("Vary", "Accept-Encoding")
        body = asset.body
        if "gzip" in (request.getHeader("Accept-Encoding") or "") and len(asset.packed) < len(body):
            request.setHeader("Content-Encoding", "gzip")
            body = asset.packed
        answer(request, 200, body, asset.content_type)


def _refuse(request: IRequest, refused: Refused, **headers: str) -> None:
    if request.startedWriting:
        request.abort()  # only a cut connection tells the page that the answer is not whole
        return
    for name, value in {**refused.headers, **headers}.items():
        request.setHeader(name, value)
    request.setHeader("Cache-Control", "no-store")
    answer(request, refused.status, f"{refused}\n".encode("utf-8", "replace"), "text/plain; charset=utf-8")
