"""Shows a bar on the terminal while bytes move; nothing if there is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from splitd.cli.paths import printable


class Ended(Exception):
    """The command was ended while a transfer was under way in a thread."""


@attrs.define
class Meter:
    """The progress of a command's transfers, which may run in several threads."""

    _progress: Progress
    _task: TaskID
    _ended: bool = False

    def begin(self, name: str) -> None:
        """Show the name of the file that is being transferred."""
        self._progress.update(self._task, description=escape(printable(name)))

    def expect(self, count: int) -> None:
        """Count more bytes as wanted, where the total is not known in advance."""
        total = self._progress.tasks[0].total or 0
        self._progress.update(self._task, total=total + count)

    def advance(self, count: int) -> None:
        """Count more bytes as moved.

        :raise Ended: the transfer should end.
        """
        if self._ended:
            raise Ended
        self._progress.advance(self._task, count)

    def end_transfers(self) -> None:
        """Make each transfer end at its next byte, because the command ends."""
        self._ended = True


@contextmanager
def meter(total: int | None) -> Iterator[Meter]:
    """Show a bar on stderr, if that is a terminal.

    :param total: how many bytes will move; None if unknown.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        yield Meter(progress, progress.add_task("", total=total))
