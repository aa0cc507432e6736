"""The commands `splitctl sync up` and `splitctl sync down`."""

from __future__ import annotations

from pathlib import Path

import attrs
import click

from splitd.cli.completion import REMOTE_PATH
from splitd.cli.crew import Crew, jobs_option, report
from splitd.cli.errors import CommandFailed, ServerRefused, SomeFailed
from splitd.cli.fetching import retries_option
from splitd.cli.get import Fetcher
from splitd.cli.paths import clean_path, join_path, printable
from splitd.cli.progress import meter
from splitd.cli.put import Sender
from splitd.cli.session import Session, pass_session
from splitd.cli.sync.plan import plan
from splitd.cli.sync.sides import Down, Up, local_tree, remote_tree, same_bytes
from splitd.cli.sync.work import Work

_delete = click.option("--delete", is_flag=True, help="Delete what is only in the target, or of another kind there.")
_dry_run = click.option("-n", "--dry-run", is_flag=True, help="Only say what would be done.")
_checksum = click.option(
    "--checksum",
    is_flag=True,
    help="Compare files of the same size by their SHA-256, not by time.  This reads all of them on both sides.",
)


@click.group()
def sync() -> None:
    """Make a collection like a folder (up), or a folder like a collection (down).

    Only what differs is transferred: a file whose size differs, or whose source was changed after its target.  The
    clocks of both sides should agree; with --checksum, times do not matter.
    """


@sync.command()
@_delete
@_checksum
@_dry_run
@jobs_option
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("path", type=REMOTE_PATH)
@pass_session
def up(session: Session, *, delete: bool, checksum: bool, dry_run: bool, jobs: int, folder: Path, path: str) -> None:
    """Make the collection PATH like FOLDER.  It is made if it does not exist."""
    failures: list[CommandFailed] = []
    here, there = local_tree(folder, failures), remote_tree(session.front, path)
    if failures and delete:
        lines = "\n".join(f"  {failure.message}" for failure in failures)
        raise SomeFailed(f"nothing was done, for --delete needs to see all of {printable(str(folder))}:\n{lines}")
    steps = plan(here, there or {}, delete=delete, checksum=checksum)
    path = clean_path(path)
    side = Up(session.front, folder, path, Sender(attrs.evolve(session, as_json=False)))
    with meter(sum(here[below].size or 0 for below in steps.transfer)) as bar, Crew(jobs, bar, failures) as crew:
        work = Work(
            session,
            side,
            crew,
            dry_run,
            lambda below: same_bytes(session.front, join_path(path, below), folder / below),
        )
        left = work.do(steps, make_top=there is None)
    report(failures, left)


@sync.command()
@_delete
@_checksum
@_dry_run
@retries_option
@jobs_option
@click.argument("path", type=REMOTE_PATH)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@pass_session
def down(
    session: Session, *, delete: bool, checksum: bool, dry_run: bool, retries: int, jobs: int, path: str, folder: Path
) -> None:
    """Make FOLDER like the collection PATH.  It is made if it does not exist.

    Each file gets the time at which it was stored as its own.
    """
    failures: list[CommandFailed] = []
    there = remote_tree(session.front, path)
    if there is None:
        raise ServerRefused(f"{printable(path)}: there is no collection of this name", 404)
    is_there = folder.is_dir()
    steps = plan(there, local_tree(folder, failures) if is_there else {}, delete=delete, checksum=checksum)
    path = clean_path(path)
    fetcher = Fetcher(attrs.evolve(session, as_json=False), force=True, retries=retries)
    with meter(0) as bar, Crew(jobs, bar, failures) as crew:
        work = Work(
            session,
            Down(folder, path, fetcher, there),
            crew,
            dry_run,
            lambda below: same_bytes(session.front, join_path(path, below), folder / below),
        )
        left = work.do(steps, make_top=not is_there)
    report(failures, left)
