"""Makes, lists and deletes links: JSON at `/.splitd/api/shares`."""

from __future__ import annotations

from typing import Any

import msgspec

from splitd.access.grants import WRITE, Principal
from splitd.errors import Forbidden, LoginRequired, NotFound
from splitd.frontends.http.answers import Refused, answer
from splitd.frontends.http.bodies import read_body
from splitd.frontends.http.names import read_path, show_path
from splitd.frontends.http.sites import refuse_cross_site
from splitd.frontends.http.targets import read_parameter
from splitd.frontends.shares.door import API, LINKS, ShareDoor
from splitd.frontends.shares.share import KIND, MOST, Share, new_id, read_share, token_of, with_share
from splitd.model.documents import Document
from splitd.model.path_faults import shape_fault_of
from splitd.model.tree import Collection
from storaged.http import IRequest, Parameters, origin_form

_PAGE = 1000
_DAY_MS = 24 * 3600 * 1000
_MOST_DAYS = 3650


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    path: str
    mode: str = "read"
    days: float | None = None
    password: str = ""
    downloads: int | None = None


_decoder = msgspec.json.Decoder(_Wanted)


async def respond(request: IRequest, door: ShareDoor, principal: Principal | None) -> None:
    """Answer a request about links."""
    if principal is not None and principal.is_anonymous:
        raise LoginRequired("log in to share files")
    if principal is not None and principal.own:
        raise Forbidden("a key or a token that you have made makes, shows and takes back no links: log in")
    raw, _, query = origin_form(request.uri).partition(b"?")
    behind = raw[len(door.base + API) :].decode("ascii", "replace").strip("/")
    request.setHeader("Cache-Control", "no-store")
    if not behind and request.method == b"GET":
        await _list(request, door, principal, Parameters(query))
    elif not behind and request.method == b"POST":
        await _make(request, door, principal)
    elif behind and request.method == b"DELETE":
        await _delete(request, door, principal, behind)
    else:
        raise Refused(405, "links are made by POST, listed by GET, and deleted by DELETE", Allow="GET, POST, DELETE")


async def _make(request: IRequest, door: ShareDoor, principal: Principal | None) -> None:
    refuse_cross_site(request)
    wanted = _read(await read_body(request))
    path = read_path(wanted.path.rstrip("/") or "/")
    fault = shape_fault_of(wanted.path.rstrip("/") or "/")
    if fault:
        raise Refused(400, f"path: {fault}")
    owner = "" if principal is None else principal.name
    store = door.files_of(principal)
    entry = await store.stat(path)
    may_write = principal is None or WRITE in principal.grants.rights(path)
    is_upload = wanted.mode == "upload"
    if entry is None and not (is_upload and may_write):
        raise NotFound(f"{wanted.path[:200]} does not exist")
    if is_upload and (not may_write or not isinstance(entry, Collection)):
        raise Forbidden(f"{wanted.path}: files can be left in a collection where one may write")
    by_issuer = principal is not None and await door.keep(principal)
    password = await door.hash_password(wanted.password) if wanted.password else ""
    now_ms = door.wall.now_ms()
    share = Share(path, now_ms, is_upload, password, wanted.downloads, by_issuer=by_issuer)
    lasts_ms = 0 if wanted.days is None else int(wanted.days * _DAY_MS)
    ends_ms = door.wall.steady_ms() + lasts_ms if lasts_ms else 0
    made = await door.documents.put(
        with_share(Document(KIND, new_id(), owner, "", ends_ms), share), expected=0, most=MOST
    )
    shown = _describe(door, made)
    request.setHeader("Location", shown["url"])
    answer(request, 201, msgspec.json.encode(shown) + b"\n", "application/json")


def _read(body: bytes) -> _Wanted:
    try:
        wanted = _decoder.decode(body)
    except msgspec.MsgspecError as problem:
        raise Refused(400, f"this is no link: {problem}") from problem
    if wanted.mode not in {"read", "upload"}:
        raise Refused(400, f"mode: {wanted.mode[:40]!r} is neither read nor upload")
    if wanted.days is not None and not 0 < wanted.days <= _MOST_DAYS:
        raise Refused(400, f"days: should be more than 0, and {_MOST_DAYS} at most")
    if wanted.downloads is not None and (not 1 <= wanted.downloads <= 10**9 or wanted.mode == "upload"):
        raise Refused(400, "downloads: should be 1 or more, and only for a link to read")
    return wanted


def _describe(door: ShareDoor, document: Document) -> dict[str, Any]:
    share = read_share(document)
    return {
        "id": document.key,
        "url": f"{door.base}{LINKS}/{token_of(door.signer, document.key)}",
        "owner": document.owner,
        "path": show_path(share.path),
        "mode": "upload" if share.is_upload else "read",
        "password": bool(share.password),
        "made_ms": share.made_ms,
        "ends_ms": document.expires_ms or None,
        "downloads": share.most,
        "downloads_used": share.used,
    }


async def _list(request: IRequest, door: ShareDoor, principal: Principal | None, query: Parameters) -> None:
    owner: str | None = "" if principal is None else principal.name
    if query.values("all"):
        if principal is not None and not principal.is_operator:
            raise Forbidden("only those with admin on the root see the links of all users")
        owner = None
    after = read_parameter(query, "after")
    found = await door.documents.page(KIND, owner, after, _PAGE)
    document = {
        "shares": [_describe(door, each) for each in found],
        "next": found[-1].key if len(found) == _PAGE else None,
    }
    answer(request, 200, msgspec.json.encode(document) + b"\n", "application/json")


async def _delete(request: IRequest, door: ShareDoor, principal: Principal | None, share_id: str) -> None:
    found = await door.documents.find(KIND, share_id)
    is_own = principal is None or principal.is_operator or (found is not None and found.owner == principal.name)
    if found is None or not is_own:
        raise NotFound(f"there is no link {share_id[:40]}")
    await door.documents.delete(KIND, share_id)
    answer(request, 204)
