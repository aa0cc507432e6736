"""GET and HEAD: sends a file, ranges of it, or a list of a collection's members (RFC 9110 sections 9.3.1, 13, 14)."""

from __future__ import annotations

from splitd.errors import NotAFile, NotFound, PreconditionFailed
from splitd.frontends.http.answers import Refused, describe
from splitd.frontends.http.conditions import CONDITIONS, parse_condition
from splitd.frontends.http.content import describe_content, send_content
from splitd.frontends.http.media import describe_caching
from splitd.frontends.http.targets import Target
from splitd.frontends.webdav.door import Door
from splitd.frontends.webdav.listing import list_collection
from splitd.model.conditions import Condition
from splitd.model.manifest import Manifest
from splitd.model.tree import Collection
from storaged.http import IRequest
from storaged.system.ranges import Span, Unsatisfiable, format_unsatisfied_range, parse_ranges

_MOST_RANGES = 32
"""A request for more ranges gets the whole file (RFC 9110 section 14.2)."""

DECIDING = CONDITIONS | {b"if-range", b"range"}
"""The headers that decide what the answer to a GET is, in lower case.  Without them it is the whole file."""


async def get(request: IRequest, door: Door, target: Target) -> None:
    """Send a file, or list the members of a collection."""
    condition = parse_condition(request, target)
    if condition.if_header is not None:
        # The other conditions are judged against the version that is sent, because some of them mean 304.
        await door.locks.check(target.path, Condition(if_header=condition.if_header), changing=False)
    if target.has_parameter("zip"):
        await _archive(request, door, target)
        return
    if request.method == b"HEAD" or target.slash:
        entry = await door.store.stat(target.path)
        if isinstance(entry, Collection) and target.path.endswith("/") and not target.slash:
            entry = entry.own or entry  # what `open` gives
        if isinstance(entry, Manifest) and not target.slash:
            _check(request, condition, entry)
            describe_content(request, entry, [])
            request.finish()
        else:
            await _list(request, door, target, entry)
        return
    asked: list[list[Span]] = []

    def span_of(manifest: Manifest) -> Span:
        _check(request, condition, manifest)
        asked.append(_ranges(request, manifest))
        return asked[-1][0] if asked[-1] else Span(0, manifest.size)

    try:
        opened = await door.store.open(target.path, span_of)
    except NotAFile:
        await _list(request, door, target, await door.store.stat(target.path))
        return
    try:
        await send_content(request, opened, asked[-1])
    finally:
        opened.download.close()


async def _archive(request: IRequest, door: Door, target: Target) -> None:
    """Send a collection, or the members of it that the query names, as a ZIP archive.

    :raise NotFound: there is no such collection, or no such member.
    """
    if not isinstance(await door.store.stat(target.path), Collection):
        raise NotFound(f"{target.path} is no collection")
    shown = target.shown.rpartition("/")[2] or "files"
    await door.archives.send(request, door.store, target.path, shown, target.parameters("name"))


async def _list(request: IRequest, door: Door, target: Target, entry: Manifest | Collection | None) -> None:
    """List the members of a collection.

    :raise NotFound: nothing has this name, or it is a file and the URL ends in a slash.
    """
    if isinstance(entry, Collection):
        await list_collection(request, door, target, entry)
    elif entry is None:
        raise NotFound(f"{target.path} does not exist")
    else:
        raise NotFound(f"{target.path}/ does not exist: {target.path} is a file")


def _check(request: IRequest, condition: Condition, manifest: Manifest) -> None:
    """Judge the request's conditions against this version, in the order of RFC 9110 section 13.2.2."""
    failed = condition.failed(manifest.etag, manifest.created_ms)
    if failed == "If-None-Match" or not (failed or condition.is_modified(manifest.created_ms)):
        describe(request, manifest)
        describe_caching(request, manifest)
        raise Refused(304, "not modified")
    if failed:
        raise PreconditionFailed(f"{failed} does not hold: the present version is {manifest.etag}")


def _ranges(request: IRequest, manifest: Manifest) -> list[Span]:
    """Return the ranges of a version that the client wants; none for all of it."""
    asked = request.getHeader("Range")
    only_of = request.getHeader("If-Range")
    # A time never matches: two versions may be of the same second, and their bytes must never be mixed.
    if asked is None or (only_of is not None and only_of != manifest.etag):
        return []
    try:
        return parse_ranges(asked, manifest.size, _MOST_RANGES) or []
    except Unsatisfiable:
        size = manifest.size
        raise Refused(
            416, f"no byte of {asked!r} exists: the file has {size}", Content_Range=format_unsatisfied_range(size)
        ) from None
