"""Finds out who sends a request: by its `Authorization` header (RFC 9110 section 11), or by the cookie of a session."""

from __future__ import annotations

from collections.abc import Callable
from hmac import compare_digest

from twisted.logger import Logger

from splitd.access.grants import Principal
from splitd.access.logins import Known, Logins
from splitd.access.sessions import Session, Sessions
from splitd.errors import BadCredentials, Forbidden, LoginRequired, LoginUnavailable, SplitdError, TooManyLogins
from splitd.frontends.http.cookies import read_cookies
from storaged.http import IRequest

BASIC = 'Basic realm="splitd", charset="UTF-8"'
BEARER = 'Bearer realm="splitd", error="invalid_token"'

COOKIE = "splitd_session"
"""The cookie of a session; see `splitd.frontends.http.cookies`."""

CSRF = b"x-splitd-csrf"
"""The header by which a page of ours shows that a change is its own."""

_SAFE = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PROPFIND"})
"""Methods that change nothing: a page of another site may make a browser send them, and cannot read the answer."""


class Guard:
    """Asks for logins.

    :param logins: returns the logins of the present users.
    :param base: what all URLs begin with.
    :ivar sessions: the sessions of those who logged in with a form; None if nobody can.
    """

    _log = Logger()

    def __init__(self, logins: Callable[[], Logins], sessions: Sessions | None = None, base: str = "") -> None:
        self._logins = logins
        self._base = base
        self.sessions = sessions

    @property
    def generation(self) -> object:
        """What stands for the present users: another object after each change of their file."""
        return self._logins()

    def known(self, request: IRequest) -> Principal | None:
        """Return who sends a request, if that is known without proving a password; else None.

        :raise Forbidden: the request changes something, and has the cookie of a session without its token.
        """
        logins = self._logins()
        header = request.only_header(b"authorization")
        if header is None:
            if request.has_header(b"authorization"):
                return None
            cookie = self.cookie(request)
            if not cookie or self.sessions is None:
                return logins.anonymous
            return self._by_session(request, logins, self.sessions.known(cookie))
        before = request.known
        known = logins.known(header, before if isinstance(before, Known) else None)
        if known is None:
            return None
        if known is not before:
            request.know(known)
        return known.principal

    def cookie(self, request: IRequest) -> str:
        """Return the value of the session's cookie in a request; empty if it has none."""
        if self.sessions is None or not request.has_header(b"cookie"):
            return ""
        return next(iter(read_cookies(request, COOKIE, base=self._base)), "")

    async def session(self, request: IRequest) -> Session | None:
        """Return the session of a request; None if it has none that is good."""
        cookie = self.cookie(request)
        return await self.sessions.find(cookie) if cookie and self.sessions is not None else None

    def _by_session(self, request: IRequest, logins: Logins, session: Session | None) -> Principal | None:
        principal = None if session is None else logins.of_session(session)
        if session is None or principal is None:
            return None
        if request.method not in _SAFE:
            sent = request.only_header(CSRF) or b""
            if not compare_digest(sent, session.csrf.encode()):
                raise Forbidden("the request lacks the token of its session: it may come from a page of another site")
        return principal

    async def find(self, request: IRequest) -> Principal:
        """Find out who sends a request.  Its body is not read meanwhile.

        :raise BadCredentials: the credentials are not good.
        :raise TooManyLogins: too many logins have failed, or are in progress.
        :raise LoginUnavailable: the issuer of a token cannot be asked for its keys now.
        """
        known = self.known(request)
        if known is not None:
            return known
        headers = request.header_values("Authorization")
        if not headers:
            session, logins = await self.session(request), self._logins()
            return self._by_session(request, logins, session) or logins.anonymous
        if len(headers) > 1:  # a program before this one may have judged another one than we would
            raise BadCredentials("the Authorization header came more than once")
        return await self.prove(headers[0], request)

    @property
    def logins(self) -> Logins:
        """The logins of the present users."""
        return self._logins()

    def stamp(self, user: str, secret: str) -> str:
        """Return what stands for what a user has logged in with; see `Logins.stamp`."""
        return self._logins().stamp(user, secret)

    async def prove(self, header: str, request: IRequest) -> Principal:
        """Find out whose credentials a value of `Authorization` has; see `find` for the errors.

        :param request: where it comes from.
        """
        try:
            return await self._logins().prove(header, request.client)
        except (BadCredentials, TooManyLogins, LoginUnavailable) as problem:
            # The name stands in no log: people type their password there.
            self._log.warn("a login from {address} is refused: {reason}", address=request.client, reason=str(problem))
            raise


def login_headers(request: IRequest, problem: SplitdError) -> dict[str, str]:
    """Return the headers of an answer that asks for a login, or for patience; none for other errors."""
    if isinstance(problem, LoginRequired):
        # A page with a form of its own asks; a browser would ask with a dialog of its own for Basic.
        has_form = request.has_header(CSRF) or COOKIE in (request.getHeader("Cookie") or "")
        sent = request.getHeader("Authorization") or ""
        return {"WWW-Authenticate": BEARER if has_form or sent[:7].lower() == "bearer " else BASIC}
    if isinstance(problem, TooManyLogins | LoginUnavailable):
        return {"Retry-After": str(problem.retry_after_s)}
    return {}
