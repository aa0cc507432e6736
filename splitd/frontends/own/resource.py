"""Makes, lists and takes back keys and tokens of users."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from twisted.internet.task import deferLater

from splitd.access.grants import Principal
from splitd.access.own import KEY, KINDS, MOST, TOKEN, Own, read_own
from splitd.errors import NotFound
from splitd.frontends.http.answers import Refused, answer
from splitd.frontends.http.bodies import read_body
from splitd.frontends.http.made import MOST_LISTED, Made, answer_document, end_after, may_remove, owner_of, read_place
from splitd.frontends.http.names import show_path
from splitd.frontends.http.targets import read_parameter
from splitd.frontends.own.door import API, OwnDoor
from splitd.model.documents import Document
from storaged.http import IRequest, Parameters

_MOST_LABEL = 100
_WORDS = {KEY: "key", TOKEN: "token"}


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    kind: Literal["key", "token"]
    label: Annotated[str, msgspec.Meta(max_length=_MOST_LABEL)] = ""
    days: Annotated[float, msgspec.Meta(gt=0, le=3650)] | None = None
    allow: Annotated[tuple[Literal["read", "write", "admin"], ...], msgspec.Meta(min_length=1)] = ("read", "write")
    path: str = "/"


_decoder = msgspec.json.Decoder(_Wanted)


def keys_of(door: OwnDoor) -> Made:
    """Return what is done with keys and tokens."""
    return Made(
        f"{door.base}{API}",
        "keys",
        needs_users=True,
        make=partial(_make, door),
        show=partial(_list, door),
        remove=partial(_take_back, door),
    )


async def _make(door: OwnDoor, request: IRequest, principal: Principal | None) -> None:
    assert principal is not None
    try:
        wanted = _decoder.decode(await read_body(request))
    except msgspec.MsgspecError as problem:
        raise Refused(400, f"this is no key and no token: {problem}") from problem
    path = read_place(wanted.path)
    if not wanted.label.isprintable():
        raise Refused(400, "label: it has a character that cannot be shown")
    if wanted.kind == "key" and not door.has_s3:
        raise Refused(409, "S3 is not served here, and nothing else takes keys: make a token")
    by_issuer = await door.keep(principal)
    own = Own(wanted.label, door.wall.now_ms(), sorted(set(wanted.allow)), path, by_issuer=by_issuer)
    ends_ms = end_after(wanted.days, door.wall)
    made = await door.own.make(KEY if wanted.kind == "key" else TOKEN, principal.name, own, ends_ms)
    document = {**_describe(made.document), "secret": made.secret}
    request.setHeader("Location", f"{door.base}{API}/{made.document.key}")
    answer_document(request, document, 201)


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


async def _list(door: OwnDoor, request: IRequest, principal: Principal | None, query: Parameters) -> None:
    owner = owner_of(principal, query, "keys")
    kind, _, after = read_parameter(query, "after", f"{KEY}/").partition("/")
    kinds = KINDS[KINDS.index(kind) :] if kind in KINDS else ()
    found: list[Document] = []
    for each in kinds:
        found += await door.own.page(each, owner, after, MOST_LISTED - len(found))
        if len(found) == MOST_LISTED:
            break
        after = ""
    last = f"{found[-1].kind}/{found[-1].key}" if len(found) == MOST_LISTED else None
    document = {"keys": [_describe(each) for each in found], "next": last, "most": MOST, "s3": door.has_s3}
    answer_document(request, document)


async def _take_back(door: OwnDoor, request: IRequest, principal: Principal | None, name: str) -> None:
    found = await door.own.find_any(name)
    if found is None or not may_remove(principal, found.owner):
        raise NotFound(f"there is no key {name[:80]}")
    await door.own.take_back(found)
    if door.own.spreads_in_s:
        await deferLater(door.clock, door.own.spreads_in_s)  # now every front knows
    answer(request, 204)
