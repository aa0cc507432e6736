"""Fronts and nodes in memory, on a network that can be divided, by a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, execute
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from splitd.catalog.journal.reader import JournalReader
from splitd.catalog.journal.writer import SegmentWriter
from splitd.model.records import CollectionMade, encode_line
from splitd.takeover.copies import JournalCopies
from splitd.takeover.lease import Member
from splitd.takeover.recovery import NodeGone
from storaged.disk.calls import DiskCalls
from storaged.journals.link import JournalLinkServer
from storaged.journals.store import Journals
from storaged.parts.client.journal import JournalLink
from storaged.parts.errors import NodeUnavailable, StoragedError
from storaged.parts.interfaces import IJournalHolder
from storaged.parts.journals import Claim, Standing
from storaged.system.serial import SerialThread
from tests.crash.power import PowerDisk, visible
from tests.fired import fired

_T = TypeVar("_T")
CLUSTER = "c" * 32


class InlineCalls(DiskCalls):
    """Makes blocking calls at once."""

    def __init__(self) -> None:
        pass

    async def run(self, subject: str, call: Callable[[], _T]) -> _T:  # noqa: ARG002
        return call()


class InlineThread(SerialThread):
    """Makes blocking calls at once."""

    def __init__(self) -> None:
        pass

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def run(self, call: Callable[[], _T]) -> Deferred[_T]:
        return execute(call)


def begun(work: Coroutine[Any, Any, _T]) -> Deferred[_T]:
    return Deferred.fromCoroutine(work)


class Network:
    """Delivers messages after a while, unless the two machines are divided.

    :ivar divided: pairs of a front and a node that do not reach each other.
    :ivar unlinked: the nodes that take no copies of a journal, and answer everything else.
    """

    def __init__(self, clock: Clock, random: Random) -> None:
        self.clock = clock
        self.random = random
        self.divided: set[tuple[str, str]] = set()
        self.unlinked: set[str] = set()
        self._wires: list[Wire] = []

    def reaches(self, front: str, node: str) -> bool:
        return (front, node) not in self.divided

    def later(self, call: Callable[[], object]) -> None:
        self.clock.callLater(self.random.choice([0.001, 0.01, 0.3]), call)

    def connect(self, front: str, node: str, client: JournalLink, server: JournalLinkServer) -> Wire:
        wire = Wire(self, front, node, client, server)
        self._wires.append(wire)
        return wire

    def cut(self, of: str) -> None:
        """Cut the connections of a machine."""
        for wire in list(self._wires):
            if of in {wire.front, wire.node}:
                wire.lose()

    def lost(self, wire: Wire) -> None:
        self._wires.remove(wire)


class End:
    """A transport: bytes written to it arrive at the other end, in order, while the two reach each other."""

    def __init__(self, wire: Wire, to: Callable[[bytes], None]) -> None:
        self._wire = wire
        self._to = to
        self._waiting: list[bytes] = []
        self._paused = False
        self.disconnecting = False

    def write(self, data: bytes) -> None:
        self._waiting.append(data)
        if len(self._waiting) == 1:
            self._wire.network.later(self._deliver)

    def writeSequence(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def _deliver(self) -> None:
        if self._wire.ended or not self._waiting:
            return
        if self._wire.network.reaches(self._wire.front, self._wire.node):
            data, self._waiting = b"".join(self._waiting), []
            self._to(data)
        if self._waiting:
            self._wire.network.later(self._deliver)

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def abortConnection(self) -> None:
        self._wire.network.clock.callLater(0, self._wire.lose)

    loseConnection = abortConnection


class Wire:
    """A journal's link between a front and a node."""

    def __init__(self, network: Network, front: str, node: str, client: JournalLink, server: JournalLinkServer) -> None:
        self.network = network
        self.front = front
        self.node = node
        self.ended = False
        self._sides = (client, server)
        client.makeConnection(End(self, server.dataReceived))  # type: ignore[arg-type]
        server.makeConnection(End(self, client.dataReceived))  # type: ignore[arg-type]

    def lose(self) -> None:
        if not self.ended:
            self.ended = True
            self.network.lost(self)
            for side in self._sides:
                side.connectionLost(Failure(ConnectionLost()))


class SimNode:
    """A node, which may lose its power.

    :ivar up: whether it runs.
    """

    def __init__(self, name: str, network: Network) -> None:
        self.id = name
        self.network = network
        self.disk = PowerDisk({"/": {}})
        self.up = False
        self.start()

    def start(self) -> None:
        self.journals = Journals("/journals", self.disk, InlineCalls(), InlineThread())
        fired(begun(self.journals.start()))
        self.up = True

    def stop(self) -> None:
        self.up = False
        self.network.cut(self.id)
        self.journals.stop()
        self.disk = PowerDisk(visible(self.disk))


