"""Turns the errors of a local cluster's folder into errors of commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from splitd.cli.errors import CommandFailed
from splitd.cli.local.folder import FolderError


@contextmanager
def reported_in_one_line() -> Iterator[None]:
    """Make errors in the block end the command with a one-line message.

    :raise UsageError: in place of a ValueError: the arguments are impossible.
    :raise CommandFailed: in place of a FolderError or an OSError.
    """
    try:
        yield
    except ValueError as problem:
        raise click.UsageError(str(problem)) from problem
    except (FolderError, OSError) as problem:
        raise CommandFailed(str(problem)) from problem
