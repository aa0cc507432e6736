"""splitctl catalog: looks after a catalog in a database."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import msgspec

from splitd.cli.errors import ServerRefused
from splitd.cli.fronts import front_table
from splitd.cli.journal import JournalFolderType
from splitd.cli.session import Session, output, pass_session
from splitd.errors import JournalDamaged
from splitd.takeover.history import load_history
from storaged.system.filesystem import OSFilesystem
from storaged.system.sizes import format_size

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

    Run it with the new program after an upgrade, while no front of the old one runs.  A front makes the tables of an
    empty database by itself.
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
@click.option("--from", "folder", type=JournalFolderType(), required=True, help="The data folder of the front.")
@click.option("--to", "url", metavar="URL", required=True, help="An empty database: postgresql://…")
@pass_session
def copy(session: Session, folder: Path, url: str) -> None:
    """Copy a catalog from a journal into an empty database.

    The front must have been stopped.  The copy is made in one transaction, and checked against the journal before that
    is committed: if it is interrupted or fails, the database is as empty as before.  The journal is not changed.  Start
    the front with the setting `catalog` afterwards, and never again on the journal.

    Its memory is that of the journal's front.
    """
    from splitd.cli import database

    try:
        state = database.read_journal(OSFilesystem(), str(folder))
        history = load_history(OSFilesystem(), str(folder))
    except JournalDamaged as problem:
        raise ServerRefused(str(problem), 500) from problem
    with database.connected(url) as connection:
        try:
            found = database.copy_journal(connection, state, 0 if history is None else history.claimed, lambda _: None)
        except ValueError as problem:
            raise ServerRefused(str(problem), 500) from problem
    if session.as_json:
        session.show({"files": found.files, "bytes": found.bytes})
    else:
        click.echo(f"{found.files:,} files with {format_size(found.bytes)} are in the database")


@catalog.command()
@url_argument
@pass_session
def fronts(session: Session, url: str) -> None:
    """List the fronts that use a catalog, those that have gone in the last ten minutes as well.

    `splitctl status` shows them, too, and does not need the URL.
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
