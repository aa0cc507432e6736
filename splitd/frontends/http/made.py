"""Things that users make for themselves, each with an id: JSON that makes, lists and deletes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import msgspec

from splitd.access.grants import Principal
from splitd.errors import Forbidden, LoginRequired
from splitd.frontends.http.answers import Refused, answer
from splitd.frontends.http.entrance import Entrance
from splitd.frontends.http.names import read_path
from splitd.model.path_faults import shape_fault_of
from storaged.http import IRequest, Parameters, StreamingResource, origin_form
from storaged.system.clocks import WallClock

MOST_LISTED = 1000
"""Things in one page of a list."""

_DAY_MS = 24 * 3600 * 1000


@attrs.frozen
class Made:
    """A kind of things that users make.

    Each operation answers the request, given who asks: None where there are no users.

    :param prefix: the path of all of them; that of one has its id behind it.
    :param called: what they are called, in the plural.
    :param needs_users: whether nobody can have them where there are no users.
    :param make: makes one of the body of the request.
    :param show: lists them, as the query asks.
    :param remove: deletes one, by its id.
    """

    prefix: str
    called: str
    needs_users: bool
    make: Callable[[IRequest, Principal | None], Awaitable[None]]
    show: Callable[[IRequest, Principal | None, Parameters], Awaitable[None]]
    remove: Callable[[IRequest, Principal | None, str], Awaitable[None]]


class MadeResource(StreamingResource):
    """Answers every request about one kind of things that users make.

    :param entrance: lets requests in; it refuses changes that a page of another site asks for.
    """

    def __init__(self, made: Made, entrance: Entrance) -> None:
        super().__init__()
        self._made = made
        self._entrance = entrance

    async def respond(self, request: IRequest) -> None:
        """Answer a request."""
        request.setHeader("X-Content-Type-Options", "nosniff")

        async def answer_as(principal: Principal | None) -> None:
            await self._dispatch(request, principal)

        await self._entrance.serve(request, answer_as, _refuse)

    async def _dispatch(self, request: IRequest, principal: Principal | None) -> None:
        made, method = self._made, request.method
        self._refuse_others(principal)
        raw, _, query = origin_form(request.uri).partition(b"?")
        behind = raw[len(made.prefix) :].decode("ascii", "replace")
        if behind and behind[0] != "/":
            raise Refused(404, "nothing is here")
        name = behind.strip("/")
        request.setHeader("Cache-Control", "no-store")
        if not name and method == b"GET":
            await made.show(request, principal, Parameters(query))
        elif not name and method == b"POST":
            await made.make(request, principal)
        elif name and method == b"DELETE":
            await made.remove(request, principal, name)
        else:
            why = f"{made.called} are made by POST, listed by GET, and taken back by DELETE"
            raise Refused(405, why, Allow="GET, POST, DELETE")

    def _refuse_others(self, principal: Principal | None) -> None:
        """Refuse those who can have none.

        :raise Refused: there are no users, whose they could be.
        :raise LoginRequired: nobody has logged in.
        :raise Forbidden: somebody asks by a key or token that they have made: it would make itself another one.
        """
        called = self._made.called
        if principal is None:
            if self._made.needs_users:
                raise Refused(404, f"there are no users here, and so nobody whose {called} they could be")
        elif principal.is_anonymous:
            raise LoginRequired(f"log in to make and see {called}")
        elif principal.own:
            raise Forbidden(f"a key or a token that you have made makes, shows and takes back no {called}: log in")


def owner_of(principal: Principal | None, query: Parameters, called: str) -> str | None:
    """Return whose things a list shall have: those of the one who asks, or with `all` in the query those of all users.

    :return: the name, empty where there are no users; None for all users.
    :raise Forbidden: only operators see those of all users.
    """
    if not query.values("all"):
        return "" if principal is None else principal.name
    if principal is not None and not principal.is_operator:
        raise Forbidden(f"only those with admin on the root see the {called} of all users")
    return None


def read_place(shown: str) -> str:
    """Return the path that a thing is made for.

    :param shown: the path as it is shown, with or without a slash at its end.
    :raise Refused: it is no path.
    :raise BadName: nothing is shown so.
    """
    place = shown.rstrip("/") or "/"
    fault = shape_fault_of(place)
    if fault:
        raise Refused(400, f"path: {fault}")
    return read_path(place)


def end_after(days: float | None, wall: WallClock) -> int:
    """Return when a thing that is made now ends.

    :param days: how long it lasts; None for ever.
    :return: milliseconds since 1970; 0 for never.
    """
    return 0 if days is None else wall.steady_ms() + int(days * _DAY_MS)


def may_remove(principal: Principal | None, owner: str) -> bool:
    """Return whether somebody may delete what its owner has made."""
    return principal is None or principal.is_operator or owner == principal.name


def answer_document(request: IRequest, document: Any, status: int = 200) -> None:
    """Answer with a JSON document."""
    answer(request, status, msgspec.json.encode(document) + b"\n", "application/json")


def _refuse(request: IRequest, refused: Refused) -> None:
    for name, value in refused.headers.items():
        request.setHeader(name, value)
    answer_document(request, {"error": str(refused).encode("utf-8", "replace").decode()}, refused.status)
