"""What a link does: it shows a file or a collection, or takes files.  Nobody logs in for it."""

from __future__ import annotations

from collections.abc import Mapping
from secrets import token_urlsafe
from urllib.parse import parse_qs, quote

import attrs
import msgspec
from twisted.internet.interfaces import IConsumer
from twisted.logger import Logger

from splitd.access.credentials import parse_credentials
from splitd.access.grants import Principal
from splitd.errors import DocumentChanged, NotFound, Overloaded, SplitdError, TooManyLogins
from splitd.frontends.http.answers import Refused, answer
from splitd.frontends.http.bodies import read_body
from splitd.frontends.http.content import describe_content, send_content
from splitd.frontends.http.guard import login_headers
from splitd.frontends.http.media import parse_media
from splitd.frontends.http.names import read_name, show_name
from splitd.frontends.http.statuses import refusal_of
from splitd.frontends.http.targets import Target, parse_target
from splitd.frontends.shares.door import LINKS, ShareDoor
from splitd.frontends.shares.pages import (
    heading,
    listing,
    page,
    password_form,
    policy,
    refusal,
    single,
    upload_form,
)
from splitd.frontends.shares.share import KIND, Share, read_share, read_token, with_share
from splitd.frontends.shares.texts import Texts, language_of
from splitd.frontends.shares.uploading import Inbox, receive_form
from splitd.interfaces.store import IObjectStore
from splitd.model.documents import Document
from splitd.model.manifest import Manifest
from splitd.model.natural import natural_key
from splitd.model.tree import Collection, Member
from storaged.http import IRequest, origin_form, reason_of, receive_body
from storaged.system.ranges import Span, Unsatisfiable, parse_ranges

_PAGE = 1000
_TRIES = 20
_NONE = "there is no such link: it never was, has ended, or was taken back"
_MOST_RANGES = 32
_TEXTS = {
    400: "no file can have this name",
    404: _NONE,
    413: "the file is too large",
    423: "it is locked now; try again later",
    507: "there is no room for it",
}
_log = Logger()


@attrs.frozen
class _Opened:
    """A request by a link that is good.

    :param url: the URL of the link.
    :param target: what the URL names behind the link.
    :param store: the files, as the user who made the link sees them.
    :param texts: the words of the pages, in the language of the one who asks.
    """

    request: IRequest
    door: ShareDoor
    document: Document
    share: Share
    url: str
    target: Target
    store: IObjectStore
    texts: Texts

    @property
    def path(self) -> str:
        """The path of what is asked for."""
        inner, root = self.target.path, self.share.path
        return root if inner == "/" else inner if root == "/" else root + inner

    def inbox(self) -> Inbox:
        """Return the collection in which the link leaves files."""
        return Inbox(self.store, self.share.path, self.door.documents, self.door.wall)

    def title(self) -> str:
        """Return what the link is called."""
        name = self.share.path.rstrip("/").rpartition("/")[2]
        return show_name(name) if name else self.texts("untitled")


async def respond(request: IRequest, door: ShareDoor) -> None:
    """Answer a request by a link.

    An error tells nothing of where the link leads, nor of what is there.  A browser gets it as a page.

    :raise Refused: the request cannot be answered.
    """
    try:
        await _respond_or_refuse(request, door)
    except (Refused, TooManyLogins) as problem:
        if request.startedWriting or "text/html" not in (request.getHeader("Accept") or ""):
            raise
        refused = problem if isinstance(problem, Refused) else refusal_of(problem)
        headers = login_headers(request, problem) if isinstance(problem, SplitdError) else {}
        _answer_refusal(request, door, refused, {**refused.headers, **headers})


