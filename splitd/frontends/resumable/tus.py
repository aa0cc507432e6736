"""tus 1.0 with its extensions: https://tus.io/protocols/resumable-upload."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error
from contextlib import suppress
from secrets import token_hex

import attrs

from splitd.errors import BadName, UploadUnknown
from splitd.frontends.http.answers import Refused, answer
from splitd.frontends.http.opaque import LIMIT
from splitd.frontends.http.targets import Target, href
from splitd.frontends.http.times import format_time
from splitd.frontends.resumable.checksums import ALGORITHMS, Checksum
from splitd.frontends.resumable.door import PREFIX, Asked, quoted
from splitd.frontends.resumable.exclusive import Holder
from splitd.frontends.resumable.listing import list_uploads
from splitd.frontends.resumable.notes import Note
from splitd.frontends.resumable.pieces import TooMuch
from splitd.frontends.resumable.uploads import Checks, Current
from splitd.model.manifest import Manifest
from splitd.model.media import Media
from splitd.model.paths import check_path, join
from storaged.http import IRequest

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,creation-defer-length,expiration,checksum,termination,concatenation"
_BODY = "application/offset+octet-stream"
_METHODS = "OPTIONS, GET, POST, HEAD, PATCH, DELETE"
_MOST_METADATA = 4096
_MOST_PARTS = 1000


async def respond(asked: Asked) -> None:
    """Answer a request."""
    request, method = asked.request, method_of(asked.request)
    request.setHeader("Tus-Resumable", VERSION)
    if method == b"OPTIONS":
        _options(asked)
        return
    if method == b"GET":
        await list_uploads(asked)
        return
    if asked.header("Tus-Resumable") != VERSION:
        raise Refused(412, f"Tus-Resumable: should be {VERSION}", Tus_Version=VERSION)
    request.setHeader("Cache-Control", "no-store")
    if method == b"POST":
        await _create(asked)
    elif method in {b"HEAD", b"PATCH", b"DELETE"}:
        await _use(asked, method)
    else:
        raise Refused(405, f"{method.decode('ascii', 'replace')} is not a method of tus", Allow=_METHODS)


def method_of(request: IRequest) -> bytes:
    """Return the method that a request means: some clients cannot send all of them."""
    override = request.getHeader("X-HTTP-Method-Override")
    if override and request.method == b"POST":
        return override.strip().upper().encode("ascii", "replace")
    return request.method


def _options(asked: Asked) -> None:
    request = asked.request
    request.setHeader("Tus-Version", VERSION)
    request.setHeader("Tus-Extension", EXTENSIONS)
    request.setHeader("Tus-Max-Size", str(asked.settings.most()))
    request.setHeader("Tus-Checksum-Algorithm", ",".join(ALGORITHMS))
    request.setHeader("Allow", _METHODS)
    answer(request, 204)


async def _use(asked: Asked, method: bytes) -> None:
    upload, target = asked.named()
    # A request that is in progress is ended first: what it has stored counts.
    holder = await asked.uploads.enter(target.path, upload)
    try:
        current = await asked.uploads.find(target.path, upload)
        if method == b"HEAD":
            _tell(asked, current)
        elif method == b"PATCH":
            await _append(asked, target, current, holder)
        else:
            if current.is_complete:
                raise UploadUnknown(f"upload {upload} is complete, and is not under way any more")
            await asked.uploads.abort(current, "the client has ended it")
            answer(asked.request, 204)
    finally:
        asked.uploads.leave(upload, holder)


def _tell(asked: Asked, current: Current) -> None:
    request = asked.request
    _describe(asked, current)
    if current.length is None:
        request.setHeader("Upload-Defer-Length", "1")
    else:
        request.setHeader("Upload-Length", str(current.length))
    if current.note.metadata:
        request.setHeader("Upload-Metadata", current.note.metadata)
    if current.note.partial:
        request.setHeader("Upload-Concat", "partial")
    answer(request, 200)


def _describe(asked: Asked, current: Current) -> None:
    asked.request.setHeader("Upload-Offset", str(current.size))
    ends_ms = asked.ends_ms(current.touched_ms)
    if ends_ms is not None and not current.is_complete:
        asked.request.setHeader("Upload-Expires", format_time(ends_ms))


async def _append(asked: Asked, target: Target, current: Current, holder: Holder) -> None:
    if asked.header("Content-Type").partition(";")[0].strip().lower() != _BODY:
        raise Refused(415, f"Content-Type: should be {_BODY}")
    offset, length = asked.number("Upload-Offset"), asked.number("Upload-Length")
    if offset is None:
        raise Refused(400, "Upload-Offset: is missing")
    if offset != current.size:
        raise Refused(409, f"Upload-Offset: {current.size} bytes are stored, not {offset}")
    if length is not None and length != current.length:
        if current.length is not None or length < current.size:
            raise Refused(400, f"Upload-Length: {length} contradicts what was said before")
        asked.refuse_too_long(length)
        current = attrs.evolve(current, length=length)
    if current.is_complete:
        if asked.request.body.length:
            raise Refused(409, "the upload is complete already")
    else:
        current = await _receive(asked, current, holder)
        await _end(asked, target, current)
    _describe(asked, current)
    answer(asked.request, 204)


async def _receive(asked: Asked, current: Current, holder: Holder) -> Current:
    header = asked.header("Upload-Checksum")
    checks: Checks | None = Checksum(header).check if header else None
    try:
        return await asked.uploads.append(asked.request, current, holder, checks)
    except TooMuch as problem:
        raise Refused(413, str(problem)) from problem


async def _end(asked: Asked, target: Target, current: Current) -> None:
    """Make the file, if all its bytes are there."""
    if current.size != current.length or current.note.partial:
        return
    condition = asked.condition(target, current.note)
    manifest, _ = await asked.uploads.complete(current, condition)
    _say_file(asked, target.path, manifest)


def _say_file(asked: Asked, path: str, manifest: Manifest) -> None:
    asked.request.setHeader("ETag", manifest.etag)
    asked.request.setHeader("Content-Location", href(path, asked.settings.base, is_collection=False))


async def _create(asked: Asked) -> None:
    request, concat = asked.request, asked.header("Upload-Concat")
    metadata = read_metadata(asked.header("Upload-Metadata"))
    if concat and concat != "partial" and not concat.startswith("final;"):
        raise Refused(400, f"Upload-Concat: {concat[:40]!r} is neither partial nor final")
    partial = concat == "partial"
    target = _place(asked, metadata, partial=partial)
    media = Media(_text(metadata, "filetype", "type", "contentType"))
    note = Note(None, "", asked.header("Upload-Metadata"), partial, {} if partial else asked.conditions())
    if concat.startswith("final;"):
        await _concatenate(asked, target, media, note, concat.removeprefix("final;").split())
        return
    note = Note(_length(asked), "", note.metadata, partial, note.conditions)
    has_body = asked.header("Content-Type").partition(";")[0].strip().lower() == _BODY
    if not has_body and request.body.length:
        raise Refused(415, f"Content-Type: should be {_BODY} if the first bytes come along")
    current = await asked.uploads.begin(target.path, media, note, asked.condition(target, note))
    request.setHeader("Location", asked.whole_url(current.upload, target.path))
    if has_body:
        holder = await asked.uploads.enter(target.path, current.upload)
        try:
            current = await _receive(asked, current, holder)
        finally:
            asked.uploads.leave(current.upload, holder)
    await _end(asked, target, current)
    _describe(asked, current)
    answer(request, 201)


def _length(asked: Asked) -> int | None:
    length, deferred = asked.number("Upload-Length"), asked.header("Upload-Defer-Length")
    if (length is None) == (not deferred) or deferred not in {"", "1"}:
        raise Refused(400, "either Upload-Length or Upload-Defer-Length: 1 must come")
    asked.refuse_too_long(length or 0)
    return length


async def _concatenate(asked: Asked, target: Target, media: Media, note: Note, urls: list[str]) -> None:
    """Make a file of partial uploads.  They are ended then; if it fails, they are kept."""
    if asked.header("Upload-Length"):
        raise Refused(400, "Upload-Length: follows from the partial uploads")
    if not 0 < len(urls) <= _MOST_PARTS:
        raise Refused(400, f"Upload-Concat: 1 to {_MOST_PARTS} partial uploads can be joined, not {len(urls)}")
    if len(set(urls)) != len(urls):
        raise Refused(400, "Upload-Concat: a partial upload is named twice")
    parts = [await _part(asked, url) for url in urls]
    note = Note(sum(part.size for part in parts), "", note.metadata, False, note.conditions)
    condition = asked.condition(target, note)
    current = await asked.uploads.begin(target.path, media, note, condition)
    try:
        await asked.uploads.join(current, parts)
        manifest, _ = await asked.uploads.complete(current, condition)
    except BaseException:
        await asked.uploads.abort(current, "it could not be joined")
        raise
    for part in parts:
        with suppress(UploadUnknown):  # another request has joined it as well, or ended it
            await asked.uploads.abort(part, f"it was joined to {target.path}")
    asked.request.setHeader("Location", asked.whole_url(current.upload, target.path))
    _say_file(asked, target.path, manifest)
    answer(asked.request, 201)


async def _part(asked: Asked, url: str) -> Current:
    raw = url.partition("://")[2]
    raw = "/" + raw.partition("/")[2] if raw else url
    behind = raw.encode("ascii", "replace").partition((asked.settings.base + PREFIX).encode())[2]
    upload, path = behind[1:33].decode("ascii"), behind[33:]
    try:
        current = await asked.uploads.find(asked.target(path or b"/").path, upload)
    except UploadUnknown as problem:
        raise Refused(404, f"Upload-Concat: {problem}") from problem
    if not current.note.partial or current.is_complete:
        raise Refused(400, f"Upload-Concat: {upload} is not a partial upload")
    if current.size != current.length:
        raise Refused(409, f"Upload-Concat: {upload} has {current.size} bytes, and is not complete")
    return current


def read_metadata(header: str) -> dict[str, str]:
    """Read `Upload-Metadata`.

    :return: the values by their keys; a value that is no text has U+FFFD for bytes that are not UTF-8.
    :raise Refused: it is not well formed, or too long.
    """
    if not header.isascii():
        raise Refused(400, "Upload-Metadata: has characters that are not ASCII; values are in base64")
    if len(header) > _MOST_METADATA:
        raise Refused(400, f"Upload-Metadata: has {len(header)} bytes, {_MOST_METADATA} are allowed")
    found: dict[str, str] = {}
    for each in filter(None, map(str.strip, header.split(","))):
        key, _, encoded = each.partition(" ")
        try:
            value = b64decode(encoded.strip().encode("ascii"), validate=True)
        except (Error, ValueError) as problem:
            raise Refused(400, f"Upload-Metadata: {key[:40]}: {problem}") from problem
        found[key] = value.decode("utf-8", "replace")
    return found


def _text(metadata: dict[str, str], *keys: str) -> str:
    value = next((metadata[key] for key in keys if metadata.get(key)), "")
    if len(value.encode()) > LIMIT or not value.isprintable():
        raise Refused(400, f"Upload-Metadata: {keys[0]}: {value[:40]!r} cannot be kept")
    return value


def _place(asked: Asked, metadata: dict[str, str], *, partial: bool) -> Target:
    """Return where the file goes: into the collection that the URL names behind the prefix, or to `path`.

    :raise Refused: nothing says what the file is called.
    :raise BadName: no file can have the name.
    """
    raw = asked.behind_prefix()
    if partial:
        # It needs a name of its own, which nobody else has, in a place where the user may write.
        return _file(asked, join(_collection(asked, raw), f"partial-{token_hex(8)}"))
    path = metadata.get("path", "")
    name = metadata.get("filename") or metadata.get("name") or ""
    if path.startswith("/"):
        return _file(asked, path)
    if "/" in name and not path:
        raise BadName(f"{name[:200]!r}: the filename of Upload-Metadata is the name alone; path may have slashes")
    if not (path or name):
        raise Refused(400, "Upload-Metadata: has neither a filename nor a path")
    return _file(asked, join(_collection(asked, raw), path or name))


def _collection(asked: Asked, raw: bytes) -> str:
    return asked.target(raw or b"/").shown


def _file(asked: Asked, path: str) -> Target:
    target = asked.target(quoted(path))
    if target.slash:
        raise BadName(f"{target.path}/: the name of a file does not end in a slash")
    check_path(target.shown)
    return target
