"""Logging in at an issuer of OpenID Connect: sends a browser there, and takes what it brings back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

from twisted.logger import Logger

from splitd.access.oidc.flow import LASTS_S, safe_next
from splitd.access.oidc.sign_in import Proven, SignIn
from splitd.access.oidc.tokens import LEEWAY_S
from splitd.errors import BadCredentials, DocumentChanged, LoginUnavailable
from splitd.frontends.console.door import Asked, ConsoleDoor
from splitd.frontends.console.page import ConsolePage
from splitd.frontends.http.answers import Refused, answer
from splitd.frontends.http.cookies import format_cookie, read_cookies
from splitd.frontends.http.guard import COOKIE
from storaged.http import IRequest, origin_form

_COOKIE = "splitd_login_"
_SLOTS = "01234567"
"""The logins that a browser can have begun at the same time, each with a cookie of its own.  A page of another site can
make it begin many, and then only the last ones count.
"""

_MOST_PARAMETERS = 20
_log = Logger()


async def respond(asked: Asked, page: ConsolePage) -> None:
    """Answer a request below `/.splitd/oidc/`.

    :raise Refused: it is none of these, or people do not log in at an issuer here.
    """
    request, sign_in = asked.request, asked.door.sign_in()
    if sign_in is None or asked.door.guard is None or asked.rest not in {"login", "back"}:
        raise Refused(404, "nobody logs in at an issuer here")
    if request.method != b"GET":
        raise Refused(405, "only GET can be asked of this", Allow="GET")
    request.setHeader("Cache-Control", "no-store")
    request.setHeader("Referrer-Policy", "no-referrer")  # the URL has a code in it
    if asked.rest == "login":
        await _begin(asked, page, sign_in)
    else:
        await _complete(asked, page, sign_in)


async def _begin(asked: Asked, page: ConsolePage, sign_in: SignIn) -> None:
    request, door = asked.request, asked.door
    origin = request.origin
    if not origin.authority:
        raise Refused(400, "the request does not name the server")
    then = asked.parameter("next")
    slot = next((each for each in _SLOTS if not _cookies(request, door, each)), _SLOTS[0])
    back = f"{origin.scheme}://{origin.authority}{_place(door)}/back"
    try:
        begun = await sign_in.begin(back, then, door.base, slot)
    except LoginUnavailable as problem:
        request.setHeader("Retry-After", str(problem.retry_after_s))
        await page.login_failed(asked, 503, str(problem), safe_next(then, door.base))
        return
    request.setHeader("Set-Cookie", _format_cookie(request, door, slot, begun.sealed, LASTS_S))
    request.setHeader("Location", begun.url)
    answer(request, 303)


async def _complete(asked: Asked, page: ConsolePage, sign_in: SignIn) -> None:
    request, door = asked.request, asked.door
    query = _read_query(request)
    state = (query.get("state") or [""])[0]
    slot = state[:1] if state[:1] in _SLOTS else ""
    cookies = _cookies(request, door, slot) if slot else []
    try:
        proven = await sign_in.complete(cookies[0] if len(cookies) == 1 else "", query)
        session = await _session(asked, sign_in, proven, state)
    except (BadCredentials, LoginUnavailable) as problem:
        status = 503 if isinstance(problem, LoginUnavailable) else 403
        _log.warn("a login at the issuer from {address} fails: {reason}", address=request.client, reason=str(problem))
        await page.login_failed(asked, status, str(problem), f"{door.base}/")
        return
    request.add_header("Set-Cookie", _format_cookie(request, door, slot, "", 0))
    request.add_header("Set-Cookie", session)
    request.setHeader("Location", proven.next)
    answer(request, 303)


async def _session(asked: Asked, sign_in: SignIn, proven: Proven, state: str) -> str:
    """Begin a session.

    :return: its cookie, as a header says it.
    :raise BadCredentials: the user may do nothing here, or the login has begun a session before.
    """
    request, door = asked.request, asked.door
    assert door.guard is not None
    assert door.guard.sessions is not None
    logins = door.guard.logins
    claims = logins.claims_of(proven.identity)
    principal = logins.of_claims(claims)
    if door.seen is not None:
        await door.seen(claims, principal)
    # Else what somebody made in one of them would bring back what the issuer said before.
    await door.guard.sessions.end_others(claims)
    if principal is None:
        raise BadCredentials(f"{claims.user} has no account here, and is in no group that has")
    request.user = claims.user
    lasts_s, hint = sign_in.entry.hours * 3600, sign_in.seal_token(proven.token)
    try:
        cookie, _ = await door.guard.sessions.begin_issued(claims, state, lasts_s, LASTS_S + LEEWAY_S, hint)
    except DocumentChanged:
        raise BadCredentials("this login is over: begin again") from None
    return format_cookie(request, COOKIE, cookie, lasts_s, base=door.base)


def _place(door: ConsoleDoor) -> str:
    return f"{door.root}/oidc"


def _format_cookie(request: IRequest, door: ConsoleDoor, slot: str, value: str, age_s: float) -> str:
    return format_cookie(
        request, _COOKIE + slot, value, age_s, base=door.base, below=_place(door).removeprefix(door.base)
    )


def _cookies(request: IRequest, door: ConsoleDoor, slot: str) -> list[str]:
    return read_cookies(request, _COOKIE + slot, base=door.base)


def _read_query(request: IRequest) -> Mapping[str, Sequence[str]]:
    query = origin_form(request.uri).partition(b"?")[2].decode("ascii", "replace")
    try:
        return parse_qs(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError as problem:
        raise Refused(400, f"the query cannot be read: {problem}") from problem