def _answer_refusal(request: IRequest, door: ShareDoor, refused: Refused, headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        request.setHeader(name, value)
    texts = _texts(request)
    token = _behind(request, door)[0].partition("/")[0]
    url = (
        "" if read_token(door.signer, token) is None or refused.status in {404, 410} else f"{door.base}{LINKS}/{token}"
    )
    body = heading(texts("refused")) + refusal(url, refused.status, texts)
    _answer_page(request, texts("refused"), body, texts, refused.status)


async def _respond_or_refuse(request: IRequest, door: ShareDoor) -> None:
    try:
        await _respond(request, door)
    except (TooManyLogins, Overloaded):
        raise
    except SplitdError as problem:
        told = refusal_of(problem)
        if told.status >= 500:
            _log.warn("a link: {status} {problem}", status=told.status, problem=str(problem))
        status = 404 if told.status in {401, 403} else told.status
        raise Refused(status, _TEXTS.get(status, "that is not possible now")) from problem


async def _respond(request: IRequest, door: ShareDoor) -> None:
    request.setHeader("Referrer-Policy", "no-referrer")  # the URL is the secret
    request.setHeader("X-Robots-Tag", "noindex")
    request.setHeader("X-Content-Type-Options", "nosniff")
    opened = await _open(request, door)
    if opened is None:
        return
    if opened.share.is_upload:
        await _upload(opened)
    elif request.method in {b"GET", b"HEAD"}:
        await _show(opened)
    else:
        raise Refused(405, "this link is to read", Allow="GET, HEAD, POST" if opened.share.password else "GET, HEAD")


async def _open(request: IRequest, door: ShareDoor) -> _Opened | None:
    """Find the link; None if the password was asked for, or was told, and the answer says so.

    :raise Refused: there is no such link, or it has ended with the rights of its maker.
    """
    behind, query = _behind(request, door)
    token, _, inner = behind.partition("/")
    share_id = read_token(door.signer, token)
    document = None if share_id is None else await door.documents.find(KIND, share_id)
    if document is None:
        raise Refused(404, _NONE)
    principal: Principal | None = None
    share, url = read_share(document), f"{door.base}{LINKS}/{token}"
    if door.has_users:
        principal = await door.user_of(document.owner, share.by_issuer) if document.owner else None
        if principal is None:
            raise Refused(404, _NONE)
        request.user = f"{principal.name} by the link {document.key}"
    target = parse_target(b"/" + inner.encode() + (b"?" + query if query else b""))
    opened = _Opened(request, door, document, share, url, target, door.files_of(principal), _texts(request))
    return opened if not share.password or await _is_unlocked(opened) else None


def _behind(request: IRequest, door: ShareDoor) -> tuple[str, bytes]:
    """Return what the URL has behind the prefix of links, and its query."""
    raw, _, query = origin_form(request.uri)[len(door.base + LINKS) + 1 :].partition(b"?")
    return raw.decode("ascii", "replace"), query


def _texts(request: IRequest) -> Texts:
    return Texts(language_of(request.getHeader("Accept-Language") or ""))


async def _is_unlocked(opened: _Opened) -> bool:
    """Return whether the request proves the password of the link; if not, it is answered."""
    request, door, share = opened.request, opened.door, opened.share
    name = f"splitd_link_{opened.document.key}"
    proof = f"{opened.document.key} {share.password}"
    if any(door.signer.proves(proof, each) for each in _cookies(request, name)):
        return True
    kind = (request.getHeader("Content-Type") or "").partition(";")[0].strip().lower()
    header = request.getHeader("Authorization")
    credentials = None if header is None else parse_credentials(header)
    password = b"" if credentials is None else credentials.secret
    is_form = request.method == b"POST" and kind == "application/x-www-form-urlencoded"
    if is_form:
        fields = parse_qs(await read_body(request), keep_blank_values=True)
        password = fields.get(b"password", [b""])[0]
    if password:
        address = request.client
        wait_s = door.attempts.begin(address, opened.document.key)
        if wait_s:
            raise TooManyLogins("too many passwords were wrong", wait_s)
        try:
            is_proven = await door.proves(password, share.password)
        except BaseException:
            door.attempts.called_off(address, opened.document.key)
            raise
        if is_proven:
            door.attempts.succeeded(address, opened.document.key)
            if not is_form:
                return True
            secure = "; Secure" if request.origin.is_secure else ""
            cookie = f"{name}={door.signer.sign(proof)}; Path={opened.url}; HttpOnly; SameSite=Lax{secure}"
            request.setHeader("Set-Cookie", cookie)
            request.setHeader("Location", opened.url)
            answer(request, 303)
            return False
    if header:
        request.setHeader("WWW-Authenticate", 'Basic realm="splitd link", charset="UTF-8"')
    texts = opened.texts
    title, form = texts("password-title"), password_form(opened.url, texts, wrong=bool(password))
    _answer_page(request, title, heading(title) + form, texts, 401 if header else 403 if password else 200)
    return False


def _cookies(request: IRequest, name: str) -> list[str]:
    pairs = [each.strip().partition("=") for header in request.header_values("Cookie") for each in header.split(";")]
    return [value for key, _, value in pairs if key == name]


def _answer_page(request: IRequest, title: str, body: str, texts: Texts, status: int = 200) -> None:
    nonce = token_urlsafe(16)
    request.setHeader("Content-Security-Policy", policy(nonce))
    request.setHeader("Cache-Control", "no-store")
    answer(request, status, page(title, body, nonce, texts), "text/html; charset=utf-8")


async def _show(opened: _Opened) -> None:
    """Show a collection or a file.

    :raise NotFound: there is none, or the maker of the link may not read it any more.
    """
    entry = await opened.store.stat(opened.share.path)
    if isinstance(entry, Manifest):
        await _show_file(opened, entry)
        return
    found = entry if opened.target.path == "/" else await opened.store.stat(opened.path)
    if isinstance(found, Manifest) and not opened.target.slash:
        await _send(opened, opened.path)
    elif not isinstance(found, Collection):
        raise NotFound("nothing of this name is there")
    elif opened.target.has_parameter("zip"):
        if opened.request.method == b"GET":
            await _count(opened)
        title = show_name(opened.path.rstrip("/").rpartition("/")[2] or "files")
        await opened.door.archives.send(opened.request, opened.store, opened.path, title, [])
    else:
        await _list(opened)


async def _show_file(opened: _Opened, manifest: Manifest) -> None:
    if opened.target.path == "/":
        title, texts = opened.title(), opened.texts
        body = heading(title) + single(opened.url, title, manifest.size, texts)
        _answer_page(opened.request, title, body, texts)
    elif read_name(opened.target.shown[1:]) == opened.share.path.rpartition("/")[2]:
        await _send(opened, opened.share.path)
    else:
        raise NotFound("nothing of this name is there")


async def _list(opened: _Opened) -> None:
    after = read_name(opened.target.parameter("after", ""))
    members = await opened.store.list_members(opened.path, after, _PAGE + 1)
    if not after and len(members) <= _PAGE:  # else the pages have the order of the catalog
        members.sort(key=_order)
    shown = [
        (show_name(each.name).removesuffix("/"), each.entry.size if isinstance(each.entry, Manifest) else None)
        for each in members[:_PAGE]
    ]
    following = show_name(members[_PAGE - 1].name) if len(members) > _PAGE else None
    names = [opened.title(), *(opened.target.shown.split("/")[1:] if opened.target.path != "/" else ())]
    urls = [opened.url + quote("".join(f"/{name}" for name in names[1:end])) for end in range(1, len(names) + 1)]
    head = heading(names[-1], [(name, f"{url}/") for name, url in zip(names[:-1], urls[:-1], strict=True)])
    body = head + listing(urls[-1], shown, opened.texts, following=following, can_zip=True)
    _answer_page(opened.request, names[-1], body, opened.texts)


def _order(member: Member) -> tuple[bool, object]:
    return isinstance(member.entry, Manifest), natural_key(member.name)


async def _send(opened: _Opened, path: str) -> None:
    """Send a file.  If downloads are counted, each request is one, and none is for a part of the file."""
    request, is_counted = opened.request, opened.share.most is not None
    spans: list[list[Span]] = []

    def span_of(manifest: Manifest) -> Span:
        asked = None if is_counted else request.getHeader("Range")
        only_of = request.getHeader("If-Range")
        if only_of is not None and only_of != manifest.etag:
            asked = None
        try:
            spans.append([] if asked is None else parse_ranges(asked, manifest.size, _MOST_RANGES) or [])
        except Unsatisfiable:
            raise Refused(416, "no byte of this range exists") from None
        return spans[-1][0] if spans[-1] else Span(0, manifest.size)

    if request.method == b"HEAD":
        found = await opened.store.stat(path)
        if not isinstance(found, Manifest):
            raise NotFound("nothing of this name is there")
        describe_content(request, found, [])
        request.finish()
        return
    file = await opened.store.open(path, span_of)
    try:
        await _count(opened)
        await send_content(request, file, spans[-1])
    finally:
        file.download.close()


async def _count(opened: _Opened) -> None:
    """Count a download, if the link limits them.

    :raise Refused: there were as many as it allows.
    """
    document, share, documents = opened.document, opened.share, opened.door.documents
    for _ in range(_TRIES):
        if share.most is None:
            return
        if share.used >= share.most:
            raise Refused(410, "this link has been used as often as it may be")
        counted = with_share(document, msgspec.structs.replace(share, used=share.used + 1))
        try:
            await documents.put(counted, document.revision)
            return
        except DocumentChanged:
            found = await documents.find(KIND, document.key)
            if found is None:
                raise Refused(404, _NONE) from None
            document, share = found, read_share(found)
    raise Refused(503, "the link is used by many now; try again", Retry_After="1")


async def _upload(opened: _Opened) -> None:
    """Take files, and show nothing of what is there."""
    request, target = opened.request, opened.target
    if request.method == b"PUT" and target.path != "/" and "/" not in target.path[1:] and not target.slash:
        await _put(opened, read_name(target.shown[1:]))
        return
    if target.path != "/":
        raise Refused(404, _NONE)
    stored: int | None = None
    if request.method == b"POST":
        stored = await receive_form(request, opened.inbox())
    if request.method in {b"GET", b"HEAD", b"POST"}:
        title, texts = opened.texts("send-title"), opened.texts
        _answer_page(request, title, heading(title) + upload_form(opened.url, stored, texts), texts)
    else:
        raise Refused(405, "this link takes files by PUT, or by its form", Allow="GET, HEAD, POST, PUT")


async def _put(opened: _Opened, name: str) -> None:
    request = opened.request
    media = parse_media(request)
    left = await opened.inbox().begin(name, request.body.length, media)
    try:
        await receive_body(request, IConsumer(left.upload), left.upload.when_broken())
    except BaseException as problem:
        await left.abort(reason_of(problem))
        raise
    await left.finish()
    answer(request, 201)
