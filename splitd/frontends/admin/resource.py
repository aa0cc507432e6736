"""The single resource of the operators' port: dispatches requests by path, and turns errors into answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from splitd.errors import (
    BackupUnderWay,
    BadName,
    ChecksUnderWay,
    DoneElsewhere,
    FilesRefused,
    Forbidden,
    LayoutRefused,
    Locked,
    LoginRequired,
    NodeRefused,
    NotACollection,
    NotFound,
    RebalanceUnderWay,
    RegistryRefused,
    RelayoutUnderWay,
    SplitdError,
    SweepInterrupted,
    SweepUnderWay,
    TooManyLogins,
    UsersRefused,
)
from splitd.frontends.admin.actions import Action
from splitd.frontends.admin.answers import Query, answer, answer_json, answer_text
from splitd.frontends.admin.readiness import READS, WRITES, Readiness
from splitd.frontends.admin.reports import StatusReport
from splitd.frontends.http.answers import Refused
from splitd.frontends.http.guard import Guard, login_headers
from splitd.frontends.http.sites import refuse_cross_site
from storaged.http import BodyBroken, IRequest, StreamingResource, reason_of, split_target

_STATUS: dict[type[SplitdError], int] = {
    DoneElsewhere: 409,
    SweepInterrupted: 409,
    SweepUnderWay: 409,
    BackupUnderWay: 409,
    RebalanceUnderWay: 409,
    ChecksUnderWay: 409,
    RelayoutUnderWay: 409,
    NodeRefused: 409,
    RegistryRefused: 422,
    FilesRefused: 422,
    UsersRefused: 422,
    LayoutRefused: 422,
    BadName: 400,
    NotFound: 404,
    NotACollection: 409,
    Locked: 423,
    Forbidden: 403,
    TooManyLogins: 429,
}
"""The status of an error.  Every other error is a 503."""

_OPEN = frozenset({"/health", "/ready"})
"""What needs no login: supervisors and load balancers have none, and no name of a file is in the answers."""


class AdminResource(StreamingResource):
    """Answers every request on the operators' port.

    :param readiness: returns whether files can be read, and stored.
    :param status: returns the answer to `GET /status`.
    :param metrics: the same values for Prometheus.
    :param actions: the other actions, by path.
    :param closed: returns why no action is possible now; empty if actions are possible.  Reports are always possible.
    :param guard: asks for logins; None if there are no users, and everybody may do everything.
    """

    def __init__(
        self,
        readiness: Callable[[], Readiness],
        status: Callable[[], Awaitable[StatusReport]],
        metrics: Callable[[], Awaitable[Collector]],
        actions: dict[str, Action],
        closed: Callable[[], str],
        guard: Guard | None = None,
    ) -> None:
        super().__init__()
        self._readiness = readiness
        self._status = status
        self._metrics = metrics
        self._looks = {
            "/health": self._health,
            "/ready": self._ready,
            "/status": self._report,
            "/metrics": self._measure,
        }
        self._actions = actions
        self._closed = closed
        self._guard = guard

    async def respond(self, request: IRequest) -> None:
        """Answer a request."""
        try:
            await self._dispatch(request)
        except BodyBroken:
            raise  # the client has left, so there is no answer
        except Refused as problem:
            answer_text(request, problem.status, str(problem))
        except SplitdError as problem:
            for name, value in login_headers(request, problem).items():
                request.setHeader(name, value)
            status = 401 if isinstance(problem, LoginRequired) else _STATUS.get(type(problem), 503)
            answer_text(request, status, str(problem))
        except Exception as problem:
            self._log.failure("{method} {uri}", method=request.method, uri=request.uri)
            answer_text(request, 500, f"this is a fault of the server ({reason_of(problem)}); its log says more")

    async def _dispatch(self, request: IRequest) -> None:
        path, _ = split_target(request.uri)
        if path != "/health":  # its answer reveals nothing
            _refuse_strange_name(request)
        if self._guard is not None and path not in _OPEN:
            await self._refuse_others(request, self._guard)
        look, action = self._looks.get(path), self._actions.get(path)
        if look is not None:
            _require(request, {"GET", "HEAD"})
            await look(request)
        elif action is not None:
            _require(request, set(action))
            refuse_cross_site(request)
            if self._closed():
                raise Refused(503, self._closed())
            await action[request.method.decode("ascii")](request)
        else:
            raise Refused(404, f"here are {', '.join([*self._looks, *self._actions])}")

    @staticmethod
    async def _refuse_others(request: IRequest, guard: Guard) -> None:
        """Refuse a request of somebody who is no operator.

        :raise LoginRequired: nobody has logged in, or not with good credentials.
        :raise Forbidden: the user is no operator.
        """
        principal = await guard.find(request)
        request.user = principal.name or None
        if principal.is_operator:
            return
        if principal.is_anonymous:
            raise LoginRequired("log in as an operator: a user with an admin grant for /")
        raise Forbidden(f"{principal.name} is no operator: that needs an admin grant for /")

    async def _health(self, request: IRequest) -> None:
        answer(request, 200, "text/plain", b"ok\n")

    async def _ready(self, request: IRequest) -> None:
        asked = Query(request).choice("for", (READS, WRITES))
        reasons = self._readiness().reasons([asked] if asked else [READS, WRITES])
        lines = [f"{kind}: {text}" for kind, problems in reasons.items() for text in problems or ["ready"]]
        answer_text(request, 503 if any(reasons.values()) else 200, "\n".join(lines))

    async def _report(self, request: IRequest) -> None:
        answer_json(request, 200, await self._status())

    async def _measure(self, request: IRequest) -> None:
        answer(request, 200, CONTENT_TYPE_LATEST, generate_latest(await self._metrics()))


def _require(request: IRequest, methods: set[str]) -> None:
    method = request.method.decode("ascii", "replace")
    if method not in methods:
        request.setHeader("Allow", ", ".join(sorted(methods)))
        raise Refused(405, f"{method}: only {', '.join(sorted(methods))} can be asked of this")


def _refuse_strange_name(request: IRequest) -> None:
    """Refuse a request that calls the server by a name that is not one of its own.

    A page of another site can give its own name the address of this server (DNS rebinding).  A browser then lets the
    page read the answers, as if they came from the page's own site.

    :raise Refused: the name is neither a loopback name, nor the connection's address, nor in the setting `names`.
    """
    if not request.comes_by_safe_names():
        raise Refused(
            421, f"{request.call.host!r} is not a name for operators; add it to the setting names, or use an address"
        )
