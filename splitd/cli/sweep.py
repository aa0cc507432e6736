"""splitctl sweep: finds orphans, and moves them to the trash."""

from __future__ import annotations

from typing import Any

import attrs
import click
from rich.table import Table

from splitd.cli.session import Session, output, pass_session
from storaged.system.sizes import format_size

_PATIENCE_S = 3600.0


@click.command()
@click.option("--dry-run", is_flag=True, help="Only show what a sweep would do.")
@click.option(
    "--share",
    type=click.FloatRange(0, 100),
    help="Leave a node alone if more than this percentage of its parts belongs to no file.  [default: the front's]",
)
@click.option("--stop", is_flag=True, help="End the sweep that is under way; what it has moved stays in the trash.")
@pass_session
def sweep(session: Session, dry_run: bool, share: float | None, stop: bool) -> None:
    """Find parts that belong to no file, and move them to the trash.

    Such parts stay in the folder trash of their storage server for a day.  The front does this by itself every week.
    The exit code is 1 if there were too many of them to move any, or if a storage server could not be checked.
    """
    if stop:
        session.admin.document("/sweep", method="DELETE")
        return
    query: dict[str, str | int] = {"dry_run": int(dry_run)}
    if share is not None:
        query["share"] = str(share / 100)
    admin = attrs.evolve(session.admin, stall_s=_PATIENCE_S)
    found = admin.document("/sweep", query, method="POST")
    if session.as_json:
        session.show(found)
    else:
        console = output()
        console.print(_table(found))
        for node in found["nodes"]:
            for part in node["examples"]:
                console.print(f"{node['node']}: {part}")
            if node["orphans"] > len(node["examples"]):
                console.print(f"{node['node']}: and {node['orphans'] - len(node['examples'])} more")
        console.print(_verdict(found))
    if found["stopped"] or any(node["problem"] for node in found["nodes"]):
        click.get_current_context().exit(1)


def _verdict(found: dict[str, Any]) -> str:
    if found["stopped"]:
        return f"stopped, nothing was moved to the trash: {found['stopped']}"
    if found["dry_run"]:
        return f"{found['orphans']} parts would be moved to the trash" if found["orphans"] else "there are no orphans"
    return f"{found['trashed']} parts were moved to the trash"


def _table(found: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("node")
    for heading in ("parts", "size", "orphans", "size", "too young", "trashed"):
        table.add_column(heading, justify="right")
    table.add_column("problem")
    for node in found["nodes"]:
        table.add_row(
            node["node"],
            str(node["parts"]),
            format_size(node["bytes"]),
            str(node["orphans"]),
            format_size(node["orphan_bytes"]),
            str(node["young"]),
            str(node["trashed"]),
            node["problem"],
        )
    return table