@implementer(IJournalHolder)
class Remote:
    """A node as a front sees it."""

    def __init__(self, node: SimNode, front: str) -> None:
        self._node = node
        self._front = front

    def claim(self, claim: Claim) -> Deferred[Standing]:
        answer: Deferred[Standing] = Deferred(lambda _: None)
        network = self._node.network

        def arrive() -> None:
            if not self._node.up or not network.reaches(self._front, self._node.id):
                fail(NodeUnavailable("away"))
                return
            begun(self._node.journals.claim(claim, CLUSTER)).addCallbacks(answered, lambda failure: fail(failure.value))

        def answered(standing: Standing) -> None:
            network.later(lambda: arrived(standing))

        def arrived(standing: Standing) -> None:
            if network.reaches(self._front, self._node.id) and not answer.called:
                answer.callback(standing)
            else:
                fail(NodeUnavailable("away"))

        def fail(problem: Any) -> None:
            if not answer.called:
                answer.errback(problem)

        network.later(arrive)
        return answer

    def connect_journal(self, link: JournalLink) -> Deferred[None]:
        done: Deferred[None] = Deferred(lambda _: None)
        network = self._node.network

        def arrive() -> None:
            if done.called:
                return
            reached = self._node.up and network.reaches(self._front, self._node.id)
            if not reached or self._node.id in network.unlinked:
                done.errback(NodeUnavailable("away"))
                return
            network.connect(self._front, self._node.id, link, JournalLinkServer(self._node.journals))
            done.callback(None)

        network.later(arrive)
        return done


class Direct:
    """A node as a recovery asks it."""

    def __init__(self, node: SimNode, front: str) -> None:
        self._node = node
        self._front = front
        self.id = node.id

    def look(self) -> Standing:
        return self._ask(self._node.journals.look(CLUSTER, copy=True))

    def claim(self, claim: Claim) -> Standing:
        return self._ask(self._node.journals.claim(claim, CLUSTER))

    def read(self, first: int) -> bytes:
        return self._ask(_waited(self._node.journals.read(first)))

    def read_snapshot(self, offset: int) -> bytes:
        return self._ask(_waited(self._node.journals.read_snapshot(offset)))

    def _ask(self, work: Coroutine[Any, Any, _T]) -> _T:
        if not self._node.up or not self._node.network.reaches(self._front, self.id):
            work.close()
            raise NodeGone("it does not answer")
        results: list[Any] = []
        begun(work).addBoth(results.append)
        [result] = results
        if isinstance(result, Failure):
            if isinstance(result.value, StoragedError):
                raise NodeGone(str(result.value))
            result.raiseException()
        return result  # type: ignore[no-any-return]


async def _waited(deferred: Deferred[_T]) -> _T:
    return await deferred


class SimFront:
    """A front: a journal on a disk in memory, and its copies.

    :param disk: the disk, which has a folder `/journal`.
    :ivar acknowledged: the lines that were acknowledged, by their numbers.
    :ivar refused: why it changes nothing any more; empty if it may.
    """

    def __init__(
        self, name: str, nodes: list[SimNode], network: Network, disk: PowerDisk, ids: Callable[[], str]
    ) -> None:
        self.name = name
        self.disk = disk
        self.acknowledged: dict[int, bytes] = {}
        self.refused = ""
        self.ended = False
        self._waiting: list[tuple[int, bytes]] = []
        members = [Member(node.id, "", Remote(node, name), usable=True) for node in nodes]
        self._writer = SegmentWriter(disk, "/journal", 1500)
        self.copies = JournalCopies(
            "/journal",
            disk,
            execute,
            lambda: members,
            network.clock,
            network.clock.seconds,
            wanted=3,
            required=False,
            lease_s=10.0,
            new_id=ids,
        )
        self.copies.watch(self._confirmed, self._refuse)
        reader = JournalReader(disk, "/journal")
        for _ in reader.batches():
            pass
        self._writer.resume(reader)
        self.next = reader.sequence
        fired(self.copies.opened(self.next, 1))
        self.copies.start().addErrback(lambda _: None)

    def append(self) -> None:
        if self.refused or self.ended or self.copies.unavailable:
            return
        line = encode_line(self.next, self.next - 1, CollectionMade(f"/{self.name}-{self.next}", self.next))
        self.copies.send([line], durable=True)
        self._writer.write(self.next, [line], durable=True)
        self._waiting.append((self.next, line))
        self.next += 1
        self.copies.written(self.next, durable=True)
        self._confirmed()

    def _confirmed(self) -> None:
        while self._waiting and self._waiting[0][0] < self.copies.confirmed and not self.refused:
            number, line = self._waiting.pop(0)
            self.acknowledged[number] = line

    def _refuse(self, reason: str) -> None:
        self.refused = reason

    def kill(self) -> None:
        """End it, without a word to anybody."""
        if not self.ended:
            self.ended = True
            self.copies.stop()
