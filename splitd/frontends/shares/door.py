"""The collaborators of links."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs
from twisted.internet.interfaces import IReactorTime

from splitd.access.attempts import Attempts
from splitd.access.grants import Principal
from splitd.access.links import LinkSigner
from splitd.frontends.http.archives import Archives
from splitd.interfaces.documents import IDocuments
from splitd.interfaces.store import IObjectStore
from storaged.system.clocks import WallClock

API = "/.splitd/api/shares"
"""Where links are made, listed and deleted."""

LINKS = "/.splitd/s"
"""What the URLs of links begin with."""


@attrs.frozen
class ShareDoor:
    """What links need from the rest of the front.

    :param documents: keeps the links.
    :param signer: signs them.
    :param files_of: returns the files as somebody sees them; None for everybody where there are no users.
    :param user_of: returns who has a name, given whether what an issuer said of them counts; None if nobody has.
    :param keep: notes by what somebody may do what they make here; see `Identities.keep`.
    :param has_users: whether there are users.
    :param hash_password: hashes a password.
    :param proves: proves a password by its hash.
    :param attempts: slows guesses of passwords.
    :param archives: sends collections.
    :param clock: schedules calls.
    :param wall: tells what time it is.
    :param base: what all URLs begin with.
    """

    documents: IDocuments
    signer: LinkSigner
    files_of: Callable[[Principal | None], IObjectStore]
    user_of: Callable[[str, bool], Awaitable[Principal | None]]
    keep: Callable[[Principal], Awaitable[bool]]
    has_users: bool
    hash_password: Callable[[str], Awaitable[str]]
    proves: Callable[[bytes, str], Awaitable[bool]]
    attempts: Attempts
    archives: Archives
    clock: IReactorTime
    wall: WallClock
    base: str = ""
