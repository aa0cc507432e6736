"""Does what a plan says."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import attrs
import click

from splitd.cli.crew import Crew
from splitd.cli.errors import CommandFailed, ServerRefused, SomeFailed
from splitd.cli.paths import printable
from splitd.cli.session import Session
from splitd.cli.sync.plan import Plan
from splitd.cli.sync.sides import Side


@attrs.define
class Work:
    """Makes the target like the source.

    :param dry_run: whether it is only told what would be done.
    :param same: whether the bytes of a file are the same on both sides.
    """

    session: Session
    side: Side
    crew: Crew
    dry_run: bool
    same: Callable[[str], bool]
    _left: int = 0

    def do(self, steps: Plan, *, make_top: bool) -> int:
        """Do all steps, even if some of them fail, until the server can no longer be reached.

        :param make_top: whether the target itself must be made.
        :return: how many steps were not tried.
        """
        self.crew.failures += [
            ServerRefused(f"{printable(below)}: a file on one side and a collection on the other; see --delete", 409)
            for below in steps.conflicts
        ]
        for below in steps.delete:
            self._change("delete", self.side.delete, below)
        for below in [""] * make_top + steps.make:
            self._change("make", self.side.make, below)
        for below in steps.transfer:
            self._run(partial(self._transfer, below))
        for below in steps.compare:
            self._run(partial(self._compare, below))
        return self._left

    def _change(self, action: str, change: Callable[[str], None], below: str) -> None:
        if not self.crew.reaches:
            self._left += 1
            return
        try:
            if not self.dry_run:
                change(below)
        except CommandFailed as failure:
            self.crew.failures.append(failure)
        else:
            self._tell(action, below or "/")

    def _run(self, job: Callable[[], None]) -> None:
        if self.crew.reaches:
            self.crew.run(job)
        else:
            self._left += 1

    def _transfer(self, below: str) -> None:
        if not self.dry_run:
            try:
                self.side.transfer(below, self.crew.bar)
            except click.UsageError as refusal:  # of one file among many
                raise SomeFailed(refusal.message) from refusal
        self._tell("transfer", below)

    def _compare(self, below: str) -> None:
        if not self.same(below):
            self._transfer(below)

    def _tell(self, action: str, below: str) -> None:
        if self.session.as_json:
            self.session.show({"action": action, "path": below})
        else:
            click.echo(f"{action:8}  {printable(below)}")
