"""What every request of a front door passes before it is answered: names, pages of other origins, login, limits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from splitd.access.grants import Principal
from splitd.errors import Busy, SplitdError
from splitd.frontends.http.answers import Refused, answer
from splitd.frontends.http.cors import greet_page
from splitd.frontends.http.guard import Guard, login_headers
from splitd.frontends.http.limits import RequestLimits
from splitd.frontends.http.sites import refuse_cross_site
from splitd.frontends.http.statuses import refusal_of
from splitd.model.cors import Cors
from storaged.http import BodyBroken, IRequest, StreamingResource
from storaged.system.tracing import doing_for

_SAFE = frozenset({b"GET", b"HEAD", b"OPTIONS"})


class Cut(Exception):
    """A request whose connection is to be cut without an answer."""


class Entrance(StreamingResource):
    """Lets requests in, and turns errors into answers.

    :param guard: asks for logins; None if there are no users, and everybody may do everything.
    :param limits: lets requests in; None for no limits.
    :param cors: which pages of other origins may use the store; None for no page.
    :param checks_names: whether requests are refused that call the server by a name that is not its own.
    :param tells_nodes: whether requests to nodes name the client's request.
    :param refuses_other_sites: whether a change is refused that a page of another site has a browser ask for.  Where
        a change needs a header or a method of its own, browsers ask for permission before they send it; JSON by POST
        may come as the form of any page.
    """

    def __init__(
        self,
        guard: Guard | None,
        limits: RequestLimits | None,
        cors: Cors | None,
        *,
        checks_names: bool,
        tells_nodes: bool,
        refuses_other_sites: bool = False,
    ) -> None:
        super().__init__()
        self._refuses_other_sites = refuses_other_sites
        self._guard = guard
        self._limits = limits
        self._cors = cors
        self._checks_names = checks_names
        self._tells_nodes = tells_nodes

    async def serve(
        self,
        request: IRequest,
        respond: Callable[[Principal | None], Awaitable[None]],
        refuse: Callable[[IRequest, Refused], object],
        *,
        is_open: bool = False,
    ) -> None:
        """Answer a request.

        :param respond: answers it, given who asks; None if there are no users.
        :param refuse: answers with a refusal.
        :param is_open: whether nobody needs to log in for it, and so it does not matter who had it sent.
        """
        if self._tells_nodes:
            doing_for([request.id])
        if self._checks_names and not request.comes_by_safe_names():
            # The page of another site may have given its own name the address of this server (DNS rebinding).
            refuse(request, Refused(421, f"{request.call.host!r} is not a name of this server; see its setting names"))
            return
        if self._cors is not None and greet_page(request, self._cors):
            return
        try:
            principal = None if is_open else await self._find(request)
            waiting = None if self._limits is None else self._limits.enter(request)
            if waiting is not None:
                await waiting
            await respond(principal)
        except (BodyBroken, Cut):
            raise
        except Refused as refused:
            _refuse(request, refused, refuse)
        except SplitdError as problem:
            told = refusal_of(problem)
            told.headers.update(login_headers(request, problem))
            # Under overload, the log would only add to it; the metrics count what is refused.
            if told.status >= 500 and not isinstance(problem, Busy):
                self._log.warn(
                    "{method} {uri}: {status} {problem}",
                    method=request.method.decode("ascii", "replace"),
                    uri=request.uri.decode("ascii"),
                    status=told.status,
                    problem=str(problem),
                )
            _refuse(request, told, refuse)
        except Exception:
            self._log.failure("{method} {uri}", method=request.method, uri=request.uri)
            _refuse(request, Refused(500, "this is a fault of the server; its log says more"), refuse)

    async def _find(self, request: IRequest) -> Principal | None:
        if self._refuses_other_sites and request.method not in _SAFE:
            refuse_cross_site(request)
        if self._guard is None:
            return None
        principal = self._guard.known(request) or await self._guard.find(request)
        request.user = principal.name or None
        return principal


def refuse_plainly(request: IRequest, refused: Refused) -> None:
    """Answer with the status of a refusal, and a sentence that says why."""
    for name, value in refused.headers.items():
        request.setHeader(name, value)
    answer(request, refused.status, f"{refused}\n".encode("utf-8", "replace"), "text/plain; charset=utf-8")


def _refuse(request: IRequest, refused: Refused, refuse: Callable[[IRequest, Refused], object]) -> None:
    if request.startedWriting:
        # The status has been sent; only a cut connection tells the client that the answer is not whole.
        request.abort()
    else:
        refuse(request, refused)
