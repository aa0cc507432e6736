"""Threads that own a connection to the database each, and do jobs in batches."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import psycopg
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from splitd.catalog.sql.exclusion import Excluded
from splitd.errors import CatalogAway

RETRY_S = 1.0
"""How long to wait before a database that is away is tried again."""


class Job:
    """Something to do in a thread.

    :ivar alone: whether no other job may be done in the same batch.
    :ivar done: called with the result or a `Failure`, in the reactor's thread.
    """

    alone = False

    def __init__(self, done: Callable[[Any], object]) -> None:
        self.done = done


class Worker(Protocol):
    """Does batches of jobs on one connection."""

    def open(self) -> None:
        """Connect, unless it is connected; find out whether the database works.

        :raise psycopg.Error: it does not.
        """

    def work(self, batch: Sequence[Job]) -> Sequence[Any]:
        """Do a batch.

        :return: the result of each job, or a `Failure`.
        :raise psycopg.Error: the database does not work.
        """

    def settle(self) -> None:
        """End what the last batch has left behind, once its results are on their way.  It raises nothing."""

    def idle(self) -> float:
        """Do what is due without a job.

        :return: after how many seconds to call it again.
        """

    def close(self) -> None:
        """Close the connection."""


class Lane:
    """A queue of jobs, and the thread that does them.

    While the database is away, jobs fail at once; the thread tries it again every second.

    :param reactor: calls back.
    :param worker: does the jobs in the thread.
    :param most: how many jobs a batch has at most.
    :param stalled: returns why no job should be taken now, though the database is not away; empty if nothing speaks
        against it.
    :ivar problem: why the database is away; empty if it is not, as far as this lane knows.
    """

    _log = Logger()

    def __init__(
        self, name: str, reactor: Any, worker: Worker, most: int, stalled: Callable[[], str] = lambda: ""
    ) -> None:
        self._name = name
        self._reactor = reactor
        self._worker = worker
        self._most = most
        self._stalled = stalled
        self._jobs: deque[Job] = deque()
        self._condition = threading.Condition()
        self._started = self._stopped = False
        self._thread = threading.Thread(target=self._run, args=(worker,), name=name, daemon=True)
        self.problem = ""

    def __len__(self) -> int:
        return len(self._jobs)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()
        self._started = True

    def stop(self) -> Deferred[None]:
        """Do the jobs that wait, and end the thread.

        :return: a Deferred that fires with None when it has ended.
        """
        stopped: Deferred[None] = Deferred()
        with self._condition:
            self._stopped = True
            self._condition.notify_all()

        def wait() -> None:
            if self._started:
                self._thread.join()
            self._reactor.callFromThread(stopped.callback, None)

        threading.Thread(target=wait, name=f"{self._name}-stop", daemon=True).start()
        return stopped

    def submit(self, jobs: Sequence[Job]) -> None:
        """Queue jobs.  Those that come together are done together, unless they are too many."""
        problem = self.problem or self._stalled()
        if problem or self._stopped:
            failure = Failure(CatalogAway(problem or "the catalog was closed"))
            for job in jobs:
                job.done(failure)
            return
        with self._condition:
            self._jobs.extend(jobs)
            self._condition.notify()

    def _take(self, idle_s: float) -> list[Job] | None:
        """Wait for jobs; return None at the end."""
        with self._condition:
            if not self._jobs and not self._stopped:
                self._condition.wait(RETRY_S if self.problem else idle_s)
            if not self._jobs:
                return None if self._stopped else []
            batch = [self._jobs.popleft()]
            while self._jobs and len(batch) < self._most and not (batch[0].alone or self._jobs[0].alone):
                batch.append(self._jobs.popleft())
            if self._jobs:
                self._condition.notify()
            return batch

    def _run(self, worker: Worker) -> None:
        due = 0.0
        while (batch := self._take(max(0.0, due - time.monotonic()))) is not None:
            try:
                if self.problem:
                    worker.open()
                    self._back()
                if batch:
                    outcomes = worker.work(batch)
                    self._reactor.callFromThread(_deliver, batch, outcomes)
                    batch = []  # done, whatever fails from here on
                    worker.settle()
                if time.monotonic() >= due:
                    due = time.monotonic() + worker.idle()
            except Exception as problem:
                self._away(problem, batch)
                due = time.monotonic() + RETRY_S
        worker.close()

    def _back(self) -> None:
        self._log.info("catalog: the database answers again ({lane})", lane=self._name)
        self.problem = ""

    def _away(self, problem: Exception, batch: Sequence[Job]) -> None:
        if not isinstance(problem, psycopg.Error):
            self._log.failure("catalog: a batch of jobs")
        elif not self.problem:
            self._log.error("catalog: the database is away ({lane}): {why}", lane=self._name, why=problem)
        if isinstance(problem, Excluded):
            self.problem = str(problem)
        elif isinstance(problem, psycopg.Error):
            self.problem = "the database of the catalog does not answer"  # where it is, is for the log only
        failure = Failure(CatalogAway(self.problem) if self.problem else problem)
        with self._condition:
            jobs = [*batch, *self._jobs] if self.problem else list(batch)
            if self.problem:
                self._jobs.clear()
        if jobs:
            self._reactor.callFromThread(_deliver, jobs, [failure] * len(jobs))


def _deliver(batch: Sequence[Job], outcomes: Sequence[Any]) -> None:
    for job, outcome in zip(batch, outcomes, strict=True):
        job.done(outcome)
