"""Writes the journal's copy on one node."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from splitd.interfaces.journal import HolderReport
from splitd.takeover.source import Gone, LineSource, SnapshotSource
from splitd.takeover.tail import Tail
from storaged.parts.client.journal import JournalLink, encode_append
from storaged.parts.errors import NodeUnavailable, StoragedError, TakenOver
from storaged.parts.interfaces import IJournalHolder
from storaged.parts.journals import MAX_PIECE, Append, CopyState, agreement
from storaged.system.once import Once

_WINDOW = 4 * 1024 * 1024
"""The most bytes of lines on their way to a holder."""

_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 5.0
"""How long to wait before the next try to connect, at first and at most."""

STALL_S = 5.0
"""A holder that does not answer for this long is away."""

_DOWN_S = 1.0
"""The same if its node is known to be down."""


class Holder:
    """The connection to one holder, made again whenever it ends.

    :param node: the id of the node.
    :param find: returns the node, or None if it is not registered any more.
    :param changed: called when the holder has come or gone.
    :param advanced: called when it has synced more.
    :param refused: called with the error when another front has taken over.
    :ivar next: the number after that of the last record that the holder has synced.
    :ivar problem: why it is away; empty while it is connected.
    :ivar away_since: when it went away, in seconds of the clock; None while it is connected.
    """

    _log = Logger()

    def __init__(
        self,
        node: str,
        find: Callable[[], IJournalHolder | None],
        tail: Tail,
        clock: IReactorTime,
        changed: Callable[[], None],
        advanced: Callable[[], None],
        refused: Callable[[TakenOver], None],
    ) -> None:
        self.node = node
        self._find = find
        self._tail = tail
        self._clock = clock
        self._changed = changed
        self._advanced = advanced
        self._refused = refused
        self._lines = LineSource(tail.filesystem, tail.folder)
        self._link: JournalLink | None = None
        self._ended: Once[None] = Once()
        self._connected = False
        self._reading = False
        self._sending_snapshot = False
        self._snapshot = 0
        self._sent = 1
        self._flying: deque[tuple[int, int]] = deque()  # the number after each message's last record, and its bytes
        self._flying_bytes = 0
        self._asking = 0
        self._progress_at = 0.0
        self._stopped = False
        self._life: Deferred[None] | None = None
        self.next = 1
        self.problem = "it has not been asked yet"
        self.away_since: float | None = clock.seconds()

    def start(self) -> None:
        """Begin to connect."""
        self._life = Deferred.fromCoroutine(self._live()).addErrback(self._failed)

    def stop(self) -> None:
        """End the connection for good."""
        self._stopped = True
        if self._link is not None:
            self._link.cut(NodeUnavailable("the front ends the connection"))
        if self._life is not None:
            self._life.cancel()

    def _failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("the journal's copy on node {node}", failure, node=self.node)

    @property
    def connected(self) -> bool:
        """Whether it takes records."""
        return self._connected

    @property
    def near(self) -> bool:
        """Whether it takes the newest records, and not old ones from the files."""
        return self._connected and not self._reading and self._sent == self._tail.next

    def report(self, confirmed: int, *, counts: bool) -> HolderReport:
        """Describe it.

        :param confirmed: the number before which all records are acknowledged.
        :param counts: whether its copy counts.
        """
        state = "away" if not self._connected else "in sync" if self.next >= confirmed else "behind"
        return HolderReport(self.node, state, counts, max(0, self._tail.next - self.next), self.problem)

    def look(self, *, usable: bool) -> None:
        """Cut the connection if the holder has not answered for too long.  To be called periodically.

        :param usable: whether the node seems to be well; if not, it need not be waited for as long.
        """
        patience_s = STALL_S if usable else _DOWN_S
        waits = self._flying or self._asking
        if self._link is not None and waits and self._clock.seconds() - self._progress_at > patience_s:
            self._link.cut(NodeUnavailable(f"no answer in {patience_s:g} s"))

    async def _live(self) -> None:
        pause_s = _PAUSE_S
        while not self._stopped:
            began = self._clock.seconds()
            try:
                await self._feed()
            except TakenOver as problem:
                self._gone(problem.reason)
                self._refused(problem)
                return
            except StoragedError as problem:
                self._gone(problem.reason)
            except CancelledError:
                raise
            except Exception:
                self._log.failure("the journal's copy on node {node}", node=self.node)
                self._gone("the front failed; its log says more")
            if self._clock.seconds() - began > 2 * _LONGEST_PAUSE_S:
                pause_s = _PAUSE_S
            await deferLater(self._clock, pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _gone(self, problem: str) -> None:
        self._connected = False
        self._flying.clear()
        self._flying_bytes = self._asking = 0
        if self.away_since is None or problem != self.problem:
            self._log.warn("the journal's copy on node {node} is away: {problem}", node=self.node, problem=problem)
        if self.away_since is None:
            self.away_since = self._clock.seconds()
        self.problem = problem
        self._changed()

    async def _feed(self) -> None:
        """Connect, send all that the holder lacks, and then what is appended, until the connection ends.

        :raise StoragedError: the connection could not be made, or has ended.
        """
        holder = self._find()
        if holder is None:
            raise NodeUnavailable("it is not registered any more")
        ended: Once[None] = Once()
        link = JournalLink(self._appended, lambda problem: ended.fire(Failure(problem)))
        await holder.connect_journal(link)
        self._link = link
        self._progress_at = self._clock.seconds()
        try:
            tail = self._tail
            state = await self._ask(link.open(tail.history.epoch, tail.history.front, tail.run))
            self.next = self._sent = await self._align(link, state)
            self._connected, self.problem, self.away_since = True, "", None
            self._log.info(
                "the journal's copy on node {node} has records before {next}", node=self.node, next=self.next
            )
            self._pump()
            self.renew_snapshot()
            self._changed()
            await ended.wait()
        except BaseException:
            link.cut(NodeUnavailable("the front ends the connection"))
            raise
        finally:
            self._link = None
            self._connected = False

    async def _ask(self, answer: Deferred[Any]) -> Any:
        self._asking += 1
        try:
            return await answer
        finally:
            self._asking = max(0, self._asking - 1)
            self._progress_at = self._clock.seconds()

    async def _align(self, link: JournalLink, state: CopyState) -> int:
        """Drop what the copy has and the journal has not, and send a snapshot if the segments begin too late.

        :return: the number of the record that it needs next.
        """
        tail, upcoming = self._tail, state.next
        self._snapshot = state.snapshot
        common = agreement(tail.history.runs(tail.next), state.all_runs())
        if state.damage or (upcoming > 1 and common + 1 < max(2, state.snapshot)):
            reason = state.damage or "it has no record in common with the journal"
            self._log.warn("the journal's copy on node {node} is sent anew: {reason}", node=self.node, reason=reason)
            upcoming, self._snapshot = await self._ask(link.trim(0)), 0
        elif common + 1 < upcoming:
            upcoming = await self._ask(link.trim(common + 1))
        return max(upcoming, await self._send_snapshot(link, below=upcoming))

    async def _send_snapshot(self, link: JournalLink, below: int = 0) -> int:
        """Send the journal's snapshot, unless the holder has it.

        :param below: if not 0, send it only if it holds records from this number on.
        :return: the number of the holder's next record, or 0 if nothing was sent.
        """
        source = SnapshotSource(self._tail.filesystem, self._tail.folder)
        run = self._tail.in_thread
        try:
            await self._ask(run(source.open))
            size, upcoming, result = source.size, source.upcoming, 0
            if upcoming <= max(below, self._snapshot):
                return 0
            epoch, offset = self._tail.history.epoch_of(upcoming - 1), 0
            while offset < size:
                data = await self._ask(run(lambda: source.read(offset, MAX_PIECE)))  # noqa: B023 - awaited here
                result = await self._ask(link.piece(upcoming, epoch, offset, size, data))
                offset += len(data)
            self._snapshot = upcoming
            return result
        except FileNotFoundError as problem:
            raise NodeUnavailable("a newer snapshot was made meanwhile") from problem
        except OSError as problem:
            raise NodeUnavailable(f"the journal's snapshot cannot be read: {problem}") from problem
        finally:
            source.close()

    def renew_snapshot(self) -> None:
        """Send the newest snapshot in the background, so that the holder can drop the records before it."""
        link = self._link
        if link is not None and self._connected and not self._sending_snapshot:
            self._sending_snapshot = True
            Deferred.fromCoroutine(self._send_snapshot(link)).addErrback(self._not_sent, link).addBoth(self._sent_it)

    def _not_sent(self, failure: Failure, link: JournalLink) -> None:
        link.cut(NodeUnavailable(f"the snapshot was not sent: {failure.getErrorMessage()}"))

    def _sent_it(self, _: object) -> None:
        self._sending_snapshot = False

    def pump(self) -> None:
        """Send what was appended."""
        if self._connected:
            self._pump()

    def _pump(self) -> None:
        link, tail = self._link, self._tail
        if link is None or self._reading:
            return
        messages: list[bytes] = []  # what waits goes in one write, and is synced at once
        while self._sent < tail.next and self._flying_bytes < _WINDOW:
            entry = tail.recent.find(self._sent)
            if entry is None:
                break
            self._note_sent(entry.next, entry.size)
            messages += entry.message
        if messages:
            link.append(messages)
        elif self._sent < min(tail.written, tail.next) and self._flying_bytes < _WINDOW:
            self._read(link)

    def _note_sent(self, upcoming: int, size: int) -> None:
        if not self._flying:
            self._progress_at = self._clock.seconds()
        self._flying.append((upcoming, size))
        self._flying_bytes += size
        self._sent = upcoming

    def _read(self, link: JournalLink) -> None:
        first, tail = self._sent, self._tail
        # The newest lines may be in the files before they are in an entry, which they would cut in two.
        stop = min(tail.written, tail.next)
        run = next(run for run in tail.history.runs(stop) if run.first <= first <= run.last)
        self._reading = True

        def read(result: tuple[bytes, int] | Failure) -> None:
            self._reading = False
            if self._link is not link:
                self.pump()  # a new connection waits for the end of this
            elif isinstance(result, Failure):
                if not result.check(Gone, OSError):
                    self._log.failure("reading the journal for node {node}", result, node=self.node)
                link.cut(NodeUnavailable(f"the journal cannot be read: {result.getErrorMessage()}"))
            else:
                lines, count = result
                self._note_sent(first + count, len(lines))
                link.append(encode_append(Append(first, run.epoch, first, count, lines)))
                self._pump()

        tail.in_thread(lambda: self._lines.read(first, run.last + 1)).addBoth(read)

    def _appended(self, upcoming: int) -> None:
        self._progress_at = self._clock.seconds()
        while self._flying and self._flying[0][0] <= upcoming:
            self._flying_bytes -= self._flying.popleft()[1]
        if upcoming > self.next:
            self.next = upcoming
            self._pump()
            self._advanced()
