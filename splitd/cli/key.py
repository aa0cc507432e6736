"""splitctl key: keys for S3, and tokens, that users make for themselves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click
from rich.table import Table

from splitd.cli.completion import REMOTE_PATH
from splitd.cli.documents import post_document
from splitd.cli.made import all_option, days_option, show_made, take_back
from splitd.cli.paths import clean_path
from splitd.cli.session import Session, pass_session

_API = "/.splitd/api/keys"


@click.group()
def key() -> None:
    """Make, list and take back your own keys for S3 and tokens.

    Operators make those in the file of the users with `splitctl user key` and `splitctl user token`.
    """


@key.command()
@click.option("--token", is_flag=True, help="Make a token instead of a key for S3.")
@click.option("--label", default="", help="What it is for.")
@days_option
@click.option("--read-only", is_flag=True, help="Let it read, and change nothing.")
@click.option("--path", type=REMOTE_PATH, default="/", help="Let it work at this path and below it only.")
@pass_session
def add(session: Session, token: bool, label: str, days: float | None, read_only: bool, path: str) -> None:
    """Make a key or a token, and print it.  Its secret is never shown again."""
    wanted: dict[str, Any] = {"kind": "token" if token else "key", "label": label, "path": clean_path(path)}
    if days is not None:
        wanted["days"] = days
    if read_only:
        wanted["allow"] = ["read"]
    made = post_document(session.front, _API, wanted, "the key")
    if session.as_json:
        session.show(made)
    elif token:
        click.echo(made["secret"])
    else:
        click.echo(f"access key: {made['id']}\nsecret key: {made['secret']}")


@key.command("list")
@all_option
@pass_session
def list_keys(session: Session, of_all: bool) -> None:
    """List your keys and tokens."""
    show_made(session, _API, "keys", of_all, "there are no keys and no tokens", _table)


def _table(keys: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("kind", "owner", "label", "may", "path", "until", "used", "id"):
        table.add_column(column, overflow="fold")
    for each in keys:
        until, used = (_day(each[name]) for name in ("ends_ms", "used_ms"))
        allow = ", ".join(each["allow"])
        table.add_row(each["kind"], each["owner"], each["label"] or "-", allow, each["path"], until, used, each["id"])
    return table


def _day(moment_ms: int | None) -> str:
    return "-" if moment_ms is None else f"{datetime.fromtimestamp(moment_ms / 1000, UTC):%Y-%m-%d}"


@key.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@pass_session
def rm(session: Session, ids: tuple[str, ...]) -> None:
    """Take back keys or tokens.  They are refused from then on."""
    take_back(session, _API, ids)
