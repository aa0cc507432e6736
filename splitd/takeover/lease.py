"""The claim of an epoch on all nodes, and its renewal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as AskedTooLong
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from splitd.model.rosters import majority
from storaged.parts.errors import StoragedError, TakenOver
from storaged.parts.interfaces import IJournalHolder
from storaged.parts.journals import Claim, Roster
from storaged.system.periodic import Periodic

_RENEWALS = 4
"""How often in the time of the lease the nodes are asked."""


@attrs.frozen
class Member:
    """A registered node that may come back; one that is lost is none.

    :param usable: whether it seems to be well.
    """

    id: str
    zone: str
    holder: IJournalHolder
    usable: bool


@attrs.define
class _Answer:
    """The newest answer of a node.

    :param asked_at: when it was asked, in seconds.
    :param roster: the roster that it keeps.
    """

    asked_at: float
    roster: Roster | None


class Lease:
    """Asks all nodes to confirm the front's epoch, and to keep its roster.

    :param members: returns the registered nodes.
    :param clock: schedules the questions.
    :param seconds: the clock of the lease; it must go on while the machine sleeps.
    :param lease_s: for how many seconds an answer counts.
    :param changed: called after each answer.
    :param refused: called with the error when another front has taken over.
    :ivar established: whether a majority has accepted the epoch once.
    """

    _log = Logger()

    def __init__(
        self,
        members: Callable[[], Sequence[Member]],
        clock: IReactorTime,
        seconds: Callable[[], float],
        lease_s: float,
        changed: Callable[[], None],
        refused: Callable[[TakenOver], None],
    ) -> None:
        self._members = members
        self._clock = clock
        self._seconds = seconds
        self._lease_s = lease_s
        self._changed = changed
        self._refused = refused
        self._epoch = 0
        self._front = self._run = ""
        self._offered: Roster | None = None
        self._answers: dict[str, _Answer] = {}
        self._busy: set[str] = set()
        self._asking: set[Deferred[None]] = set()
        self._stopped = False
        self._confirmed_at = -math.inf
        self._rounds = Periodic(self._ask_all, lease_s / _RENEWALS, clock, "confirming the epoch")
        self.established = False

    def begin(self, epoch: int, front: str, run: str) -> None:
        """Begin to claim an epoch."""
        self._epoch, self._front, self._run = epoch, front, run
        self._rounds.start(0)

    def stop(self) -> Deferred[None]:
        """Ask no more, and cancel the pending questions."""
        self._stopped = True
        for asking in list(self._asking):
            asking.cancel()
        return self._rounds.stop()

    def offer(self, roster: Roster) -> None:
        """Ask all nodes to keep a roster."""
        self._offered = roster
        self._ask_all()

    def newest_roster(self) -> Roster | None:
        """Return the newest roster that a node has answered with."""
        return max((each.roster for each in self._answers.values() if each.roster is not None), default=None)

    def is_kept(self, roster: Roster) -> bool:
        """Whether a majority of the nodes keeps a roster."""
        return self._count(lambda answer: answer.roster == roster) >= majority(len(self._members()))

    @property
    def valid(self) -> bool:
        """Whether a majority has confirmed the epoch within the time of the lease."""
        return self.age_s < self._lease_s

    @property
    def age_s(self) -> float:
        """For how many seconds a majority has not confirmed the epoch: infinite if it never has."""
        return self._seconds() - self._confirmed_at

    def _count_again(self) -> None:
        """Find out when a majority was last asked that has answered."""
        answers = [self._answers.get(member.id) for member in self._members()]
        times = sorted((-math.inf if answer is None else answer.asked_at for answer in answers), reverse=True)
        count = majority(len(times))
        self._confirmed_at = times[count - 1] if len(times) >= count else -math.inf

    def reached(self) -> int:
        """Count the nodes that have confirmed the epoch within the time of the lease."""
        now = self._seconds()
        return self._count(lambda answer: now - answer.asked_at < self._lease_s)

    def _count(self, holds: Callable[[_Answer], bool]) -> int:
        answers = [self._answers.get(member.id) for member in self._members()]
        return sum(answer is not None and holds(answer) for answer in answers)

    def _ask_all(self) -> None:
        self._count_again()  # there may be more nodes
        for member in self._members():
            if member.id not in self._busy and not self._stopped:
                self._busy.add(member.id)
                asking = Deferred.fromCoroutine(self._ask(member))
                self._asking.add(asking)
                asking.addBoth(self._asked, member.id, asking)

    def _asked(self, _: object, node: str, asking: Deferred[None]) -> None:
        self._busy.discard(node)
        self._asking.discard(asking)

    async def _ask(self, member: Member) -> None:
        while not self._stopped:
            offered, asked_at = self._offered, self._seconds()
            claim = Claim(
                self._epoch, self._front, self._run, self._epoch - 1, any_front=self.established, roster=offered
            )
            try:
                standing = await member.holder.claim(claim).addTimeout(self._lease_s, self._clock)
            except CancelledError:
                raise
            except TakenOver as problem:
                self._refused(problem)
                return
            except (StoragedError, AskedTooLong):
                return  # it is asked again in the next round
            except Exception:
                self._log.failure("asking node {node} to confirm the epoch", node=member.id)
                return
            self._answers[member.id] = _Answer(asked_at, standing.roster)
            self._count_again()
            if not self.established and self.valid:
                self.established = True
            self._changed()
            if offered == self._offered:
                return
