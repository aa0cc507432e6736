"""Hashes and proves the passwords of links."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from splitd.access.secrets import hash_password, proves_password
from splitd.errors import TooManyLogins
from storaged.system.parallel import InThread

MOST_AT_ONCE = 8
"""Passwords that may be hashed or proven at the same time: each takes about a tenth of a second of a core."""


class LinkPasswords:
    """The passwords of links.

    Their slow hashes share the threads of logins.  However many are wanted, they hold up a login for a moment only.

    :param in_thread: runs a slow call.
    :param hashes: the slow hash of a password.
    :param proves: the slow proof of a password by its hash.
    """

    def __init__(
        self,
        in_thread: InThread,
        hashes: Callable[[str], str] = hash_password,
        proves: Callable[[bytes, str | None], bool] = proves_password,
    ) -> None:
        self._in_thread = in_thread
        self._hashes = hashes
        self._proves = proves
        self._under_way = 0

    async def hash(self, password: str) -> str:
        """Return the hash of a password.

        :raise ValueError: see `hash_password`.
        :raise TooManyLogins: too many are wanted at once.
        """
        return str(await self._run(partial(self._hashes, password)))

    async def proves(self, password: bytes, hashed: str) -> bool:
        """Return whether this is the password of a hash.

        :raise TooManyLogins: too many are wanted at once.
        """
        return bool(await self._run(partial(self._proves, password, hashed)))

    async def _run(self, call: Callable[[], Any]) -> Any:
        if self._under_way >= MOST_AT_ONCE:
            raise TooManyLogins("the passwords of too many links are being proven", 1)
        self._under_way += 1
        try:
            return await self._in_thread(call)
        finally:
            self._under_way -= 1
