"""splitctl reload: makes the front read its files again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from splitd.cli.session import Session, pass_session


@click.command()
@pass_session
def reload(session: Session) -> None:
    """Make the front read its registry, users, limits, certificates and cluster keys again.

    Transfers in progress are not disturbed.  A file that cannot be used, or a registry that has lost a node, is refused
    completely: the front keeps the old one, and the exit code is 1.  The front also does this by itself when a file
    changes, and on SIGHUP.
    """
    found = session.admin.document("/reload", method="POST")
    if session.as_json:
        session.show(found)
    else:
        click.echo(describe_changes(found))


def describe_changes(found: Mapping[str, Any]) -> str:
    """Return a sentence about what a reload has changed."""
    changes = [f"{what} {', '.join(found[what])}" for what in ("added", "moved", "changed") if found[what]]
    return f"{found['nodes']} storage servers; {'; '.join(changes) or 'nothing has changed'}"
