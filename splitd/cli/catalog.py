"""splitctl catalog: looks after a catalog in a database."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from splitd.cli.errors import ServerRefused
from splitd.cli.fronts import front_table
from splitd.cli.journal import JournalFolderType
from splitd.cli.session import Session, output, pass_session
from splitd.errors import JournalDamaged, RecoveryRefused
from splitd.takeover.history import load_history
from storaged.system.filesystem import FolderLock, FolderTaken, OSFilesystem
from storaged.system.sizes import format_size

if TYPE_CHECKING:
    from splitd.catalog.sql.copying import Contents

url_argument = click.argument("url", metavar="URL")


@click.group()
def catalog() -> None:
    """Look after a catalog that is kept in a PostgreSQL database.

    URL is that of the setting `catalog`: postgresql://USER:PASSWORD@HOST/DATABASE.
    """


@catalog.command()
@url_argument
@pass_session
def migrate(session: Session, url: str) -> None:
    """Bring the tables of a catalog to the version that this program needs.

    Run it with the new program before the first front is upgraded.  Fronts of the old version go on meanwhile.  If they
    could not work with the new tables, it refuses: then stop all of them, and run it again.  A front makes the tables
    of an empty database by itself.
    """
    from splitd.cli import database

    with database.connected(url) as connection:
        applied = database.migrate(connection)
    if session.as_json:
        session.show({"version": database.migrations()[-1].version, "applied": [each.version for each in applied]})
        return
    for each in applied:
        click.echo(f"applied {each.version}: {each.name}")
    click.echo(f"the catalog has version {database.migrations()[-1].version}")


@catalog.command()
@click.option("--from", "source", metavar="FOLDER|URL", required=True, help="The data folder, or the database.")
@click.option("--to", "target", metavar="URL|FOLDER", required=True, help="An empty database, or a new data folder.")
@pass_session
def copy(session: Session, source: str, target: str) -> None:
    """Copy a catalog from a journal into an empty database, or from a database into a new journal.

    The fronts must have been stopped, and cannot start meanwhile.  The copy is compared with what it was made of before
    it counts: if it is interrupted or fails, the database is as empty as before, or no journal is there, and it can be
    repeated.  The original is not changed.  Start the front with the setting `catalog` for the copy afterwards, and
    never again on the original.

    It needs as much memory as a front with that journal.
    """
    if _is_url(source) == _is_url(target):
        raise click.UsageError("one of --from and --to is a folder, the other one a database: postgresql://…")
    found = _copy_back(source, Path(target)) if _is_url(source) else _copy_to_database(source, target)
    if session.as_json:
        session.show({"files": found.files, "bytes": found.bytes})
    else:
        place = target if _is_url(source) else "the database"
        click.echo(f"{found.files:,} files with {format_size(found.bytes)} are in {place}")


def _is_url(place: str) -> bool:
    return place.startswith(("postgresql://", "postgres://"))


def _copy_back(url: str, data: Path) -> Contents:
    from splitd.cli import database

    with database.connected(url) as connection:
        try:
            return database.copy_back(connection, data, OSFilesystem(), lambda: os.urandom(8).hex())
        except RecoveryRefused as problem:
            raise ServerRefused(str(problem), 409) from problem
        except ValueError as problem:
            raise ServerRefused(str(problem), 500) from problem


def _copy_to_database(source: str, url: str) -> Contents:
    from splitd.cli import database

    folder = JournalFolderType().convert(source, None, None)
    lock = FolderLock(str(folder), "splitctl catalog copy")
    try:
        lock.acquire()  # no front changes the journal, or starts on it, before the end
        state = database.read_journal(OSFilesystem(), str(folder))
        history = load_history(OSFilesystem(), str(folder))
        epoch, front = (0, "") if history is None else (history.claimed, history.front)
        with database.connected(url) as connection:
            return database.copy_journal(connection, state, epoch, lambda _: None, front)
    except FolderTaken as problem:
        raise ServerRefused(f"{problem}: stop the front first", 409) from problem
    except (JournalDamaged, ValueError) as problem:
        raise ServerRefused(str(problem), 500) from problem
    finally:
        lock.release()


@catalog.command()
@url_argument
@pass_session
def fronts(session: Session, url: str) -> None:
    """List the fronts that use a catalog, and those that have gone in the last ten minutes.

    `splitctl status` shows them, too, without the URL.
    """
    from splitd.cli import database

    with database.connected(url) as connection:
        version = database.version_of(connection)
        if version:
            database.refuse_older(version)
        fronts = database.read_fronts(connection, "") if version else []
    found: list[dict[str, Any]] = msgspec.to_builtins(fronts)
    if session.as_json:
        session.show({"version": version, "fronts": found})
        return
    output().print(front_table(found, time.time_ns() // 1_000_000))
