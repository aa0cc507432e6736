"""splitctl rm: deletes files and collections."""

from __future__ import annotations

import click

from splitd.cli.completion import REMOTE_PATH
from splitd.cli.errors import ServerRefused
from splitd.cli.paths import clean_path, printable
from splitd.cli.session import Session, pass_session
from splitd.cli.tree import RemoteTree


@click.command()
@click.option("-r", "recursive", is_flag=True, help="Delete collections and everything in them.")
@click.argument("paths", type=REMOTE_PATH, metavar="PATH...", nargs=-1, required=True)
@pass_session
def rm(session: Session, recursive: bool, paths: tuple[str, ...]) -> None:
    """Delete files, and collections with -r."""
    tree = RemoteTree(session.front)
    for path in paths:
        if not recursive and tree.is_collection(path):
            raise ServerRefused(f"{printable(path)}: this is a collection; -r deletes it with all that is in it", 409)
        tree.delete(path)
        if session.as_json:
            session.show({"path": clean_path(path), "deleted": True})
