"""splitctl mkdir: makes collections."""

from __future__ import annotations

import click

from splitd.cli.completion import REMOTE_PATH
from splitd.cli.paths import clean_path
from splitd.cli.session import Session, pass_session
from splitd.cli.tree import RemoteTree


@click.command()
@click.option("-p", "parents", is_flag=True, help="Make missing parents too; no error if the collection exists.")
@click.argument("paths", type=REMOTE_PATH, metavar="PATH...", nargs=-1, required=True)
@pass_session
def mkdir(session: Session, parents: bool, paths: tuple[str, ...]) -> None:
    """Make collections."""
    tree = RemoteTree(session.front)
    for path in paths:
        if parents:
            tree.make_all(path)
        else:
            tree.make(path)
        if session.as_json:
            session.show({"path": clean_path(path), "type": "collection"})
