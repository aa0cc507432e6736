"""splitctl ls: lists a collection."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import click

from splitd.cli.completion import REMOTE_PATH
from splitd.cli.errors import ServerRefused
from splitd.cli.paths import clean_path, printable
from splitd.cli.session import Session, pass_session
from splitd.cli.tree import RemoteTree


@click.command()
@click.option("-l", "long", is_flag=True, help="Show sizes in bytes, and times.")
@click.argument("path", type=REMOTE_PATH, default="/")
@pass_session
def ls(session: Session, long: bool, path: str) -> None:
    """List a collection, or show one file.

    With --json, each member is one JSON document on one line.
    """
    for member in _entries(RemoteTree(session.front), path):
        if session.as_json:
            session.show(member)
        else:
            click.echo(_line(member, long=long))


def _entries(tree: RemoteTree, path: str) -> Iterable[dict[str, Any]]:
    entry = {"type": "collection"} if clean_path(path) == "/" else tree.find(path)
    if entry is None:
        raise ServerRefused(f"{printable(path)}: there is no file or collection of this name", 404)
    return [entry] if entry["type"] == "file" else tree.members(path)


def _line(member: dict[str, Any], *, long: bool) -> str:
    is_file = member["type"] == "file"
    name = printable(member["name"]) + ("" if is_file else "/")
    if not long:
        return name
    modified_ms = member.get("modified_ms")
    time = "" if modified_ms is None else f"{datetime.fromtimestamp(modified_ms / 1000).astimezone():%Y-%m-%d %H:%M:%S}"
    return f"{member['size'] if is_file else '-':>14}  {time:19}  {name}"
