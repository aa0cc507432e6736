"""Makes, lists and deletes links: JSON at `/.splitd/api/shares`."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from splitd.access.grants import WRITE, Principal
from splitd.errors import Forbidden, NotFound
from splitd.frontends.http.answers import Refused, answer
from splitd.frontends.http.bodies import read_body
from splitd.frontends.http.made import MOST_LISTED, Made, answer_document, end_after, may_remove, owner_of, read_place
from splitd.frontends.http.names import show_path
from splitd.frontends.http.targets import read_parameter
from splitd.frontends.shares.door import API, LINKS, ShareDoor
from splitd.frontends.shares.share import KIND, MOST, Share, new_id, read_share, token_of, with_share
from splitd.model.documents import Document
from splitd.model.tree import Collection
from storaged.http import IRequest, Parameters

_MOST_DAYS = 3650


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    path: str
    mode: str = "read"
    days: float | None = None
    password: str = ""
    downloads: int | None = None


_decoder = msgspec.json.Decoder(_Wanted)


def links_of(door: ShareDoor) -> Made:
    """Return what is done with links."""
    return Made(
        f"{door.base}{API}",
        "links",
        needs_users=False,
        make=partial(_make, door),
        show=partial(_list, door),
        remove=partial(_delete, door),
    )


async def _make(door: ShareDoor, request: IRequest, principal: Principal | None) -> None:
    wanted = _read(await read_body(request))
    path = read_place(wanted.path)
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
    try:
        password = await door.hash_password(wanted.password) if wanted.password else ""
    except ValueError as problem:
        raise Refused(400, f"password: {problem}") from problem
    now_ms = door.wall.now_ms()
    share = Share(path, now_ms, is_upload, password, wanted.downloads, by_issuer=by_issuer)
    ends_ms = end_after(wanted.days, door.wall)
    made = await door.documents.put(
        with_share(Document(KIND, new_id(), owner, "", ends_ms), share), expected=0, most=MOST
    )
    shown = _describe(door, made)
    request.setHeader("Location", shown["url"])
    answer_document(request, shown, 201)


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


async def _list(door: ShareDoor, request: IRequest, principal: Principal | None, query: Parameters) -> None:
    owner = owner_of(principal, query, "links")
    after = read_parameter(query, "after")
    found = await door.documents.page(KIND, owner, after, MOST_LISTED)
    document = {
        "shares": [_describe(door, each) for each in found],
        "next": found[-1].key if len(found) == MOST_LISTED else None,
    }
    answer_document(request, document)


async def _delete(door: ShareDoor, request: IRequest, principal: Principal | None, share_id: str) -> None:
    found = await door.documents.find(KIND, share_id)
    if found is None or not may_remove(principal, found.owner):
        raise NotFound(f"there is no link {share_id[:40]}")
    await door.documents.delete(KIND, share_id)
    answer(request, 204)
