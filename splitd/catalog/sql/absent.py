"""What stands in the status in place of a journal, where the catalog is a database."""

from __future__ import annotations

from collections.abc import Callable

from splitd.interfaces.journal import JournalStatistics


class NoJournal:
    """A journal that has no records.

    :param problem: returns why nothing can be changed now; empty if nothing speaks against it.
    :ivar failure: why nothing can be changed until a restart: never.
    """

    failure = ""

    def __init__(self, problem: Callable[[], str]) -> None:
        self._problem = problem

    @property
    def unavailable(self) -> str:
        """Why nothing should be changed just now; empty if nothing speaks against it."""
        return self._problem()

    @property
    def statistics(self) -> JournalStatistics:
        """Nothing was written to it."""
        return JournalStatistics(
            records=0,
            size=0,
            segments=0,
            appended=0,
            syncs=0,
            largest_batch=0,
            compactions=0,
            compacting=False,
            compaction_problem="",
            failure="",
        )
