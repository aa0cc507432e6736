"""GET and HEAD: a file, or a range of it, goes out (RFC 9110 sections 9.3.1, 13, 14)."""

from __future__ import annotations

from splitd.errors import NotAFile, NotFound, PreconditionFailed, SplitdError
from splitd.frontends.webdav.answers import Refused, describe
from splitd.frontends.webdav.conditions import parse_condition
from splitd.frontends.webdav.door import Door
from splitd.frontends.webdav.listing import list_collection
from splitd.frontends.webdav.targets import Target
from splitd.interfaces import IDownload
from splitd.model.manifest import Manifest
from splitd.model.tree import Collection
from storaged.ranges import (
    Span,
    Unsatisfiable,
    format_content_range,
    format_unsatisfied_range,
    parse_range,
)
from storaged.streaming import StreamingRequest, send_body

_DEFAULT_TYPE = "application/octet-stream"


async def get(request: StreamingRequest, door: Door, target: Target) -> None:
    """Send a file, or a page about a collection."""
    if request.method == b"HEAD" or target.slash:
        entry = await door.store.stat(target.path)
        if isinstance(entry, Manifest) and not target.slash:
            _check(request, target, entry)
            _describe(request, entry, None)
            request.finish()
        else:
            await _list(request, door, target, entry)
        return
    ranges: list[Span | None] = []

    def span_of(manifest: Manifest) -> Span:
        asked = _range(request, target, manifest)
        ranges.append(asked)
        return Span(0, manifest.size) if asked is None else asked

    try:
        opened = await door.store.open(target.path, span_of)
    except NotAFile:
        await _list(request, door, target, await door.store.stat(target.path))
        return
    try:
        await _send(request, opened.manifest, opened.download, ranges[-1])
    finally:
        opened.download.close()


async def _list(request: StreamingRequest, door: Door, target: Target, entry: Manifest | Collection | None) -> None:
    """Send a page about a collection, where that is what there is."""
    if isinstance(entry, Collection):
        await list_collection(request, door, target, entry)
    elif entry is None:
        raise NotFound(f"{target.path} does not exist")
    else:
        raise NotFound(f"{target.path}/ does not exist: {target.path} is a file")


def _check(request: StreamingRequest, target: Target, manifest: Manifest) -> None:
    """Judge the request's conditions against the version at hand."""
    failed = parse_condition(request, target).failed(manifest.etag, manifest.created_ms)
    if failed == "If-None-Match":
        describe(request, manifest)
        raise Refused(304, "not modified")
    if failed:
        raise PreconditionFailed(f"{failed} does not hold: the present version is {manifest.etag}")


def _range(request: StreamingRequest, target: Target, manifest: Manifest) -> Span | None:
    """The range the client wants of a version; None for all of it."""
    _check(request, target, manifest)
    asked = request.getHeader("Range")
    only_of = request.getHeader("If-Range")
    if asked is None or (only_of is not None and only_of != manifest.etag):
        return None
    try:
        return parse_range(asked, manifest.size)
    except Unsatisfiable:
        size = manifest.size
        raise Refused(
            416, f"no byte of {asked!r} exists: the file has {size}", Content_Range=format_unsatisfied_range(size)
        ) from None


async def _send(request: StreamingRequest, manifest: Manifest, download: IDownload, span: Span | None) -> None:
    # The status leaves with the first bytes that proved good, not before: until then a clear error can be told.
    first = await download.read()
    _describe(request, manifest, span)
    request.write_pieces(first)
    if sum(map(len, first)) < (manifest.size if span is None else len(span)):
        try:
            await send_body(request, download.read)
        except SplitdError:
            # Only a cut connection tells the client that the rest will not come.
            request.abort()
            raise
    request.finish()


def _describe(request: StreamingRequest, manifest: Manifest, span: Span | None) -> None:
    describe(request, manifest)
    request.setHeader("Content-Type", manifest.content_type or _DEFAULT_TYPE)
    # What people store is not to be run in our name by a browser that guesses.
    request.setHeader("X-Content-Type-Options", "nosniff")
    request.setHeader("Accept-Ranges", "bytes")
    request.setHeader("Content-Length", str(manifest.size if span is None else len(span)))
    if span is not None:  # all of the file, too: by that a player finds out whether it can seek
        request.setResponseCode(206)
        request.setHeader("Content-Range", format_content_range(span, manifest.size))
