"""What commands say where the folder of a local cluster cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from splitd.cli.errors import CommandFailed
from splitd.cli.local.folder import FolderError


@contextmanager
def reported_in_one_line() -> Iterator[None]:
    """Let what goes wrong end the command with one line.

    :raise UsageError: in place of a ValueError: what was asked for cannot be.
    :raise CommandFailed: in place of a FolderError or an OSError.
    """
    try:
        yield
    except ValueError as problem:
        raise click.UsageError(str(problem)) from problem
    except (FolderError, OSError) as problem:
        raise CommandFailed(str(problem)) from problem
