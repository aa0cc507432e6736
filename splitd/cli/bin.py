"""splitctl bin: what was deleted in the console, and can be restored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import click
from rich.table import Table

from splitd.cli.documents import post_document, read_pages
from splitd.cli.paths import clean_path
from splitd.cli.session import Session, output, pass_session
from storaged.system.sizes import format_size

_API = "/.splitd/api/bin"


@click.group("bin")
def bin_() -> None:
    """Restore what was deleted in the console, or delete it for good."""


@bin_.command("ls")
@pass_session
def list_bin(session: Session) -> None:
    """List what was deleted and can be restored, the last deletion first."""
    found = read_pages(session.front, _API, "things", {"limit": 1000})
    if session.as_json:
        session.show(found)
        return
    table = Table("id", "path", "deleted", "by", "files", "size", "kept until", box=None, pad_edge=False)
    if not found:
        output().print("nothing is in the bin")
        return
    for each in found:
        ends = each["ends_ms"]
        table.add_row(
            each["id"],
            each["path"],
            _time(each["deleted_ms"]),
            each["user"],
            "-" if each["files"] is None else str(each["files"]),
            "-" if each["bytes"] is None else format_size(each["bytes"]),
            _time(ends) if ends else "",
        )
    output().print(table)


def _time(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M}"


@bin_.command()
@click.argument("thing", metavar="ID")
@click.option("--to", default="", help="Restore it to this path.  [default: where it was]")
@pass_session
def restore(session: Session, thing: str, to: str) -> None:
    """Put something back where it was, by the id that `ls` shows."""
    wanted = {"id": thing, **({"to": clean_path(to)} if to else {})}
    made = post_document(session.front, f"{_API}/restore", wanted, "what is wanted")
    if session.as_json:
        session.show(made)
    else:
        click.echo(made["path"])


@bin_.command()
@click.argument("things", metavar="[ID]...", nargs=-1)
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_session
def empty(session: Session, things: tuple[str, ...], yes: bool) -> None:
    """Delete things in the bin for good; without ids, all that you may."""
    if not yes:
        what = f"{len(things)} things" if things else "all that is in the bin"
        click.confirm(f"Delete {what} for good?", abort=True, err=True)
    purged = sum(_purge(session, {"id": each}) for each in things) if things else _purge(session, {})
    if session.as_json:
        session.show({"purged": purged})
    else:
        click.echo(f"{purged} deleted for good")


def _purge(session: Session, query: Mapping[str, str]) -> int:
    purged = 0
    while True:
        with session.front.ask("DELETE", _API, query=query) as answer:
            done = json.loads(answer.read())
        purged += int(done["purged"])
        if not done["more"]:
            return purged
