"""Resumable Uploads for HTTP, the draft of the IETF (draft-ietf-httpbis-resumable-upload), interop versions 6 and 9.

An upload begins on the URL of its file, with a PUT or a POST.
"""

from __future__ import annotations

from typing import Any

import attrs
import msgspec

from splitd.errors import BadName, UploadUnknown
from splitd.frontends.http.answers import Refused, answer, describe
from splitd.frontends.http.digests import DigestingConsumer
from splitd.frontends.http.media import parse_media
from splitd.frontends.http.targets import Target, href
from splitd.frontends.resumable.door import PREFIX, Asked
from splitd.frontends.resumable.exclusive import Holder
from splitd.frontends.resumable.notes import Note
from splitd.frontends.resumable.pieces import TooMuch
from splitd.frontends.resumable.uploads import Checks, Current
from splitd.model.digests import Digests, parse_digests
from splitd.model.manifest import Manifest
from splitd.model.paths import check_path
from storaged.http import IRequest, origin_form

HEADER = "Upload-Draft-Interop-Version"
VERSIONS = ("6", "9")
"""6 is that of draft-ietf-httpbis-resumable-upload-05, 9 that of -12 and later."""

_BODY = "application/partial-upload"
_TYPES = "https://iana.org/assignments/http-problem-types#"


class Problem(Refused):
    """A refusal with a type of problem (RFC 9457).

    :param kind: the type; "" for none in particular.
    :param members: more of what it says.
    """

    def __init__(self, status: int, title: str, kind: str, members: dict[str, Any], **headers: str) -> None:
        super().__init__(status, title, "", **headers)
        self.kind = kind
        self.members = members


def refuse(request: IRequest, refused: Refused) -> None:
    """Answer with a refusal, in a form for programs."""
    for name, value in refused.headers.items():
        request.setHeader(name, value)
    kind, members = (refused.kind, refused.members) if isinstance(refused, Problem) else ("", {})
    document = {"type": _TYPES + kind if kind else "about:blank", "title": str(refused), "status": refused.status}
    body = msgspec.json.encode({**document, **members})
    answer(request, refused.status, body, "application/problem+json")


async def respond(asked: Asked) -> None:
    """Answer a request."""
    request = asked.request
    version = asked.header(HEADER)
    if version not in VERSIONS:
        raise Refused(400, f"{HEADER}: {version[:10]!r} is none of {', '.join(VERSIONS)}")
    request.setHeader(HEADER, version)
    if request.method == b"OPTIONS":
        request.setHeader("Accept-Patch", _BODY)
        request.setHeader("Upload-Limit", _limits(asked, None))
        answer(request, 204)
        return
    if is_upload(asked):
        await _use(asked)
    elif request.method in {b"PUT", b"POST"}:
        await _create(asked)
    else:
        raise Refused(405, "an upload begins with PUT or POST", Allow="OPTIONS, PUT, POST")


def is_upload(asked: Asked) -> bool:
    """Return whether the URL is that of an upload."""
    return origin_form(asked.request.uri).startswith((asked.settings.base + PREFIX + "/").encode())


def _limits(asked: Asked, left_s: int | None) -> str:
    limits = f"max-size={asked.settings.most()}"
    age = "expires" if asked.header(HEADER) == "6" else "max-age"
    return limits if left_s is None else f"{limits}, {age}={left_s}"


def _complete(asked: Asked) -> bool:
    """Return whether the body is the end of the file.

    :raise Refused: the request does not say it.
    """
    value = asked.header("Upload-Complete")
    if value not in {"?0", "?1"}:
        raise Refused(400, "Upload-Complete: should be ?0 or ?1")
    return value == "?1"


def _length(asked: Asked, offset: int, *, complete: bool) -> int | None:
    """Return the length of the file, as far as the request says it.

    :raise Problem: what it says contradicts itself.
    """
    length, body = asked.number("Upload-Length"), asked.request.body.length
    if complete and body is not None:
        if length is not None and length != offset + body:
            raise _inconsistent()
        return offset + body
    if length is not None and length < offset + (body or 0):
        raise _inconsistent()
    return length


def _inconsistent() -> Problem:
    return Problem(400, "inconsistent length values for upload", "inconsistent-upload-length", {})


async def _create(asked: Asked) -> None:
    request = asked.request
    complete = _complete(asked)
    target = asked.target(origin_form(request.uri)[len(asked.settings.base) :])
    if target.slash:
        raise BadName(f"{target.path}/: the name of a file does not end in a slash")
    check_path(target.shown)
    length = _length(asked, 0, complete=complete)
    digest = asked.kept_values("Repr-Digest")
    _parse(digest, "Repr-Digest")
    note = Note(length, "", "", False, asked.conditions(), digest)
    current = await asked.uploads.begin(target.path, parse_media(request), note, asked.condition(target, note))
    url, limits = asked.url(current.upload, target.path), _limits(asked, asked.left_s(current))
    for name, value in (("Location", url), ("Upload-Limit", limits)):
        request.setHeader(name, value)
    version = asked.header(HEADER)
    request.inform(104, "Upload Resumption Supported", {HEADER: version, "Location": url, "Upload-Limit": limits})
    holder = await asked.uploads.enter(target.path, current.upload)
    try:
        await _append(asked, target, current, holder, complete=complete, is_first=True)
    finally:
        asked.uploads.leave(current.upload, holder)


