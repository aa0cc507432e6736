"""What serves clients: the same in a front of one process as in each of several workers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred

from splitd.access.attempts import tell_nobody
from splitd.access.entries import UsersEntries
from splitd.assembly.access import Access
from splitd.assembly.doors import make_s3_door, make_webdav
from splitd.assembly.own import with_own_keys
from splitd.assembly.process import FrontProcess, nothing
from splitd.assembly.resumable import with_resumable
from splitd.assembly.seams import Seams, Tending
from splitd.assembly.shares import with_shares
from splitd.assembly.stores import make_downloads, make_store, make_uploads
from splitd.capacity import Capacity
from splitd.downloads.cache import VersionCache
from splitd.endpoints import Endpoints
from splitd.frontends.console.building import Operating, Thumbnails
from splitd.frontends.observing.observers import Observing
from splitd.frontends.resumable.exclusive import Exclusive
from splitd.interfaces.nodes import INodeRegistry
from splitd.model.limits import Limits
from splitd.model.traffic import Traffic
from splitd.nodes.reading import ReadPolicy


def make_observing(process: FrontProcess) -> Observing:
    """Make what counts and logs the requests of a process."""
    config = process.config
    logs = config.access_log, config.access_log_format, config.audit_log
    return Observing(*logs, process.in_thread, process.reactor, process.wall)


class Clients:
    """The front doors and their ports, over the store, over uploads and downloads.

    :param policy: which nodes are read first, and when an answer is late.
    :param users: what the file of the users says; None if the settings name none.
    :param s3_key: the id and the secret of the only key for S3 if there are no users; None for none.
    :param observing: counts and logs the requests.
    :param operating: what operators see and do in the console.
    :param workers: how many processes serve clients; each keeps its share of the cache.
    :param share: returns the part of the limits that this process keeps.
    :param tell_attempt: tells other processes of a login; see `Access.note_attempt`.
    :param exclusive: lets one request at a time use a resumable upload; None if there is one process.
    """

    def __init__(
        self,
        process: FrontProcess,
        seams: Seams,
        tending: Tending,
        registry: INodeRegistry,
        policy: ReadPolicy,
        capacity: Capacity,
        users: UsersEntries | None,
        s3_key: tuple[str, str] | None,
        *,
        observing: Observing,
        operating: Operating,
        workers: int = 1,
        share: Callable[[Limits], Limits] = lambda limits: limits,
        tell_attempt: Callable[[str, int, str, str], object] = tell_nobody,
        exclusive: Exclusive | None = None,
    ) -> None:
        self._process = process
        config, reactor, wall = process.config, process.reactor, process.wall
        self.traffic, self.cache = Traffic(), VersionCache(int(config.cache) // workers)
        self.observing = observing
        self.access = access = Access(
            config,
            users,
            s3_key,
            process.seal,
            seams,
            process.in_thread,
            reactor,
            wall,
            limit_addresses=self._limit_addresses,
            share=share,
            tell_attempt=tell_attempt,
        )
        process.own_files.more += [access.limiting.files] if config.limits else []
        self._uploads = make_uploads(process, registry, tending, self.cache, self.traffic)
        downloads = make_downloads(process, registry, policy, tending, self.cache, self.traffic)
        largest = access.limiting.largest_file
        store = self.store = make_store(process, seams, tending, self._uploads, downloads, largest)
        self._thumbnails = Thumbnails(reactor)
        shown = config, store, seams.locks, capacity, access, operating
        webdav = make_webdav(*shown, reactor, wall, thumbnails=self._thumbnails)
        resumable = with_resumable(webdav, config, store, access, exclusive or Exclusive(), wall)
        own = with_own_keys(resumable, config, access, reactor, wall)
        keys = process.keys.all
        self.endpoints = Endpoints(
            config,
            with_shares(own, config, store, seams.documents, access, keys, reactor, wall),
            make_s3_door(config, store, access, process.compute, wall),
            capacity.clients(),
            observing,
            process.certificates,
            reactor,
            background=process.background,
            handover=process.handover,
            tracing=process.tracing,
        )

    def _limit_addresses(self, connections: int | None) -> None:
        self.endpoints.limit_addresses(connections)

    async def prepare(self, enter: Callable[..., Awaitable[None]]) -> None:
        """Start what needs no catalog.

        :param enter: starts a stage; see `Stages.enter`.
        """
        await enter(self.observing.start, self.observing.stop)
        await enter(self.access.logins.start, self.access.logins.stop)
        await enter(nothing, self._thumbnails.stop)

    async def limit(self, enter: Callable[..., Awaitable[None]]) -> None:
        """Read the limits and the users, and watch their files.  The catalog must be there.

        :param enter: starts a stage; see `Stages.enter`.
        """
        limiting, users = self.access.limiting, self.access.users
        await enter(limiting.start, limiting.stop, interrupt=limiting.stop)
        if users is not None:
            await enter(users.start, users.stop)

    async def reload(self) -> None:
        """Read the users and the limits again; the others of their files are among those of the process.

        :raise UsersRefused: the file of the users is refused, and those of before are still in force.
        """
        if self.access.users is not None:
            await self.access.users.reload()
        await self.access.limiting.in_force()

    async def abort_uploads(self) -> None:
        """Abort the uploads under way, because the process stops."""
        aborted = Deferred.fromCoroutine(self._uploads.abort_all("the server stops"))
        # Small parts on their way to a node that does not answer fail at once.
        await self._process.connections.end_transfers()
        await aborted
