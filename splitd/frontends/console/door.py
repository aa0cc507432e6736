"""The collaborators of the console, and what one request asks of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import attrs
import msgspec

from splitd.access.grants import Claims, Principal
from splitd.access.oidc.sign_in import SignIn
from splitd.access.sessions import Session
from splitd.errors import Forbidden, LoginRequired
from splitd.frontends.console.history import IHistory
from splitd.frontends.console.thumbnails.thumbnails import Thumbnails
from splitd.frontends.http.answers import Refused, answer
from splitd.frontends.http.guard import Guard
from splitd.frontends.http.limits import RequestLimits
from splitd.frontends.http.names import read_path
from splitd.interfaces.bin import IBin
from splitd.interfaces.names import INamespace
from splitd.interfaces.store import IObjectStore
from splitd.model.paths import check_catalog_path, check_shape
from splitd.model.room import Room
from storaged.http import BodyTooLong, IRequest, Parameters, read_whole

JSON = "application/json"
_MOST_BODY = 64 * 1024
_MOST_NUMBER = 9

_Document = TypeVar("_Document")

Action = Mapping[str, Callable[[IRequest], Awaitable[None]]]
"""What operators may ask for at a path: a coroutine function by the name of the method."""


@attrs.frozen
class Operating:
    """What operators see and do: the same as at their port.

    :param status: returns the report of the operators' port.
    :param actions: returns what they may ask for, by path.
    :param closed: returns why no action is possible now; empty if actions are possible.
    :param history: what was measured in the last hour.
    """

    status: Callable[[], Awaitable[Any]]
    actions: Callable[[], Mapping[str, Action]]
    closed: Callable[[], str]
    history: IHistory


@attrs.frozen
class ConsoleDoor:
    """What the console needs from the rest of the front.

    :param files_of: returns the files and the names as somebody sees them; None stands for everybody, without users.
    :param quota: returns how full the store is, for files below a path.
    :param guard: finds out who asks; None if there are no users.
    :param operating: what operators see and do.
    :param thumbnails: makes thumbnails of images.
    :param clock: schedules calls.
    :param base: what all URLs begin with.
    :param limits: lets requests in; None for no limits.
    :param bin_of: returns the bin as somebody sees it.
    :param keep_days: how long the bin keeps what is deleted; 0 if there is no bin.
    :param sign_in: returns what logs people in at an issuer; None if nothing does.
    :param checks_names: whether requests are refused that call the server by a name that is not its own.
    :param seen: notes what an issuer says of somebody who has just logged in there, and what they may do by it.
    """

    files_of: Callable[[Principal | None], tuple[IObjectStore, INamespace]]
    quota: Callable[[str], Awaitable[Room]]
    guard: Guard | None
    operating: Operating
    thumbnails: Thumbnails
    clock: Any
    base: str = ""
    limits: RequestLimits | None = None
    sign_in: Callable[[], SignIn | None] = lambda: None
    seen: Callable[[Claims, Principal | None], Awaitable[None]] | None = None
    bin_of: Callable[[Principal | None], IBin] = attrs.field(kw_only=True)
    keep_days: float = attrs.field(default=0.0, kw_only=True)
    checks_names: bool = attrs.field(default=False, kw_only=True)

    @property
    def root(self) -> str:
        """What all URLs of the console begin with."""
        return f"{self.base}/.splitd"

    async def principal(self, request: IRequest) -> Principal | None:
        """Find out who asks; None if there are no users."""
        if self.guard is None:
            return None
        principal = self.guard.known(request) or await self.guard.find(request)
        request.user = principal.name or None
        return principal

    async def session(self, request: IRequest) -> Session | None:
        """Return the session of a request; None if it has none."""
        return None if self.guard is None else await self.guard.session(request)


@attrs.frozen
class Asked:
    """One request to the console.

    :param principal: who asks; None if there are no users.
    :param rest: the path behind what led to the operation.
    """

    request: IRequest
    door: ConsoleDoor
    principal: Principal | None
    rest: str
    parameters: Parameters

    def files(self) -> tuple[IObjectStore, INamespace]:
        """Return the files and names as the one who asks sees them."""
        return self.door.files_of(self.principal)

    def parameter(self, name: str, default: str = "") -> str:
        """Return a parameter of the query.

        :raise Refused: it is not UTF-8.
        """
        try:
            return next(iter(self.parameters.values(name)), default)
        except ValueError as problem:
            raise Refused(400, str(problem)) from problem

    def number(self, name: str, default: int, most: int) -> int:
        """Return a parameter that must be a number from 1 to `most`.

        :raise Refused: it is something else.
        """
        text = self.parameter(name, str(default))
        if not text.isascii() or not text.isdigit() or len(text) > _MOST_NUMBER or not 1 <= int(text) <= most:
            raise Refused(400, f"{name} {text[:20]!r}: should be a number from 1 to {most}")
        return int(text)

    def path(self) -> str:
        """Return the path that the parameter `path` names, as URLs say it; see docs/names.md.

        :raise BadName: nothing can have this path.
        """
        shown = self.parameter("path", "/")
        if shown != "/":
            shown = shown.removesuffix("/")
            check_shape(shown)
        path = read_path(shown) if shown != "/" else shown
        check_catalog_path(path)
        return path

    async def document(self, kind: type[_Document]) -> _Document:
        """Return the body, a JSON document.

        :raise Refused: it is too long, or not such a document.
        """
        # Forms of other sites can send no such type without asking first.
        if (self.request.getHeader("Content-Type") or "").partition(";")[0].strip().lower() != JSON:
            raise Refused(415, f"the body should be {JSON}")
        try:
            return msgspec.json.decode(await read_whole(self.request, _MOST_BODY), type=kind)
        except BodyTooLong as problem:
            raise Refused(413, str(problem)) from problem
        except msgspec.DecodeError as problem:
            raise Refused(400, f"the body cannot be read: {problem}") from problem

    def need_operator(self) -> None:
        """Refuse those who are no operators.

        :raise Refused: there are no users, and the request calls the server by a name that may be another site's.
        :raise LoginRequired: nobody has logged in.
        :raise Forbidden: the user has no admin grant for the root.
        """
        principal = self.principal
        # The page of another site may have given its own name the address of this server (DNS rebinding); then it has
        # no session, but without users it needs none.
        if principal is None and not self.request.comes_by_safe_names():
            host = self.request.call.host
            raise Refused(421, f"{host!r} is not a name for operators; add it to the setting names, or use an address")
        if principal is None or principal.is_operator:
            return
        if principal.is_anonymous:
            raise LoginRequired("log in as an operator: a user with an admin grant for /")
        raise Forbidden(f"{principal.name} is no operator: that needs an admin grant for /")


def answer_json(request: IRequest, document: Any, status: int = 200) -> None:
    """Answer with a JSON document, which nobody may keep."""
    request.setHeader("Cache-Control", "no-store")
    answer(request, status, msgspec.json.encode(document) + b"\n", JSON)
