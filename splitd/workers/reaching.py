"""How a worker reaches the catalog: through the catalog's process, or a database by connections of its own."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

from twisted.logger import Logger
from zope.interface import implementer

from splitd.assembly.catalogs import address_of, make_stored
from splitd.assembly.process import nothing
from splitd.assembly.seams import Seams, Tending
from splitd.config import Config
from splitd.downloads.finding import Segmentation
from splitd.downloads.pins import IPins, Pins
from splitd.errors import CatalogReadOnly, FileDamaged
from splitd.interfaces.upkeep import IReaper
from splitd.interfaces.uploads import IUploadLedger
from splitd.model.manifest import Manifest
from splitd.uploads.aborts import LaterAborts
from splitd.workers import methods
from splitd.workers.calls import Calls
from splitd.workers.catalog import socket_seams
from splitd.workers.counters import Counters
from splitd.workers.ledger import SocketLedger
from splitd.workers.pins import RemotePins
from splitd.workers.post import Post
from storaged.system.clocks import WallClock

Enter = Callable[..., Awaitable[None]]


class Reached(Protocol):
    """The catalog and the upkeep, as a worker reaches them."""

    seams: Seams
    tending: Tending

    async def start(self, enter: Enter) -> None:
        """Start what the worker itself has of it.

        :param enter: starts a stage; see `Stages.enter`.
        """

    def again(self) -> None:
        """Tell the catalog's process what it must know, on a new connection."""


def reach(config: Config, calls: Calls, counters: Counters, post: Post, reactor: Any, wall: WallClock) -> Reached:
    """Return how a worker reaches the catalog that the settings ask for."""
    if config.keeps_journal:
        return _BySocket(calls, counters, reactor)
    return _ByItself(config, calls, post, reactor, wall)


@implementer(IReaper)
class _Reaper:
    """The reaper of the catalog's process."""

    def __init__(self, calls: Calls) -> None:
        self._wake = partial(calls.tell, methods.WAKE)

    def wake(self) -> None:
        """Look for doomed parts soon; see `IReaper.wake`."""
        self._wake()


def _tending(calls: Calls, ledger: IUploadLedger, reaper: IReaper, pins: IPins, segmentation: Segmentation) -> Tending:
    """Return the upkeep of the catalog's process, as a worker tells it."""

    def found(manifest: Manifest, index: int, problem: FileDamaged) -> None:
        calls.tell(methods.FOUND, manifest, index, str(problem).encode("utf-8", "replace").decode())

    hurt: Callable[[], None] = partial(calls.tell, methods.HURT)
    # The catalog's process learns what is unpinned, or the database does, and does what is to be done.
    return Tending(ledger, reaper, pins, lambda _: None, segmentation, hurt, found, is_near=False)


class _BySocket:
    """All of the catalog is in the catalog's process."""

    def __init__(self, calls: Calls, counters: Counters, reactor: Any) -> None:
        self.seams = seams = socket_seams(calls, counters)
        pins = RemotePins(calls)
        self.again = pins.again
        segmentation = Segmentation(seams.versions, reactor)
        self.tending = _tending(calls, SocketLedger(calls), _Reaper(calls), pins, segmentation)

    async def start(self, enter: Enter) -> None:
        """Start nothing: the link is all that there is."""


class _ByItself:
    """The catalog is a database, which knows the worker as a front that does no upkeep.

    So names, uploads and pins need nothing of the catalog's process, and each worker has its own share of what a
    database costs the fronts.
    """

    _log = Logger()

    def __init__(self, config: Config, calls: Calls, post: Post, reactor: Any, wall: WallClock) -> None:
        address = f"{address_of(config.listen, socket.gethostname())} worker {post.number}"
        more: dict[str, Any] = {"upkeep": False, "before": post.before}
        catalog = self._catalog = make_stored(config.catalog, wall, reactor, post.front, address, **more)
        self.seams = Seams.of(catalog)
        pins, reaper = Pins(), _Reaper(calls)
        catalog.watch_reads(pins.uploads)
        self._aborts = LaterAborts(catalog.ledger, reaper.wake, reactor)
        self.tending = _tending(calls, self._aborts, reaper, pins, Segmentation(catalog.versions, reactor))

    async def start(self, enter: Enter) -> None:
        """Connect to the database, and abort the uploads of the worker whose place this one takes."""
        await enter(self._catalog.start, self._catalog.close, interrupt=self._catalog.interrupt)
        await enter(self._abort_abandoned)
        await enter(nothing, self._aborts.stop)

    async def _abort_abandoned(self) -> None:
        try:
            count = await self._catalog.ledger.abort_abandoned()
        except CatalogReadOnly as problem:  # it is repeated
            self._log.info("uploads of the worker before cannot be aborted now: {reason}", reason=problem)
        else:
            if count:
                self._log.info("{count} uploads of the worker before, or of other fronts, aborted", count=count)

    def again(self) -> None:
        """Tell nothing: the database knows it."""
