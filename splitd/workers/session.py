"""One worker, as the catalog's process sees it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec
from twisted.internet.defer import Deferred, succeed

from splitd.errors import FileDamaged
from splitd.frontends.admin.reports import StatusReport
from splitd.frontends.console.door import Action
from splitd.frontends.console.history import Sample
from splitd.model.manifest import Manifest
from splitd.nodes.registry import NodeRegistry
from splitd.workers.acting import Acted, act, offered
from splitd.workers.exclusive import Acquired
from splitd.workers.ledger import OwnedLedger
from splitd.workers.methods import fingerprint
from splitd.workers.pins import OwnedPins
from splitd.workers.report import NO_REPORT, Report
from splitd.workers.view import View


class ITending(Protocol):
    """The upkeep, as far as workers call it."""

    def wake(self) -> None:
        """Look for doomed parts soon."""

    def hurt(self) -> None:
        """Look for missing parts soon."""

    def found(self, manifest: Manifest, index: int, problem: FileDamaged) -> None:
        """Have a part checked that was found missing or damaged."""


class IOperating(Protocol):
    """What operators see and do."""

    async def report(self) -> StatusReport:
        """Return the report of the whole front."""

    def totals(self) -> tuple[int, int]:
        """Return how many requests all workers have answered, and how many of them by a fault."""

    def samples(self) -> Deferred[Sequence[Sample]]:
        """Return the samples for charts."""

    def actions(self) -> Mapping[str, Action]:
        """Return what operators may ask for, by path."""

    def closed(self) -> str:
        """Return why no action is possible now; empty if actions are possible."""


class Session:
    """What belongs to the connection of one worker: the seam `session` of its calls, and what ends with it.

    :param registry: the nodes.
    :param view: returns what is shown of them.
    :param operating: what operators see and do.
    :param serves: called when the worker serves clients.
    :param greeted: called when it has said which worker it is.
    :param attempt: tells the other processes of a login that the worker judges.
    :param acquired: the resumable uploads that the worker uses.
    :ivar number: that of the worker; -1 before it has said it.
    :ivar last: what it has reported last.
    """

    def __init__(
        self,
        ledger: OwnedLedger,
        pins: OwnedPins,
        registry: NodeRegistry,
        tending: ITending,
        view: Callable[[], View],
        operating: IOperating,
        serves: Callable[[], object],
        *,
        greeted: Callable[[], object],
        attempt: Callable[[str, int, str, str], None],
        acquired: Acquired,
    ) -> None:
        self.ledger = ledger
        self.pin, self.unpin, self.unpin_all = pins.pin, pins.unpin, pins.end
        self.wake, self.hurt = tending.wake, tending.hurt
        self.suspect = registry.suspect
        self._tending = tending
        self._registry = registry
        self._view = view
        self._operating = operating
        self.samples = operating.samples
        self._serves, self._greeted = serves, greeted
        self.attempt, self.give_back, self._acquired = attempt, acquired.give_back, acquired
        self._held: Counter[tuple[str, int]] = Counter()
        self._asked: dict[int, Deferred[Report]] = {}
        self._number = 0
        self.number = -1
        self.pid = 0
        self.is_serving = False
        self.last = NO_REPORT

    def ping(self) -> Deferred[None]:
        """Answer."""
        return succeed(None)

    def hello(self, version: int, number: int, pid: int) -> View:
        """Begin.

        :raise ValueError: the worker is of another version of splitd, and must be started again.
        """
        if version != fingerprint():
            raise ValueError("the worker is of another version of splitd")
        self.number, self.pid = number, pid
        self._greeted()
        return self._view()

    def serving(self) -> None:
        """Take note that the worker serves clients."""
        self.is_serving = True
        self._serves()

    async def report(self) -> tuple[StatusReport, tuple[int, int]]:
        """Return the report of the whole front, and how many requests it has answered."""
        return await self._operating.report(), self._operating.totals()

    def offered(self) -> dict[str, list[str]]:
        """Return the methods of the actions that operators may ask for, by their names."""
        return offered(self._operating.actions())

    def act(self, name: str, method: str, uri: str) -> Deferred[Acted]:
        """Do what an operator asks the worker for."""
        return Deferred.fromCoroutine(act(self._operating.actions(), self._operating.closed, name, method, uri))

    def acquire(self, upload: str, number: int) -> Deferred[None]:
        """Wait until no other worker uses a resumable upload; see `Acquired.acquire`."""
        return Deferred.fromCoroutine(self._acquired.acquire(upload, number))

    def found(self, manifest: Manifest, index: int, problem: str) -> None:
        """Have a part checked that the worker has found missing or damaged."""
        self._tending.found(manifest, index, FileDamaged(problem))

    def node_failed(self, node: str, reason: str, full: bool) -> None:
        """Take note that a node has failed the worker."""
        self._registry.failed(node, reason, full=full)

    def reserve(self, nodes: Sequence[str], size: int, is_guess: bool) -> None:
        """Count room that the worker has reserved."""
        known = {node.entry.id: node for node in self._registry.nodes()}
        for node_id in nodes:
            node = known.get(node_id)
            if node is None:
                continue
            if is_guess:
                node.held += size
                self._held[node_id, size] += 1
            else:
                node.reserved += size

    def release(self, node: str, size: int) -> None:
        """Release room that was reserved for a part of unknown size."""
        if self._held[node, size]:
            self._held[node, size] -= 1
            self._registry.release(node, size)

    async def ask_room(self) -> View:
        """Ask the nodes for their room."""
        await self._registry.refresh()
        return self._view()

    def ask(self, send: Callable[[int], None]) -> Deferred[Report]:
        """Ask the worker something.

        :param send: sends the question with this number.
        :return: a Deferred that fires with its report.
        """
        self._number += 1
        number = self._number

        def cancel(_: Deferred[Report]) -> None:
            self._asked.pop(number, None)

        answered = self._asked[number] = Deferred(cancel)
        send(number)
        return answered

    def reply(self, number: int, report: Report) -> None:
        """Take the answer to a question."""
        self.last = report
        answered = self._asked.pop(number, None)
        if answered is not None:
            answered.callback(report)

    async def end(self) -> None:
        """Give back all that the worker had but its pins, because it is gone, or connects again."""
        self.is_serving = False
        asked, self._asked = self._asked, {}
        for each in asked.values():
            each.callback(self.last.ended())
        self._acquired.end()
        for (node, size), count in self._held.items():
            for _ in range(count):
                self._registry.release(node, size)
        if await self.ledger.end():
            self.wake()


def encode_view(view: View) -> msgspec.Raw:
    """Return the form of a view in an entry."""
    return msgspec.Raw(msgspec.msgpack.encode(view))
