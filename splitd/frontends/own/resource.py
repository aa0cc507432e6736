"""Makes, lists and takes back keys and tokens of users."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from twisted.internet.task import deferLater

from splitd.access.grants import Principal
from splitd.access.own import KEY, KINDS, MOST, TOKEN, Own, read_own
from splitd.errors import Forbidden, LoginRequired, NotFound
from splitd.frontends.http.answers import Refused, answer
from splitd.frontends.http.bodies import read_body
from splitd.frontends.http.entrance import Entrance
from splitd.frontends.http.names import read_path, show_path
from splitd.frontends.http.sites import refuse_cross_site
from splitd.frontends.http.targets import read_parameter
from splitd.frontends.own.door import API, OwnDoor
from splitd.model.documents import Document
from splitd.model.path_faults import shape_fault_of
from storaged.http import IRequest, Parameters, StreamingResource, origin_form

_PAGE = 1000
_DAY_MS = 24 * 3600 * 1000
_MOST_LABEL = 100
_WORDS = {KEY: "key", TOKEN: "token"}


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    kind: Literal["key", "token"]
    label: Annotated[str, msgspec.Meta(max_length=_MOST_LABEL)] = ""
    days: Annotated[float, msgspec.Meta(gt=0, le=3650)] | None = None
    allow: Annotated[tuple[Literal["read", "write", "admin"], ...], msgspec.Meta(min_length=1)] = ("read", "write")
    path: str = "/"


_decoder = msgspec.json.Decoder(_Wanted)


class OwnResource(StreamingResource):
    """Answers every request about keys and tokens."""

    def __init__(self, door: OwnDoor, entrance: Entrance) -> None:
        super().__init__()
        self._door = door
        self._entrance = entrance

    async def respond(self, request: IRequest) -> None:
        """Answer a request."""

        async def answer_as(principal: Principal | None) -> None:
            await _respond(request, self._door, principal)

        await self._entrance.serve(request, answer_as, _refuse)


async def _respond(request: IRequest, door: OwnDoor, principal: Principal | None) -> None:
    if principal is None:
        raise Refused(404, "there are no users here, and so nobody whose keys they could be")
    if principal.is_anonymous:
        raise LoginRequired("log in to see your keys")
    if principal.own:
        raise Forbidden("a key or a token that you have made makes, shows and takes back no others: log in")
    if request.method != b"GET":
        refuse_cross_site(request)
    raw, _, query = origin_form(request.uri).partition(b"?")
    name = raw[len(door.base + API) :].decode("ascii", "replace").strip("/")
    request.setHeader("Cache-Control", "no-store")
    if not name and request.method == b"GET":
        await _list(request, door, principal, Parameters(query))
    elif not name and request.method == b"POST":
        await _make(request, door, principal)
    elif name and request.method == b"DELETE":
        await _take_back(request, door, principal, name)
    else:
        raise Refused(405, "keys are made by POST, listed by GET, and taken back by DELETE", Allow="GET, POST, DELETE")


async def _make(request: IRequest, door: OwnDoor, principal: Principal) -> None:
    try:
        wanted = _decoder.decode(await read_body(request))
    except msgspec.MsgspecError as problem:
        raise Refused(400, f"this is no key and no token: {problem}") from problem
    shown = wanted.path.rstrip("/") or "/"
    fault = shape_fault_of(shown)
    if fault:
        raise Refused(400, f"path: {fault}")
    if not wanted.label.isprintable():
        raise Refused(400, "label: it has a character that cannot be shown")
    if wanted.kind == "key" and not door.has_s3:
        raise Refused(409, "S3 is not served here, and nothing else takes keys: make a token")
    by_issuer = await door.keep(principal)
    own = Own(wanted.label, door.wall.now_ms(), sorted(set(wanted.allow)), read_path(shown), by_issuer=by_issuer)
    ends_ms = 0 if wanted.days is None else door.wall.steady_ms() + int(wanted.days * _DAY_MS)
    made = await door.own.make(KEY if wanted.kind == "key" else TOKEN, principal.name, own, ends_ms)
    document = {**_describe(made.document), "secret": made.secret}
    request.setHeader("Location", f"{door.base}{API}/{made.document.key}")
    answer(request, 201, msgspec.json.encode(document) + b"\n", "application/json")


def _describe(document: Document) -> dict[str, Any]:
    own = read_own(document)
    return {
        "id": document.key,
        "kind": _WORDS[document.kind],
        "owner": document.owner,
        "label": own.label,
        "made_ms": own.made_ms,
        "ends_ms": document.expires_ms or None,
        "used_ms": own.used_ms or None,
        "allow": own.allow,
        "path": show_path(own.path),
    }


async def _list(request: IRequest, door: OwnDoor, principal: Principal, query: Parameters) -> None:
    owner: str | None = principal.name
    if query.values("all"):
        if not principal.is_operator:
            raise Forbidden("only those with admin on the root see the keys of all users")
        owner = None
    kind, _, after = read_parameter(query, "after", f"{KEY}/").partition("/")
    kinds = KINDS[KINDS.index(kind) :] if kind in KINDS else ()
    found: list[Document] = []
    for each in kinds:
        found += await door.own.page(each, owner, after, _PAGE - len(found))
        if len(found) == _PAGE:
            break
        after = ""
    last = f"{found[-1].kind}/{found[-1].key}" if len(found) == _PAGE else None
    document = {"keys": [_describe(each) for each in found], "next": last, "most": MOST, "s3": door.has_s3}
    answer(request, 200, msgspec.json.encode(document) + b"\n", "application/json")


async def _take_back(request: IRequest, door: OwnDoor, principal: Principal, name: str) -> None:
    found = await door.own.find_any(name)
    if found is None or not (principal.is_operator or found.owner == principal.name):
        raise NotFound(f"there is no key {name[:80]}")
    await door.own.take_back(found)
    if door.own.spreads_in_s:
        await deferLater(door.clock, door.own.spreads_in_s)  # now every front knows
    answer(request, 204)


def _refuse(request: IRequest, refused: Refused) -> None:
    for name, value in refused.headers.items():
        request.setHeader(name, value)
    body = msgspec.json.encode({"error": str(refused).encode("utf-8", "replace").decode()})
    answer(request, refused.status, body + b"\n", "application/json")
