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


@attrs.frozen
class Meter:
    """The progress of a transfer."""

    _progress: Progress
    _task: TaskID

    def begin(self, name: str) -> None:
        """Show the name of the file that is being transferred."""
        self._progress.update(self._task, description=escape(printable(name)))

    def advance(self, count: int) -> None:
        """Count more bytes as moved."""
        self._progress.advance(self._task, count)


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
