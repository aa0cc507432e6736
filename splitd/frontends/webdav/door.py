"""The collaborators of the front door's methods."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import attrs
from twisted.internet.interfaces import IReactorTime

from splitd.errors import NotFound, SplitdError
from splitd.frontends.http.archives import Archives
from splitd.frontends.http.targets import Target
from splitd.frontends.webdav.members import ALL_SORTED
from splitd.interfaces.names import ILocks, INamespace
from splitd.interfaces.store import IObjectStore
from splitd.model.manifest import Manifest
from splitd.model.room import Room
from splitd.model.tree import Collection
from storaged.http import IRequest
from storaged.system.budget import Budget
from storaged.system.clocks import WallClock


class IPage(Protocol):
    """Answers browsers, in place of the plain list and of a refusal."""

    def is_wanted(self, request: IRequest) -> bool:
        """Return whether a request comes from somebody who wants to see a page, and not a plain one."""

    async def collection(self, request: IRequest, target: Target) -> None:
        """Answer with the page about a collection, which exists and may be read."""

    async def ask_for_login(self, request: IRequest, problem: SplitdError) -> None:
        """Answer with the page that asks who is there."""


@attrs.frozen
class Door:
    """What a method needs from the rest of the front.

    :param store: the files.
    :param namespace: moves, copies and properties.
    :param locks: the locks.
    :param quota: returns how full the store is now, for files below a path.
    :param clock: schedules calls.
    :param wall: gives the time by which locks expire.
    :param page: answers browsers that open a collection; None if they get a plain list.
    :param archives: sends collections as archives.
    :param sorting: counts the members of collections that wait in order for their readers.
    """

    store: IObjectStore
    namespace: INamespace
    locks: ILocks
    quota: Callable[[str], Awaitable[Room]]
    clock: IReactorTime
    wall: WallClock
    page: IPage | None = None
    sorting: Budget = attrs.field(factory=lambda: Budget(ALL_SORTED))
    archives: Archives = attrs.field(default=attrs.Factory(lambda door: Archives(door.clock), takes_self=True))

    def limited(self, store: IObjectStore, namespace: INamespace, locks: ILocks) -> Door:
        """Return the door to the files of one user."""
        return attrs.evolve(self, store=store, namespace=namespace, locks=locks)

    async def find(self, target: Target) -> Manifest | Collection | None:
        """Look up the file or collection that a target names; None if nothing has this name.

        :raise NotFound: the target is a file, and its URL ends in a slash.
        """
        entry = await self.store.stat(target.path)
        if target.slash and isinstance(entry, Manifest):
            raise NotFound(f"{target.path}/ does not exist: {target.path} is a file")
        return entry

    def lock_ms(self) -> int:
        """Return the time by which locks expire, in milliseconds since 1970: that of `WallClock.steady_ms`."""
        return self.wall.steady_ms()
