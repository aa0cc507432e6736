"""A worker: a front that serves clients, over a catalog that another process keeps."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from splitd.access.entries import UsersEntries
from splitd.assembly.clients import Clients, make_observing
from splitd.assembly.process import FrontProcess, nothing
from splitd.assembly.stores import make_policy
from splitd.capacity import Capacity
from splitd.config import Config
from splitd.errors import UsersRefused
from splitd.model.nodes import NodeEntry
from splitd.model.traffic import Traffic
from splitd.workers import methods
from splitd.workers.balance import Balance
from splitd.workers.calls import Calls
from splitd.workers.counters import Counters
from splitd.workers.exclusive import exclusive_of
from splitd.workers.limits import share_of
from splitd.workers.link import Link
from splitd.workers.operating import SharedOperating
from splitd.workers.post import Post
from splitd.workers.reaching import reach
from splitd.workers.registry import SharedRegistry
from splitd.workers.report import Family, Report
from splitd.workers.view import View
from splitd.workers.wire import ASK, ATTEMPT, END, RELOAD, VIEW
from storaged.http.handover import Handover
from storaged.parts.proofs import ClusterKeys
from storaged.system.clocks import WallClock
from storaged.system.daemon import IServer
from storaged.system.descriptors import Descriptors
from storaged.system.stages import Stages

if TYPE_CHECKING:
    from splitd.tracing import Tracing


@implementer(IServer)
class WorkerFront:
    """A worker, from its link to the catalog's process to its ports.

    :param entries: the registered nodes.
    :param post: what this process is, and what it shares.
    :param handover: has the sockets at which it listens.
    :param users: what the file of the users says; None if the settings name none.
    :param s3_key: the only key for S3 if there are no users.
    :param tracing: traces what requests do; None for no traces.
    """

    _log = Logger()

    def __init__(
        self,
        config: Config,
        entries: tuple[NodeEntry, ...],
        keys: ClusterKeys,
        reactor: Any,
        wall: WallClock,
        descriptors: Descriptors,
        users: UsersEntries | None,
        *,
        post: Post,
        s3_key: tuple[str, str] | None,
        handover: Handover,
        tracing: Tracing | None = None,
    ) -> None:
        # Each keeps its share of the idle connections of an address; 0 is no limit.
        idle = -(-config.idle_connections // post.workers)
        self._config = config = msgspec.structs.replace(config, idle_connections=idle)
        self._post = post
        self._reactor = reactor
        self._handover = handover
        self._view = View("", 0, 0, [])
        self._process = process = FrontProcess(
            config,
            keys,
            reactor,
            wall,
            descriptors,
            cluster=lambda: self._view.cluster,
            epoch=lambda: self._view.epoch,
            handover=handover,
            tracing=tracing,
        )
        self._calls = calls = Calls(reactor)
        calls.greeted, calls.told = False, self._told
        self._link = Link(calls, post.address, post.number, self._greeted, self._refused, reactor)
        self._registry = registry = SharedRegistry(entries, process.connect, calls, reactor)
        self._policy = policy = make_policy(process, registry.is_usable, registry.suspect)
        registry.watch_recoveries(policy.recovered)
        counters = Counters(post.counters)
        reached = self._reached = reach(config, calls, counters, post, reactor, wall)
        seams = reached.seams
        named = seams.statistics, seams.namespace
        self._capacity = Capacity(*named, registry, config.cut(), descriptors, seams.quotas)
        self._operating, self._exclusive = SharedOperating(calls, wall), exclusive_of(calls)
        self._clients = self._make_clients(users, s3_key)
        self._balance = Balance(counters, post.number, post.workers, self._connected, reactor)
        self._stages = Stages()

    def _make_clients(self, users: UsersEntries | None, s3_key: tuple[str, str] | None) -> Clients:
        process, reached, workers = self._process, self._reached, self._post.workers
        return Clients(
            process,
            reached.seams,
            reached.tending,
            self._registry,
            self._policy,
            self._capacity,
            users,
            s3_key,
            observing=make_observing(process),
            operating=self._operating.operating(),
            workers=workers,
            share=lambda limits: share_of(limits, workers),
            tell_attempt=partial(self._calls.tell, methods.ATTEMPT),
            exclusive=self._exclusive,
        )

    def _connected(self) -> int:
        return self._clients.endpoints.connections

    # What the catalog's process tells and asks.

    def _told(self, number: int, what: int, body: msgspec.Raw) -> None:
        if what == VIEW:
            self._show(methods.VIEW.decode(body))
        elif what == ATTEMPT:
            self._clients.access.note_attempt(*methods.ATTEMPTED.decode(body))
        elif what == END:
            self._exclusive.end(*methods.WANTED.decode(body))
        elif what == ASK:
            self._calls.tell(methods.REPLY, number, self._report())
        elif what == RELOAD:
            Deferred.fromCoroutine(self._reload()).addErrback(self._not_reloaded).addCallback(
                lambda _: self._calls.tell(methods.REPLY, number, self._report())
            )

    def _show(self, view: View) -> None:
        widened, self._view = view.widest > self._view.widest, view
        self._registry.show(view)
        if widened:
            self._clients.endpoints.limit_connections(self._capacity.clients(view.widest))

    def _greeted(self, view: View) -> None:
        self._show(view)
        self._reached.again()
        self._exclusive.end_all()  # others may have acquired what this one did on the connection before
        self._operating.learn()
        if self._clients.endpoints.port is not None:
            self._calls.tell(methods.SERVING)

    def _refused(self) -> None:
        self._reactor.stop()

    def _report(self) -> Report:
        clients = self._clients
        site, cache, access = clients.endpoints.site, clients.cache, clients.access
        limits = [] if not self._config.limits else list(access.requests.measure())
        refused: Mapping[str, int] = access.requests.refused
        reading = self._policy.report()
        counts: dict[str, int] = {name: getattr(clients.traffic, name) for name in Traffic.__slots__ if name[0] != "_"}
        return Report(
            counts,
            clients.observing.totals(),
            (cache.size, cache.hits, cache.misses),
            (clients.endpoints.connections, site.admission.limit or 0),
            bool(site.admission.waiting),
            self._process.descriptors.used(),
            dict(refused),
            0 if access.users is None else access.users.logins.refused,
            clients.endpoints.refused_connections,
            access.requests.waiting,
            (reading.hedges, reading.silences, reading.last),
            [Family.of(each) for each in (*clients.observing.measure(), *limits)],
        )

    async def _reload(self) -> None:
        # The catalog's process reads the same files, and says what is wrong with them.
        await self._process.own_files.load()
        await self._clients.reload()

    def _not_reloaded(self, failure: Failure) -> None:
        if not failure.check(UsersRefused):
            self._log.failure("reading the files again", failure)

    def hang_up(self) -> None:
        """Do nothing: the catalog's process has the files read again."""

    # Life

    def start(self) -> Deferred[None]:
        """Start to serve; see `IServer.start`.

        :raise SettingsError: an endpoint of the settings cannot be listened on.
        """
        return self._stages.start(self._start)

    async def _start(self) -> None:
        enter, clients = self._stages.enter, self._clients
        await self._process.start(enter)
        await clients.prepare(enter)
        await self._reached.start(enter)
        await enter(self._link.start, self._link.stop, interrupt=self._link.stop)
        await self._operating.learn()
        await clients.limit(enter)
        await enter(nothing, self._process.connections.close)
        await enter(nothing, clients.abort_uploads)
        await enter(clients.endpoints.serve_clients, self._end_clients)
        clients.endpoints.accept_in_turns(self._balance)
        self._calls.tell(methods.SERVING)

    async def _end_clients(self) -> None:
        self._handover.leave()  # the sockets are the head's, and other workers listen at them
        self._handover.drop_rest()  # it passes them on by itself, and else a stop would leave clients in their queues
        self._balance.leave()
        await self._clients.endpoints.end_clients()

    def stop(self) -> Deferred[None]:
        """Accept no more requests, and finish those in progress; see `IServer.stop`."""
        self._operating.closed = "the front stops"
        return self._stages.stop()
