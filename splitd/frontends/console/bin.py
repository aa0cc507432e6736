"""The bin in the console: what was deleted there, until it is restored or deleted for good."""

from __future__ import annotations

from typing import Any

import msgspec

from splitd.access.limited_bin import LimitedBin
from splitd.errors import LoginRequired, NotFound
from splitd.frontends.console.door import Asked, answer_json
from splitd.frontends.http.answers import Refused
from splitd.frontends.http.names import read_path, show_path
from splitd.interfaces.bin import IBin
from splitd.model.binned import Binned
from splitd.model.conditions import ALWAYS
from splitd.model.paths import check_catalog_path, check_shape
from storaged.system.parallel import gather

_PAGE, _MOST_PAGE = 200, 1_000
_MOST_PURGED = 2_000
"""Things that one request deletes for good; the page asks again until none are left."""
_AT_ONCE = 50
_ALL = "*"
"""Stands for all that is in the bin; no id is like that."""
_DAY_MS = 24 * 3600 * 1000


class _Deleted(msgspec.Struct, forbid_unknown_fields=True):
    path: str


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    to: str = ""


def _path(shown: str) -> str:
    place = shown.removesuffix("/")
    check_shape(place)
    path = read_path(place)
    check_catalog_path(path)
    return path


def _bin(asked: Asked) -> IBin:
    if asked.principal is not None and asked.principal.is_anonymous:
        raise LoginRequired("log in to see what you have deleted")
    return asked.door.bin_of(asked.principal)


def _describe(asked: Asked, bin_: IBin, binned: Binned) -> dict[str, Any]:
    days = asked.door.keep_days
    return {
        "id": binned.key,
        "path": show_path(binned.path),
        "type": "collection" if binned.is_collection else "file",
        "user": binned.user,
        "deleted_ms": binned.deleted_ms,
        "ends_ms": binned.deleted_ms + int(days * _DAY_MS) if days else None,
        "bytes": None if binned.is_size_hidden else binned.bytes,
        "files": None if binned.is_size_hidden else binned.files,
        "purge": not isinstance(bin_, LimitedBin) or bin_.may_purge(binned),
    }


async def list_bin(asked: Asked) -> None:
    """Answer `GET api/bin[?after=ID][&limit=N]`: what the one who asks may see, the last deletion first."""
    bin_, limit = _bin(asked), asked.number("limit", _PAGE, _MOST_PAGE)
    page = await bin_.page(asked.parameter("after"), limit + 1)
    found = page[:limit]
    answer_json(
        asked.request,
        {
            "keep_days": asked.door.keep_days,
            "things": [_describe(asked, bin_, each) for each in found],
            "next": found[-1].key if len(page) > limit else None,
        },
    )


async def put(asked: Asked) -> None:
    """Answer `POST api/bin`: deletes a file or a collection, so that it can be restored."""
    bin_, path = _bin(asked), _path((await asked.document(_Deleted)).path)
    if not asked.door.keep_days:
        raise Refused(409, "there is no bin: bin.keep_days in the settings would say how long it keeps things")
    asked.request.what = show_path(path)
    binned = await bin_.put(path, ALWAYS, "")
    answer_json(asked.request, _describe(asked, bin_, binned), 201)


async def restore(asked: Asked) -> None:
    """Answer `POST api/bin/restore`: puts something back, where it was or at the path `to`."""
    bin_, wanted = _bin(asked), await asked.document(_Wanted)
    target = _path(wanted.to) if wanted.to else ""
    binned = await bin_.find(wanted.id)
    if binned is None:
        raise NotFound(f"{wanted.id[:60]} is not in the bin any more")
    target = target or binned.path
    asked.request.what = show_path(target)
    await bin_.restore(binned, target)
    answer_json(asked.request, {"path": show_path(target)})


async def purge(asked: Asked) -> None:
    """Answer `DELETE api/bin[?id=ID]`: deletes one thing for good, or all that the one who asks may delete."""
    bin_, key = _bin(asked), asked.parameter("id", _ALL)
    if not key:  # of a script whose variable is empty
        raise Refused(400, "id: it is empty; only without it, all is deleted for good")
    if key == _ALL:
        answer_json(asked.request, await _empty(bin_))
        return
    binned = await bin_.find(key)
    if binned is None or not await bin_.purge(binned):
        raise NotFound(f"{key[:60]} is not in the bin any more")
    asked.request.what = show_path(binned.path)
    answer_json(asked.request, {"purged": 1, "more": False})


async def _empty(bin_: IBin) -> dict[str, Any]:
    purged, after = 0, ""
    while purged < _MOST_PURGED:
        page = await bin_.page(after, _AT_ONCE)
        chosen = [each for each in page if not isinstance(bin_, LimitedBin) or bin_.may_purge(each)]
        purged += sum(await gather([_purge_one(bin_, each) for each in chosen]))
        if len(page) < _AT_ONCE:
            return {"purged": purged, "more": False}
        after = page[-1].key
    return {"purged": purged, "more": True}


async def _purge_one(bin_: IBin, binned: Binned) -> bool:
    try:
        return await bin_.purge(binned)
    except NotFound:  # somebody else was faster
        return False
