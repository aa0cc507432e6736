"""The catalog's process: lets workers in, shows them the nodes, and sums up what they count."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as AskedTooLong
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger

from splitd.downloads.pins import Pins
from splitd.errors import CatalogAway
from splitd.frontends.resumable.exclusive import Exclusive
from splitd.interfaces.uploads import IUploadLedger
from splitd.nodes.registry import NodeRegistry
from splitd.upkeep.reaper import Reaper
from splitd.workers.answering import Answering
from splitd.workers.exclusive import Acquired
from splitd.workers.ledger import OwnedLedger
from splitd.workers.pins import OwnedPins
from splitd.workers.report import NO_REPORT, Report, add_reports
from splitd.workers.session import IOperating, ITending, Session, encode_view
from splitd.workers.view import NodeView, View
from splitd.workers.wire import ASK, ATTEMPT, END, RELOAD, VIEW, encode
from storaged.system.parallel import gather, settled
from storaged.system.periodic import Periodic

_SHOW_S = 0.2
"""How often the state of the nodes is shown to workers, if it has changed."""

_MEASURE_S = 5.0
"""How often the catalog is asked for the most parts of a file."""

_ANSWER_S = 2.0
"""How long a worker may take to report."""

_RELOADED_S = 30.0
"""How long it may take to read its files again: a file of thousands of users takes a second, on a busy machine more."""

_PEER = struct.Struct("3i")

_PINNED_S = 5.0
"""How long what a worker reads is kept after its connection has ended: one that lives connects again, and pins it."""


class Hub(Factory):
    """The workers, and what they share.

    :param seams: of the catalog, by the names in `splitd.workers.methods`.
    :param ledger: the catalog's, which repeats aborts.
    :param epoch: returns the epoch that nodes take requests of.
    :param operating: what operators see and do.
    :param note_attempt: called with each login that a worker judges; see `Access.note_attempt`.
    :param wanted: how many workers there shall be.
    """

    noisy = False
    _log = Logger()

    def __init__(
        self,
        seams: Mapping[str, Any],
        ledger: IUploadLedger,
        pins: Pins,
        reaper: Reaper,
        registry: NodeRegistry,
        *,
        tending: ITending,
        epoch: Callable[[], int],
        operating: IOperating,
        note_attempt: Callable[..., object],
        wanted: int,
        reactor: Any,
    ) -> None:
        self._seams = seams
        self._ledger = ledger
        self._pins = pins
        self._reaper = reaper
        self._registry = registry
        self._tending = tending
        self._epoch = epoch
        self._operating = operating
        self._note_attempt = note_attempt
        self._wanted = wanted
        self._exclusive = Exclusive()
        self._reactor = reactor
        self._sessions: dict[Session, Answering] = {}
        self._ends: set[Deferred[None]] = set()
        self._unpins: dict[Session, IDelayedCall] = {}
        self._ended = NO_REPORT
        self._left: dict[int, tuple[int, Report]] = {}
        self._cluster = ""
        self._widest = 0
        self._shown = b""
        self._port: Any = None
        self._all_serve: Deferred[None] = Deferred()
        self._showing = Periodic(self._show, _SHOW_S, reactor, "showing the nodes to workers")
        # A database is asked for it: that takes a while, and nothing may come of it.
        self._measuring = Periodic(self._measure, _MEASURE_S, reactor, "asking how many parts files have")

    def start(self, cluster: str, descriptor: int) -> Deferred[None]:
        """Let workers in.

        :param descriptor: of the socket at which they connect, which listens.
        :return: a Deferred that fires with None when all workers serve.
        """
        self._cluster = cluster
        self._port = self._reactor.adoptStreamPort(descriptor, socket.AF_UNIX, self)
        self._measuring.start(0)
        self._showing.start()
        return self._all_serve

    async def stop(self) -> None:
        """Let no worker in any more, and end what they had."""
        if not self._all_serve.called:
            self._all_serve.callback(None)
        if self._port is None:
            return
        # A private name: the socket is inherited by the next catalog's process, and must not be shut down.
        self._port._shouldShutdown = False
        port, self._port = self._port, None
        await port.stopListening()
        await self._measuring.stop(cancel=True)
        await self._showing.stop()
        for answering in list(self._sessions.values()):
            answering.end()
        while self._sessions or self._ends:
            await settled([*self._ends]) if self._ends else await self._turn()
        for unpin in self._unpins.values():
            unpin.cancel()
        self._unpins.clear()

    def _turn(self) -> Deferred[None]:
        waiting: Deferred[None] = Deferred()
        self._reactor.callLater(0, waiting.callback, None)
        return waiting

    def buildProtocol(self, _: object) -> Protocol:
        """Let a worker in."""

        def tell(what: int, body: object) -> None:
            answering.tell(0, what, encode(body))

        def attempt(*happened: str | int) -> None:
            self.tell_attempt(*happened, besides=session)
            self._note_attempt(*happened)

        session = Session(
            OwnedLedger(self._ledger),
            OwnedPins(self._pins, self._reaper),
            self._registry,
            self._tending,
            self.view,
            self._operating,
            self._serves,
            greeted=lambda: self._greeted(session),
            attempt=attempt,
            acquired=Acquired(self._exclusive, lambda *wanted: tell(END, wanted)),
        )
        seams = {**self._seams, "ledger": session.ledger, "session": session}
        answering = _OfThisUser(seams, self._reactor, lambda: self._lost(session))
        self._sessions[session] = answering
        return answering

    def _serves(self) -> None:
        if not self._all_serve.called and len(self._serving()) >= self._wanted:
            self._all_serve.callback(None)

    def _serving(self) -> list[Session]:
        return [session for session in self._sessions if session.is_serving]

    def _greeted(self, session: Session) -> None:
        """Take over what a worker has reported on the connection before; what another one of its number has is final.

        A worker counts from its start.  So what it has reported must not count beside what it will report.
        """
        for other in self._sessions:
            if other is not session and other.number == session.number:
                self._leave(other)  # its connection has ended, but not yet all of its calls
        pid, left = self._left.pop(session.number, (0, NO_REPORT))
        if pid == session.pid:
            session.last = left
        else:
            self._ended = add_reports([self._ended, left])

    def _leave(self, session: Session) -> None:
        if session.number >= 0:
            self._left[session.number] = session.pid, session.last.ended()
            session.number, session.is_serving = -1, False

    def _lost(self, session: Session) -> None:
        self._sessions.pop(session, None)
        self._leave(session)
        self._unpins[session] = self._reactor.callLater(_PINNED_S, self._unpin, session)
        ended = Deferred.fromCoroutine(session.end())
        self._ends.add(ended)
        ended.addErrback(lambda failure: self._log.failure("ending what a worker had", failure))
        ended.addCallback(lambda _: self._ends.discard(ended))

    def _unpin(self, session: Session) -> None:
        del self._unpins[session]
        session.unpin_all()

    def view(self) -> View:
        """Return what workers have to know of the cluster now."""
        return View(self._cluster, self._epoch(), self._widest, [NodeView.of(node) for node in self._registry.nodes()])

    async def _measure(self) -> None:
        with suppress(CatalogAway):  # a database; the next round asks again
            self._widest = (await self._seams["catalog"].statistics()).widest

    def _show(self) -> None:
        shown = encode_view(self.view())
        if bytes(shown) != self._shown:
            self._shown = bytes(shown)
            for answering in self._sessions.values():
                answering.tell(0, VIEW, shown)

    def tell_attempt(self, *happened: str | int, besides: Session | None = None) -> None:
        """Tell workers of a login; see `Access.note_attempt`.

        :param besides: the one that knows it.
        """
        body = encode(happened)
        for session, answering in self._sessions.items():
            if session is not besides:
                answering.tell(0, ATTEMPT, body)

    def reload(self) -> Deferred[None]:
        """Have all workers read their files again, and show them the nodes as they are now.

        :return: a Deferred that fires with None when they have; one that does not answer is waited for 30 s.
        """
        return Deferred.fromCoroutine(self._reload())

    async def _reload(self) -> None:
        self._show()
        await self._ask_all(RELOAD)

    async def collect(self) -> Report:
        """Return the sum of what all workers count, and those before them that have ended."""
        left = [report for _, report in self._left.values()]
        left += [each.last for each in self._sessions if each.number >= 0 and not each.is_serving]  # it connects again
        return add_reports([self._ended, *left, *await self._ask_all(ASK)])

    async def _ask_all(self, what: int) -> list[Report]:
        asked = [(session, self._sessions[session]) for session in self._serving()]
        return await gather([self._ask(session, answering, what) for session, answering in asked])

    async def _ask(self, session: Session, answering: Answering, what: int) -> Report:
        number, patience_s = session.number, _RELOADED_S if what == RELOAD else _ANSWER_S
        try:
            return await session.ask(lambda asked: answering.tell(asked, what)).addTimeout(patience_s, self._reactor)
        except AskedTooLong:
            if what == RELOAD:
                self._log.error("worker {number} has not read its files again within {seconds:g} s",
                                number=number, seconds=patience_s)  # fmt: skip
            return session.last

    def workers(self) -> list[tuple[int, int]]:
        """Return the number and the process id of each worker that serves."""
        return sorted((session.number, session.pid) for session in self._serving())


class _OfThisUser(Answering):
    """Refuses programs of other users: any may connect to the socket."""

    def connectionMade(self) -> None:
        transport: Any = self.transport
        _, user, _ = _PEER.unpack(transport.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        if user != os.geteuid():
            transport.abortConnection()
