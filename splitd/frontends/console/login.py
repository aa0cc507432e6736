"""Logging in with a form, and out again."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
from twisted.internet.task import deferLater

from splitd.access.sessions import LASTS_S, Session, Sessions
from splitd.errors import BadCredentials, Forbidden, LoginRequired
from splitd.frontends.console.door import Asked, ConsoleDoor, answer_json
from splitd.frontends.http.answers import Refused
from splitd.frontends.http.cookies import format_cookie
from splitd.frontends.http.guard import COOKIE, Guard
from storaged.http import IRequest

_MOST_NAME = 64


class _Form(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    password: str


def whoami(asked: Asked, session: Session | None) -> dict[str, Any]:
    """Return what the page may know of the one who asks."""
    principal, sign_in, guard = asked.principal, asked.door.sign_in(), asked.door.guard
    known = {
        "users": principal is not None,
        "name": "" if principal is None else principal.name,
        "operator": principal is None or principal.is_operator,
        "session": session is not None,
        "csrf": "" if session is None else session.csrf,
        "bin": 0 if principal is not None and principal.is_anonymous else asked.door.keep_days,
    }
    if sign_in is not None and guard is not None:
        known["sign_in"] = {"name": sign_in.name, "passwords": guard.logins.have_passwords}
    return known


async def me(asked: Asked) -> None:
    """Answer `GET api/me`."""
    answer_json(asked.request, whoami(asked, await asked.door.session(asked.request)))


async def login(asked: Asked) -> None:
    """Answer `POST api/login`: proves a name and a password, and begins a session.

    :raise BadCredentials: they are wrong.
    :raise Forbidden: it is no password, but a token that its user has made.
    """
    door, request = asked.door, asked.request
    guard, sessions = _with_users(door)
    form = await asked.document(_Form)
    if ":" in form.name or not 1 <= len(form.name) <= _MOST_NAME:
        raise BadCredentials("the name or the password is wrong")
    header = "Basic " + base64.b64encode(f"{form.name}:{form.password}".encode("utf-8", "replace")).decode()
    principal = await guard.prove(header, request)
    if principal.own:  # the session would do all that the user may, and outlive the token
        raise Forbidden("a token that you have made begins no session: log in with your password")
    request.user = principal.name
    cookie, session = await sessions.begin(principal.name, guard.stamp(principal.name, form.password))
    set_session(request, door, cookie, LASTS_S)
    answer_json(request, whoami(Asked(request, door, principal, "", asked.parameters), session))


async def logout(asked: Asked) -> None:
    """Answer `POST api/logout`: ends the session of the one who asks."""
    request, door = asked.request, asked.door
    session = await door.session(request)
    guard, sessions = _with_users(door)
    await sessions.end(guard.cookie(request))
    set_session(request, door, "", 0)
    answer_json(request, {"ended": 1, **await _logout_at_issuer(asked, session)})


async def logout_everywhere(asked: Asked) -> None:
    """Answer `POST api/logout-everywhere`: ends all sessions of the one who asks.

    :raise LoginRequired: nobody has logged in.
    :raise Forbidden: a key or a token asks, which may do less than a session.
    """
    request, door, principal = asked.request, asked.door, asked.principal
    if principal is None or principal.is_anonymous:
        raise LoginRequired("log in to do this")
    if principal.own:
        raise Forbidden("a token that you have made ends no sessions: log in")
    session = await door.session(request)
    sessions = _with_users(door)[1]
    ended = await sessions.end_all(principal.name)
    if sessions.spreads_in_s:
        await deferLater(door.clock, sessions.spreads_in_s)  # now they have ended at every front
    set_session(request, door, "", 0)
    answer_json(request, {"ended": ended, **await _logout_at_issuer(asked, session)})


async def _logout_at_issuer(asked: Asked, session: Session | None) -> dict[str, str]:
    """Return, as `next`, where the page sends the browser to end the session at the issuer, too; nothing if there is
    none.
    """
    sign_in = asked.door.sign_in()
    if session is None or session.claims is None or sign_in is None:
        return {}
    origin = asked.request.origin
    url = await sign_in.logout_url(session.hint, f"{origin.scheme}://{origin.authority}{asked.door.base}/")
    return {"next": url} if url else {}


def _with_users(door: ConsoleDoor) -> tuple[Guard, Sessions]:
    if door.guard is None or door.guard.sessions is None:
        raise Refused(404, "there are no users here: nobody needs to log in")
    return door.guard, door.guard.sessions


def set_session(request: IRequest, door: ConsoleDoor, value: str, age_s: float) -> None:
    """Let the browser keep the cookie of a session, or forget it."""
    request.setHeader("Set-Cookie", format_cookie(request, COOKIE, value, age_s, base=door.base))
