"""The page: what a browser gets for a collection, for a view of the console, and when it must log in first."""

from __future__ import annotations

import secrets
from typing import Any

from splitd.access.grants import Principal
from splitd.errors import SplitdError
from splitd.frontends.console.assets import ENTRY, Assets
from splitd.frontends.console.door import Asked, ConsoleDoor
from splitd.frontends.console.listing import FIRST, page_of, rights_at
from splitd.frontends.console.login import whoami
from splitd.frontends.console.shell import format_policy, format_shell
from splitd.frontends.http.answers import answer
from splitd.frontends.http.targets import Target
from storaged.http import IRequest, Parameters


class ConsolePage:
    """Answers requests of browsers with the page.

    :param assets: the files of the page.
    """

    def __init__(self, door: ConsoleDoor, assets: Assets) -> None:
        self._door = door
        self._assets = f"{door.root}/assets/{assets.version}"

    @staticmethod
    def is_wanted(request: IRequest) -> bool:
        """Return whether a request comes from somebody who wants to see a page, and not a plain one."""
        return (
            request.method in {b"GET", b"HEAD"}
            and "text/html" in (request.getHeader("Accept") or "")
            and b"plain" not in request.uri.partition(b"?")[2].split(b"&")
        )

    async def collection(self, request: IRequest, target: Target) -> None:
        """Answer with the page about a collection."""
        principal = await self._door.principal(request)
        asked = Asked(request, self._door, principal, "", Parameters(b""))
        store, _ = asked.files()
        listed = await page_of(store, target.path, "", FIRST)
        await self._answer(asked, 200, path=target.shown, list={**listed, "rights": rights_at(asked, target.path)})

    async def view(self, asked: Asked) -> None:
        """Answer with the page about something else, which the page finds out by its address."""
        await self._answer(asked, 200)

    async def ask_for_login(self, request: IRequest, problem: SplitdError) -> None:
        """Answer with the page that asks who is there."""
        # A scheme that browsers do not know: they would ask with a dialog of their own.
        request.setHeader("WWW-Authenticate", 'Form realm="splitd"')
        anonymous: Principal | None = None
        await self._answer(
            Asked(request, self._door, anonymous, "", Parameters(b"")), 401, login=True, message=str(problem)
        )

    async def login_failed(self, asked: Asked, status: int, message: str, then: str) -> None:
        """Answer with the page that asks who is there, and says why a login at the issuer has failed.

        :param message: why.
        :param then: the URL that the browser goes on to after the next login.
        """
        await self._answer(asked, status, login=True, message=message, failed=True, next=then)

    async def _answer(self, asked: Asked, status: int, **more: Any) -> None:
        request, door = asked.request, self._door
        nonce = secrets.token_urlsafe(16)
        start = {"base": door.base, "assets": self._assets, "me": whoami(asked, await door.session(request)), **more}
        request.setHeader("Content-Security-Policy", format_policy(nonce))
        request.setHeader("Cache-Control", "no-store")
        request.setHeader("Vary", "Accept, Cookie, Authorization")
        request.setHeader("X-Content-Type-Options", "nosniff")
        request.setHeader("Cross-Origin-Opener-Policy", "same-origin")
        html = format_shell(start, self._assets, ENTRY, nonce)
        answer(request, status, html, "text/html; charset=utf-8")
