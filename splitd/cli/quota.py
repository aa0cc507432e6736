"""splitctl quota: shows the quotas, and how much of each is used."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table

from splitd.cli.session import Session, output, pass_session
from storaged.system.sizes import format_size


@click.command()
@pass_session
def quota(session: Session) -> None:
    """Show the quotas, and how much of each is used."""
    found = session.admin.document("/status")["quotas"]
    if session.as_json:
        session.show(found)
    elif not found:
        output().print("there are no quotas")
    else:
        output().print(_table(found))


def _table(quotas: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("quota", "used", "of", "files", "of", "where"):
        table.add_column(column, justify="left" if column in {"quota", "where"} else "right")
    for each in quotas:
        table.add_row(
            each["name"],
            format_size(each["used_bytes"]),
            "-" if each["bytes"] is None else format_size(each["bytes"]),
            str(each["used_files"]),
            "-" if each["files"] is None else str(each["files"]),
            ", ".join(each["paths"]),
        )
    return table
