"""Does several transfers at once, each in a thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import attrs
import click

from splitd.cli.errors import CommandFailed, SomeFailed, Unreachable
from splitd.cli.progress import Meter

AT_ONCE = 4

jobs_option = click.option(
    "-j", "--jobs", type=click.IntRange(1, 64), default=AT_ONCE, show_default=True, help="Transfer so many at once."
)


@attrs.define
class Crew:
    """Runs jobs in threads until all are done, or the server can no longer be reached.

    Used in a `with` block: its end waits for the jobs.  If the block raises, as on Ctrl-C, the transfers that are under
    way are ended.

    :param jobs: how many run at once.
    :param bar: the bar of these transfers; it ends them if the command is ended.
    :param failures: of the jobs that failed; others may add their own.
    """

    jobs: int
    bar: Meter
    failures: list[CommandFailed] = attrs.field(factory=list)
    _pool: ThreadPoolExecutor = attrs.field(init=False)
    _running: set[Future[object]] = attrs.field(init=False, factory=set)

    def __enter__(self) -> Crew:
        self._pool = ThreadPoolExecutor(self.jobs)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            try:
                while self._running:
                    self._collect()
            except BaseException:
                self.bar.end_transfers()
                raise
            finally:
                self._pool.shutdown(cancel_futures=True)
        else:
            self.bar.end_transfers()
            self._pool.shutdown(cancel_futures=True)

    @property
    def reaches(self) -> bool:
        """Whether the server could be reached by all jobs."""
        return not any(isinstance(failure, Unreachable) for failure in self.failures)

    def run(self, job: Callable[[], object]) -> None:
        """Run a job as soon as there is a free thread for it, and return then; if only one runs at once, run it here.

        :param job: it may raise CommandFailed, which is kept.
        """
        if self.jobs == 1:
            self._note(job)
            return
        while len(self._running) >= self.jobs:
            self._collect()
        self._running.add(self._pool.submit(job))

    def _collect(self) -> None:
        done, self._running = wait(self._running, return_when=FIRST_COMPLETED)
        for each in done:
            self._note(each.result)

    def _note(self, job: Callable[[], object]) -> None:
        try:
            job()
        except CommandFailed as failure:
            self.failures.append(failure)


def report(failures: list[CommandFailed], left: int) -> None:
    """Raise one error for all failures, if there are any.

    :param left: how many transfers were not tried.
    :raise Unreachable: the server could not be reached.
    :raise SomeFailed: other things failed.
    """
    if not failures:
        return
    lines = [f"{len(failures)} failed" + (f" and {left} more were not tried" if left else "") + ":"]
    lines += [f"  {failure.message}" for failure in failures]
    unreachable = any(isinstance(failure, Unreachable) for failure in failures)
    raise Unreachable("\n".join(lines)) if unreachable else SomeFailed("\n".join(lines))
