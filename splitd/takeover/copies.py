"""The copies of the journal on nodes: when a record is acknowledged, and whose copies count."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from splitd.interfaces.journal import CopiesReport, IJournalCopies
from splitd.model.rosters import acknowledged, choose_holders, majority, next_roster, quorum
from splitd.takeover.history import History, begin_epoch, save_history
from splitd.takeover.holder import Holder
from splitd.takeover.lease import Lease, Member
from splitd.takeover.tail import Tail
from storaged.parts.errors import TakenOver
from storaged.parts.interfaces import IJournalHolder
from storaged.parts.journals import Roster
from storaged.system.interfaces import IFilesystem
from storaged.system.once import Once
from storaged.system.parallel import InThread
from storaged.system.periodic import Periodic

_LOOK_S = 0.5
REPLACE_S = 60.0
"""A holder that is away for this long is replaced by another node."""

_SPARE_S = 0.05
"""How much later than the others a holder gets records that a quorum has without it."""

_START_S = 3.0
"""How long a start waits for the copies."""

_END_S = 5.0
"""How long a stop waits for records that too few copies have."""


@implementer(IJournalCopies)
class JournalCopies:
    """Copies of the journal on several nodes.

    :param folder: the journal's folder.
    :param in_thread: makes a blocking call.
    :param members: returns the registered nodes.
    :param clock: schedules calls.
    :param seconds: the clock of the lease; see `Lease`.
    :param wanted: how many copies there should be; at least 1.
    :param required: whether nothing is acknowledged while all wanted copies but one are not there.
    :param new_id: makes the id of a folder, or of a process: 16 hexadecimal digits.
    """

    _log = Logger()

    def __init__(
        self,
        folder: str,
        filesystem: IFilesystem,
        in_thread: InThread,
        members: Callable[[], Sequence[Member]],
        clock: IReactorTime,
        seconds: Callable[[], float],
        *,
        wanted: int,
        required: bool,
        lease_s: float,
        new_id: Callable[[], str],
    ) -> None:
        self._folder = folder
        self._filesystem = filesystem
        self._in_thread = in_thread
        self._members = members
        self._clock = clock
        self._wanted = wanted
        self._required = required
        self._lease_s = lease_s
        self._new_id = new_id
        self._lease = Lease(members, clock, seconds, lease_s, self._changed, self._refused)
        self._looking = Periodic(self._look, _LOOK_S, clock, "looking at the journal's copies")
        self._tail: Tail | None = None
        self._holders: dict[str, Holder] = {}
        self._in_force: Roster | None = None
        self._offered: Roster | None = None
        self._settled = False
        self._started = False
        self._stopped = False
        self._changing = False
        self._refusal = ""
        self._on_confirmed: Callable[[], None] = lambda: None
        self._on_refused: Callable[[str], None] = lambda _: None
        self._ready: Once[None] = Once()
        self._ending: IDelayedCall | None = None
        self._later: IDelayedCall | None = None
        self.confirmed = 1

    def watch(self, confirmed: Callable[[], None], refused: Callable[[str], None]) -> None:
        """Set what to call; see `IJournalCopies`."""
        self._on_confirmed, self._on_refused = confirmed, refused

    def epoch(self) -> int:
        """The epoch that requests to nodes carry: the last one that a majority has accepted; 0 if there was none."""
        return self._tail.history.claimed if self._tail is not None else 0

    def opened(self, upcoming: int, base: int) -> Deferred[None]:
        """Take note of the journal's records; see `IJournalCopies`."""
        return Deferred.fromCoroutine(self._opened(upcoming, base))

    async def _opened(self, upcoming: int, base: int) -> None:
        history: History = await self._in_thread(
            lambda: begin_epoch(self._filesystem, self._folder, self._new_id, upcoming, base)
        )
        self._tail = Tail(
            self._folder, self._filesystem, self._in_thread, history, self._new_id(), upcoming, upcoming, upcoming
        )
        self.confirmed = upcoming

    def start(self) -> Deferred[None]:
        """Claim the epoch, and begin to send copies.  From now on records are acknowledged when a quorum has them.

        :return: a Deferred that fires with None when all copies are there, and after `_START_S` at the latest.
        """
        if self._tail is None:
            return succeed(None)  # the journal cannot be written, so nothing can be changed
        self._started = True
        self._lease.begin(self._tail.history.epoch, self._tail.history.front, self._tail.run)
        self._looking.start()
        return self._ready.wait().addTimeout(_START_S, self._clock, lambda *_: None)

    def end_waits(self) -> None:
        """Let records that wait for copies fail after some seconds, because the front stops."""
        if self._started and not self._stopped and self._ending is None:
            self._ending = self._clock.callLater(_END_S, self._end_waits)

    def _end_waits(self) -> None:
        self._ending = None
        self._on_refused("the front stops, and too few nodes have confirmed the record")

    def stop(self) -> Deferred[None]:
        """End all connections; nothing is acknowledged any more.

        :return: a Deferred that fires with None when no work is in progress.
        """
        self._stopped = True
        for call in (self._ending, self._later):
            if call is not None:
                call.cancel()
        self._ending = self._later = None
        self._ready.fire(None)
        for holder in self._holders.values():
            holder.stop()
        self._lease.stop()
        return self._looking.stop()

    def send(self, lines: list[bytes], *, durable: bool) -> None:
        """Send lines; see `IJournalCopies`.

        Lines for which nobody waits go with the next one for which somebody does: that saves the holders a sync.
        """
        tail = self._tail
        assert tail is not None
        if tail.recent.collect(lines) or durable:
            self._send(tail)

    def _send(self, tail: Tail) -> None:
        entry = tail.recent.seal(tail.history.epoch, tail.next)
        if entry is not None:
            tail.next = entry.next
            spare = self._spare()
            for holder in self._holders.values():
                if holder is not spare:
                    holder.pump()
            if spare is not None and self._later is None:
                self._later = self._clock.callLater(_SPARE_S, self._pump_all)

    def _spare(self) -> Holder | None:
        """Return the holder that a quorum can do without, if there is one: that which is the furthest behind.

        It gets records later, many in one message.  One that stops to answer falls behind, and takes this place.
        """
        roster = self._in_force
        if roster is None or self._offered is not None:
            return None
        connected = [self._holders[node] for node in roster.holders if self._is_connected(node)]
        spare = len(connected) > quorum(roster)
        return min(reversed(connected), key=lambda holder: holder.next) if spare else None

    def _pump_all(self) -> None:
        self._later = None
        for holder in self._holders.values():
            holder.pump()

    def written(self, upcoming: int, durable: bool) -> None:
        """Take note of what is in the files; see `IJournalCopies`."""
        tail = self._tail
        assert tail is not None
        tail.written = upcoming
        if durable:
            tail.durable = upcoming
        tail.recent.drop(upcoming)
        self._confirm()
        roster = self._in_force
        if self.confirmed < tail.durable and roster is not None and self._present() < quorum(roster):
            self._changed()

    def compacted(self) -> None:
        """Send the new snapshot; see `IJournalCopies`."""
        for holder in self._holders.values():
            holder.renew_snapshot()

    @property
    def unavailable(self) -> str:
        """Why changes are refused just now; empty if they are not."""
        if not self._started or self._stopped or self._refusal:
            return ""
        if self._lease.age_s >= 2 * self._lease_s:
            members = len(self._members())
            return (
                f"{self._lease.reached()} of {members} nodes have confirmed epoch {self._epoch} of this front "
                f"in the last {self._lease_s:g} s, and {majority(members)} are needed"
            )
        if self._required and self._settled and self._is_short():
            return f"journal copies: {self._present()} of {self._copies}, and journal_copies_required is set"
        return ""

    @property
    def _epoch(self) -> int:
        return self._tail.history.epoch if self._tail is not None else 0

    @property
    def _copies(self) -> int:
        return min(self._wanted, len(self._members()))

    def _least(self) -> int:
        return max(1, self._copies - 1) if self._required else 0

    def _is_short(self) -> bool:
        return self._in_force is None or quorum(self._in_force) < self._least() or self._present() < self._least()

    def _present(self) -> int:
        roster = self._in_force
        return sum(self._is_connected(holder) for holder in roster.holders) if roster is not None else 0

    def _is_connected(self, node: str) -> bool:
        return node in self._holders and self._holders[node].connected

    def report(self) -> CopiesReport:
        """Describe the copies; see `IJournalCopies`."""
        roster, tail = self._in_force, self._tail
        return CopiesReport(
            wanted=self._wanted,
            present=self._present(),
            epoch=self._epoch,
            front=tail.history.front if tail is not None else "",
            confirmed=self._lease.valid,
            problem=self._refusal or self.unavailable,
            holders=[
                holder.report(self.confirmed, counts=roster is not None and node in roster.holders)
                for node, holder in self._holders.items()
            ],
        )

    def _refused(self, problem: TakenOver) -> None:
        if not self._refusal and not self._stopped:
            self._refusal = str(problem)
            self.stop()
            self._on_refused(self._refusal)

    def _look(self) -> None:
        if self._tail is not None:
            self._send(self._tail)
        down = {member.id for member in self._members() if not member.usable}
        for node, holder in list(self._holders.items()):
            holder.look(usable=node not in down)
        self._changed()

    def _advanced(self) -> None:
        """Acknowledge what a holder has synced.  Much more is to be done only while a holder is to be added."""
        roster = self._in_force
        if roster is None or len(roster.holders) < min(self._wanted, len(self._holders)):
            self._changed()
        else:
            self._confirm()

    def _changed(self) -> None:
        """Draw all consequences of a change.  Calls from within do nothing: the outermost one sees what they saw."""
        if self._changing or self._stopped or self._tail is None:
            return
        self._changing = True
        try:
            self._establish(self._tail)
            self._settle()
            self._govern(self._tail)
        finally:
            self._changing = False
        self._confirm()

    def _establish(self, tail: Tail) -> None:
        """Offer the first roster of this epoch, once the epoch is the front's own.

        Nothing is acknowledged before a majority keeps it: an older roster that a minority keeps could count otherwise.
        """
        if not self._lease.established or self._offered is not None or self._settled:
            return
        newest = self._lease.newest_roster()
        generation, holders = (newest.generation, newest.holders) if newest is not None else (0, ())
        self._offer(Roster(tail.history.epoch, generation + 1, self._copies, holders))
        tail.history = tail.history.own()
        self._in_thread(lambda: save_history(self._filesystem, self._folder, tail.history)).addErrback(
            lambda failure: self._log.failure("noting the epoch", failure)
        )
        self._log.info("epoch {epoch} is claimed", epoch=tail.history.epoch)

    def _offer(self, roster: Roster) -> None:
        self._offered = roster
        self._lease.offer(roster)

    def _settle(self) -> None:
        if self._offered is not None and self._lease.is_kept(self._offered):
            self._in_force, self._offered, self._settled = self._offered, None, True
            count, wanted = len(self._in_force.holders), self._in_force.copies
            log = self._log.info if count >= wanted else self._log.warn
            log(
                "journal copies: {count} of {wanted} ({holders})",
                count=count,
                wanted=wanted,
                holders=", ".join(self._in_force.holders),
            )

    def _govern(self, tail: Tail) -> None:
        """Keep as many holders as are wanted, and offer a new roster where that is needed."""
        roster = self._in_force
        if not self._settled or self._offered is not None or roster is None:
            return
        members = {member.id: member for member in self._members()}
        lost = [node for node in self._holders if node not in members or self._is_lost(self._holders[node])]
        self._choose(tail, roster, members, lost)
        in_sync = [node for node, holder in self._holders.items() if holder.connected and holder.next >= self.confirmed]
        upcoming = next_roster(
            roster,
            tail.history.epoch,
            self._copies,
            connected=[node for node, holder in self._holders.items() if holder.connected],
            in_sync=in_sync,
            lost=lost,
            least=self._least(),
        )
        if upcoming is not None and not self._needless(roster, upcoming, tail):
            self._offer(upcoming)
        elif self._present() >= self._copies:
            self._ready.fire(None)

    def _needless(self, roster: Roster, upcoming: Roster, tail: Tail) -> bool:
        """Whether a roster would shrink though no record waits for it: when a whole cluster stops, none should."""
        shrinks = upcoming.copies == roster.copies and len(upcoming.holders) < len(roster.holders)
        return shrinks and self.confirmed >= tail.durable

    def _is_lost(self, holder: Holder) -> bool:
        return holder.away_since is not None and self._clock.seconds() - holder.away_since > REPLACE_S

    def _choose(self, tail: Tail, roster: Roster, members: dict[str, Member], lost: Sequence[str]) -> None:
        for node in [node for node in lost if node not in roster.holders]:
            self._holders.pop(node).stop()
        wanted = [node for node in roster.holders if node in members]
        kept = [node for node in {*wanted, *self._holders} if node not in lost]
        zones = {node: member.zone for node, member in members.items() if node in self._holders or member.usable}
        candidates = {node: zone for node, zone in zones.items() if node not in lost}
        for node in [*wanted, *choose_holders(candidates, kept, self._copies - len(kept))]:
            if node not in self._holders:
                holder = Holder(
                    node, self._finder(node), tail, self._clock, self._changed, self._advanced, self._refused
                )
                self._holders[node] = holder
                holder.start()

    def _finder(self, node: str) -> Callable[[], IJournalHolder | None]:
        return lambda: next((member.holder for member in self._members() if member.id == node), None)

    def _confirm(self) -> None:
        """Acknowledge what may be acknowledged."""
        tail = self._tail
        if tail is None or self._stopped or tail.durable <= self.confirmed:
            return
        value = tail.durable
        if self._started:
            rosters = [each for each in (self._in_force, self._offered) if each is not None]
            if self._in_force is None or not self._settled or not self._lease.valid:
                return
            if self._required and self._is_short():
                return
            positions = {node: holder.next for node, holder in self._holders.items()}
            value = min(acknowledged(roster, positions, value) for roster in rosters)
            # A holder that is about to be added must have all that is acknowledged.  Under load it would always be one
            # message behind, so it counts already.
            for node, holder in self._holders.items():
                if all(node not in roster.holders for roster in rosters) and holder.near:
                    value = min(value, max(self.confirmed, holder.next))
        if value > self.confirmed:
            self.confirmed = value
            self._on_confirmed()
