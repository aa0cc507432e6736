"""Finds out who sends a request, by its `Authorization` header (RFC 9110 section 11)."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from splitd.access.grants import Principal
from splitd.access.logins import Known, Logins
from splitd.errors import BadCredentials, LoginRequired, LoginUnavailable, SplitdError, TooManyLogins
from storaged.http import IRequest

BASIC = 'Basic realm="splitd", charset="UTF-8"'
BEARER = 'Bearer realm="splitd", error="invalid_token"'


class Guard:
    """Asks for logins.

    :param logins: returns the logins of the present users.
    """

    _log = Logger()

    def __init__(self, logins: Callable[[], Logins]) -> None:
        self._logins = logins

    @property
    def generation(self) -> object:
        """What stands for the present users: another object after each change of their file."""
        return self._logins()

    def known(self, request: IRequest) -> Principal | None:
        """Return who sends a request, if that is known without proving a password; else None."""
        logins = self._logins()
        if not request.has_header(b"authorization"):
            return logins.anonymous
        header = request.only_header(b"authorization")
        if header is None:
            return None
        before = request.known
        known = logins.known(header, before if isinstance(before, Known) else None)
        if known is None:
            return None
        if known is not before:
            request.know(known)
        return known.principal

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
        if len(headers) > 1:  # a program before this one may have judged another one than we would
            raise BadCredentials("the Authorization header came more than once")
        try:
            return await self._logins().prove(headers[0], request.client)
        except (BadCredentials, TooManyLogins, LoginUnavailable) as problem:
            # The name stands in no log: people type their password there.
            self._log.warn("a login from {address} is refused: {reason}", address=request.client, reason=str(problem))
            raise


def login_headers(request: IRequest, problem: SplitdError) -> dict[str, str]:
    """Return the headers of an answer that asks for a login, or for patience; none for other errors."""
    if isinstance(problem, LoginRequired):
        sent = request.getHeader("Authorization") or ""
        return {"WWW-Authenticate": BEARER if sent[:7].lower() == "bearer " else BASIC}
    if isinstance(problem, TooManyLogins | LoginUnavailable):
        return {"Retry-After": str(problem.retry_after_s)}
    return {}
