"""What users make for themselves: options and commands that keys and links share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click
from rich.table import Table

from splitd.cli.documents import read_pages
from splitd.cli.session import Session, output

days_option = click.option(
    "--days", type=click.FloatRange(0, 3650, min_open=True), help="Days until its end.  [default: no end]"
)
all_option = click.option("--all", "of_all", is_flag=True, help="List those of all users; for operators.")


def show_made(
    session: Session, api: str, name: str, of_all: bool, nothing: str, table: Callable[[list[dict[str, Any]]], Table]
) -> None:
    """Print what somebody has made.

    :param api: the path of all of them.
    :param name: what they are called there.
    :param of_all: whether to print those of all users.
    :param nothing: the sentence that is printed if there are none.
    :param table: shows them.
    """
    found = read_pages(session.front, api, name, {"all": "1"} if of_all else {})
    if session.as_json:
        session.show(found)
    else:
        output().print(table(found) if found else nothing)


def take_back(session: Session, api: str, ids: Sequence[str]) -> None:
    """Delete what somebody has made, by its ids; with the first one that cannot be deleted, the command ends."""
    for each in ids:
        with session.front.ask("DELETE", f"{api}/{each}"):
            pass
        if session.as_json:
            session.show({"id": each, "deleted": True})
