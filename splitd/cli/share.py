"""splitctl share: links by which people without a login read files, or leave some."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import click
from rich.table import Table

from splitd.cli.completion import REMOTE_PATH
from splitd.cli.documents import post_document
from splitd.cli.made import all_option, days_option, show_made, take_back
from splitd.cli.paths import clean_path
from splitd.cli.session import Session, pass_session

_API = "/.splitd/api/shares"


@click.group()
def share() -> None:
    """Make, list and take back links by which people without a login read files, or leave some."""


@share.command()
@click.argument("path", type=REMOTE_PATH)
@click.option("--upload", is_flag=True, help="Only let files be left in the collection; nothing of it is shown.")
@days_option
@click.option("--downloads", type=click.IntRange(1), help="How often files may be read.  [default: any number]")
@click.option("--password-stdin", is_flag=True, help="Read a password for the link from the standard input.")
@pass_session
def add(
    session: Session, path: str, upload: bool, days: float | None, downloads: int | None, password_stdin: bool
) -> None:
    """Make a link to a file or a collection, and print its URL."""
    wanted: dict[str, Any] = {"path": clean_path(path), "mode": "upload" if upload else "read"}
    if days is not None:
        wanted["days"] = days
    if downloads is not None:
        wanted["downloads"] = downloads
    if password_stdin:
        wanted["password"] = sys.stdin.readline().rstrip("\n")
    made = post_document(session.front, _API, wanted, "the link")
    if session.as_json:
        session.show(made)
    else:
        click.echo(session.front.url.rstrip("/") + made["url"])


@share.command("list")
@all_option
@pass_session
def list_shares(session: Session, of_all: bool) -> None:
    """List your links."""
    show_made(session, _API, "shares", of_all, "there are no links", _table)


def _table(shares: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("id", "owner", "mode", "path", "until", "downloads", "password"):
        table.add_column(column)
    for each in shares:
        ends = each["ends_ms"]
        until = "-" if ends is None else f"{datetime.fromtimestamp(ends / 1000, UTC):%Y-%m-%d %H:%M} UTC"
        downloads = "-" if each["downloads"] is None else f"{each['downloads_used']} of {each['downloads']}"
        password = "yes" if each["password"] else "-"
        table.add_row(each["id"], each["owner"] or "-", each["mode"], each["path"], until, downloads, password)
    return table


@share.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@pass_session
def rm(session: Session, ids: tuple[str, ...]) -> None:
    """Take back links.  They are refused from then on."""
    take_back(session, _API, ids)
