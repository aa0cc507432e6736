"""splitctl find: lists what is below a collection and fits to what is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import attrs
import click

from splitd.cli.amounts import read_age, read_size
from splitd.cli.completion import REMOTE_PATH
from splitd.cli.errors import ServerRefused
from splitd.cli.paths import clean_path, printable
from splitd.cli.session import Session, pass_session
from splitd.cli.tree import RemoteTree

_KINDS = {"f": "file", "d": "collection"}


@attrs.frozen
class Wanted:
    """What a member must be like; None for what does not matter.

    :param name: a pattern for its name, as of a shell.
    :param kind: "file" or "collection".
    :param larger: more bytes than these; collections have no size, so none fits.
    :param smaller: fewer bytes than these.
    :param newer_ms: changed after this time, in milliseconds since 1970.
    :param older_ms: changed before this time.
    """

    name: str | None = None
    kind: str | None = None
    larger: int | None = None
    smaller: int | None = None
    newer_ms: int | None = None
    older_ms: int | None = None

    def fits(self, member: dict[str, Any]) -> bool:
        """Return whether a member of a collection is wanted."""
        size, modified_ms = member.get("size"), member.get("modified_ms")
        return (
            (self.name is None or fnmatchcase(member["name"], self.name))
            and (self.kind is None or member["type"] == self.kind)
            and (self.larger is None or (size is not None and size > self.larger))
            and (self.smaller is None or (size is not None and size < self.smaller))
            and (self.newer_ms is None or (modified_ms is not None and modified_ms > self.newer_ms))
            and (self.older_ms is None or (modified_ms is not None and modified_ms < self.older_ms))
        )


@click.command()
@click.option("--name", metavar="PATTERN", help="Only names that match a pattern, such as '*.jpg'.")
@click.option("--type", "kind", type=click.Choice(list(_KINDS)), help="Only files (f), or only collections (d).")
@click.option("--larger", metavar="SIZE", callback=read_size, help="Only files of more bytes, such as 10MiB.")
@click.option("--smaller", metavar="SIZE", callback=read_size, help="Only files of fewer bytes.")
@click.option("--newer", metavar="AGE", callback=read_age, help="Only what was changed within an age, such as 7d.")
@click.option("--older", metavar="AGE", callback=read_age, help="Only what was changed before that.")
@click.option("-0", "--print0", "nul", is_flag=True, help="End each path with a NUL byte, for xargs -0.")
@click.argument("path", type=REMOTE_PATH, default="/")
@pass_session
def find(
    session: Session,
    *,
    name: str | None,
    kind: str | None,
    larger: int | None,
    smaller: int | None,
    newer: int | None,
    older: int | None,
    nul: bool,
    path: str,
) -> None:
    """List all files and collections below PATH, or those that all options match.

    Paths of collections end in a slash.  With --json, each is one JSON document on one line.
    """
    now_ms = time.time_ns() // 1_000_000
    newer_ms, older_ms = (None if age is None else now_ms - age for age in (newer, older))
    wanted = Wanted(name, _KINDS[kind] if kind else None, larger, smaller, newer_ms, older_ms)
    tree = RemoteTree(session.front)
    if not tree.is_collection(path):
        raise ServerRefused(f"{printable(path)}: there is no collection of this name", 404)
    show = _printer(session, nul=nul)
    for below, member in tree.walk(clean_path(path)):
        if wanted.fits(member):
            show(below, member)


def _printer(session: Session, *, nul: bool) -> Callable[[str, dict[str, Any]], None]:
    def as_json(path: str, member: dict[str, Any]) -> None:
        session.show({"path": path, **member})

    def as_line(path: str, member: dict[str, Any]) -> None:
        slash = "/" if member["type"] == "collection" else ""
        if nul:
            click.echo((path + slash).encode("utf-8", "surrogateescape") + b"\0", nl=False)
        else:
            click.echo(printable(path) + slash)

    return as_json if session.as_json else as_line
