"""Walks: work of the upkeep that goes through the store, one front at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from splitd.errors import CatalogReadOnly, DoneElsewhere
from splitd.interfaces.leases import UPKEEP, ILeases
from splitd.upkeep.tasks import TaskNotes
from storaged.http import reason_of
from storaged.system.parallel import lasting
from storaged.system.periodic import Periodic


class Lease:
    """The lease of one task, as the work under it sees it.

    :param task: what one front at a time does; see `ILeases`.
    :param notes: keeps notes of what operators have started; None for none.
    """

    _log = Logger()

    def __init__(self, leases: ILeases, task: str, notes: TaskNotes | None = None) -> None:
        self._leases = leases
        self._task = task
        self._notes = notes

    async def acquire(self, about: str = "") -> None:
        """Acquire the lease, for what an operator has started; `release` must follow unless this fails or is cancelled.

        :param about: the path that it is about; empty for none.
        :raise DoneElsewhere: another front has it.
        :raise CatalogAway: the catalog does not answer.
        :raise CatalogReadOnly: the catalog cannot be written.
        """
        noted: Deferred[None] = succeed(None)
        try:
            await self.confirm()
            if self._notes is not None:
                noted = Deferred.fromCoroutine(self._notes.begin(self._task, about))
                await lasting(noted)
        except BaseException:
            # Whoever has cancelled this may have been too late: there may be a lease by now, and a note soon.
            noted.addCallback(lambda _: Deferred.fromCoroutine(self.release()))
            noted.addErrback(lambda failure: self._log.failure("releasing a lease", failure))
            raise

    async def confirm(self) -> None:
        """Acquire the lease, or make sure that this front still has it: before each change of the work under it.

        :raise DoneElsewhere: another front has it.
        :raise CatalogAway: the catalog does not answer.
        """
        if not await self._leases.hold(self._task):
            raise DoneElsewhere(f"another front that shares the catalog does this now ({self._task})")

    async def release(self) -> None:
        """Release the lease: others can acquire it at once.  Cancelling this only ends the wait."""
        try:
            if self._notes is not None:
                await lasting(Deferred.fromCoroutine(self._notes.end(self._task)))
        except CatalogReadOnly as problem:
            self._log.info("{task}: its note is left: {why}", task=self._task, why=reason_of(problem))
        finally:
            await self._leases.release(self._task)


@attrs.define
class WalkReport:
    """A walk of the upkeep, as of its last round.

    :param name: what it does.
    :param state: "idle" between two rounds, "running", "elsewhere" if another front does it, "waiting" if nothing can
        be changed now.
    :param rounds: how many rounds have come to their end since the start of the front.
    :param problem: why the last round did not come to its end; empty if it did.
    """

    name: str
    state: str = "idle"
    rounds: int = 0
    problem: str = ""


class Walk:
    """Work that is done in rounds at regular intervals, by the front that has the lease of the upkeep.

    A round that ends early has done a part of its work, and the next one, of this front or another one, does the rest.

    :param work: does one round.  It calls `step` before each change.
    :param interval_s: seconds from the beginning of a round to the beginning of the next.
    :ivar report: its state.
    """

    def __init__(
        self, name: str, work: Callable[[], Awaitable[None]], leases: ILeases, clock: IReactorTime, interval_s: float
    ) -> None:
        self._work = work
        self._lease = Lease(leases, UPKEEP)
        self._clock = clock
        self._rounds = Periodic(self.look, interval_s, clock, name)
        self.report = WalkReport(name)

    def start(self, first_s: float | None = None) -> None:
        """Begin.  To be called once; does nothing after `stop`.

        :param first_s: seconds until the first round; None for an interval.
        """
        self._rounds.start(first_s)

    def stop(self, *, cancel: bool = True) -> Deferred[None]:
        """Begin no more rounds.  May be called again, and before `start`.

        :param cancel: whether to cancel the round in progress.
        :return: a Deferred that fires with None when no round is in progress.
        """
        return self._rounds.stop(cancel=cancel)

    def look(self) -> Deferred[None]:
        """Do a round now, if this front does the upkeep.

        :return: a Deferred that fires with None when it has ended, or cannot be done now.  Cancelling it ends it.
        """
        return Deferred.fromCoroutine(self._look())

    async def step(self) -> None:
        """Let other work run, and make sure that this front still does the upkeep: before each change.

        :raise DoneElsewhere: another front does it; the round ends.
        :raise CatalogAway: the catalog does not answer.
        """
        await deferLater(self._clock, 0)
        await self._lease.confirm()

    async def confirm(self) -> None:
        """Do as `step` does, but at once."""
        await self._lease.confirm()

    async def _look(self) -> None:
        report, state, problem = self.report, "idle", ""
        try:
            await self._lease.confirm()
            report.state = "running"
            await self._work()
            report.rounds += 1
        except DoneElsewhere:
            state = "elsewhere"
        except CatalogReadOnly as failure:
            state, problem = "waiting", reason_of(failure)  # the next round does it
        except CancelledError:
            raise
        except BaseException as failure:
            problem = reason_of(failure)
            raise
        finally:
            report.state, report.problem = state, problem


class Walks:
    """Makes walks, and knows their states.

    :param leases: those of the catalog.
    :param clock: measures the intervals.
    :param notes: keeps notes of what operators have started; None for none.
    """

    def __init__(self, leases: ILeases, clock: IReactorTime, notes: TaskNotes | None = None) -> None:
        self._leases = leases
        self._notes = notes
        self._clock = clock
        self._made: list[Walk] = []

    def walk(self, name: str, work: Callable[[], Awaitable[None]], interval_s: float) -> Walk:
        """Make a walk; see `Walk`."""
        walk = Walk(name, work, self._leases, self._clock, interval_s)
        self._made.append(walk)
        return walk

    def lease(self, task: str) -> Lease:
        """Return the lease of a task, for work that does not come in rounds."""
        return Lease(self._leases, task, self._notes)

    def reports(self) -> list[WalkReport]:
        """Return the states of all walks."""
        return [walk.report for walk in self._made]