async def _use(asked: Asked) -> None:
    request = asked.request
    upload, target = asked.named()
    # A request that is in progress is ended first: what it has stored counts.
    holder = await asked.uploads.enter(target.path, upload)
    try:
        current = await asked.uploads.find(target.path, upload)
        if request.method == b"HEAD":
            _tell(asked, current)
        elif request.method == b"PATCH":
            await _continue(asked, target, current, holder)
        elif request.method == b"DELETE":
            if current.is_complete:
                raise UploadUnknown(f"upload {upload} is complete, and is not under way any more")
            await asked.uploads.abort(current, "the client has ended it")
            answer(request, 204)
        else:
            raise Refused(405, "an upload takes HEAD, PATCH and DELETE", Allow="HEAD, PATCH, DELETE, OPTIONS")
    finally:
        asked.uploads.leave(upload, holder)


def _tell(asked: Asked, current: Current) -> None:
    request = asked.request
    request.setHeader("Upload-Offset", str(current.size))
    request.setHeader("Upload-Complete", _boolean(current.is_complete))
    if current.length is not None:
        request.setHeader("Upload-Length", str(current.length))
    request.setHeader("Upload-Limit", _limits(asked, asked.left_s(current)))
    request.setHeader("Cache-Control", "no-store")
    answer(request, 204)


def _boolean(value: bool) -> str:
    return "?1" if value else "?0"


async def _continue(asked: Asked, target: Target, current: Current, holder: Holder) -> None:
    request = asked.request
    request.setHeader("Upload-Complete", _boolean(current.is_complete))
    if asked.header("Content-Type").partition(";")[0].strip().lower() != _BODY:
        raise Refused(415, f"Content-Type: should be {_BODY}", Accept_Patch=_BODY)
    complete, offset = _complete(asked), asked.number("Upload-Offset")
    if offset is None:
        raise Refused(400, "Upload-Offset: is missing")
    if current.is_complete:
        raise Problem(400, "upload is already completed", "completed-upload", {})
    if offset != current.size:
        members = {"expected-offset": current.size, "provided-offset": offset}
        raise Problem(
            409,
            "offset from request does not match offset of resource",
            "mismatching-upload-offset",
            members,
            Upload_Offset=str(current.size),
        )
    length = _length(asked, offset, complete=complete)
    if length is not None and length != current.length:
        if current.length is not None:
            raise _inconsistent()
        asked.refuse_too_long(length)
        current = attrs.evolve(current, length=length)
    await _append(asked, target, current, holder, complete=complete, is_first=False)


async def _append(
    asked: Asked, target: Target, current: Current, holder: Holder, *, complete: bool, is_first: bool
) -> None:
    request = asked.request
    request.setHeader("Upload-Complete", "?0")

    def told(offset: int) -> None:
        request.inform(104, "Upload Resumption Supported", {"Upload-Offset": str(offset)})

    try:
        current = await asked.uploads.append(request, current, holder, _checks(request), told)
    except TooMuch as problem:
        raise _inconsistent() from problem
    request.setHeader("Upload-Offset", str(current.size))
    if not complete:
        answer(request, 201 if is_first else 204)
        return
    if current.length is not None and current.size != current.length:
        raise _inconsistent()
    # From here on, an error is that of the file: to send its bytes again would not help.
    request.setHeader("Upload-Complete", "?1")
    await _prove(asked, current)
    manifest, created = await asked.uploads.complete(current, asked.condition(target, current.note))
    _say_file(asked, target.path, manifest)
    answer(request, 201 if created else 204)


def _say_file(asked: Asked, path: str, manifest: Manifest) -> None:
    describe(asked.request, manifest)
    asked.request.setHeader("Location", href(path, asked.settings.base, is_collection=False))


def _checks(request: IRequest) -> Checks | None:
    """Return what judges the body by `Content-Digest`; None if it does not have that header."""
    expected = _parse(request.header_values("Content-Digest"), "Content-Digest")
    if not expected:
        return None

    def check(consumer: Any) -> tuple[Any, Any]:
        proof = DigestingConsumer(consumer, expected)
        return proof, proof.refuse_other

    return check


def _parse(values: list[str], name: str) -> dict[str, bytes]:
    try:
        return parse_digests(", ".join(values)) if values else {}
    except ValueError as problem:
        raise Refused(400, f"{name}: {problem}") from problem


async def _prove(asked: Asked, current: Current) -> None:
    """Compare the stored bytes with the `Repr-Digest` of the first request: they are read for that.

    :raise Refused: they are not what was announced; the upload is ended.
    """
    expected = _parse(current.note.digest, "Repr-Digest")
    if not expected:
        return
    digests = Digests(expected)
    await asked.uploads.pieces(current, digests.update)
    try:
        digests.refuse_other()
    except ValueError as problem:
        await asked.uploads.abort(current, "it does not have its digest")
        raise Refused(400, f"nothing was stored: {problem}") from problem
