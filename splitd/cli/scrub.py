"""splitctl scrub: shows how far the storage servers have read their parts, pauses and resumes that."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click
from rich.table import Table

from splitd.cli.session import Session, output, pass_session
from storaged.system.sizes import format_size


@click.command()
@click.option(
    "--pause", "change", flag_value="DELETE", help="Read nothing until --resume, or a restart of the storage server."
)
@click.option("--resume", "change", flag_value="POST", help="Go on after --pause.")
@pass_session
def scrub(session: Session, change: str | None) -> None:
    """Show how far the storage servers have read their parts to find rot; pause or resume it.

    Each storage server reads all its parts by itself, again and again, at a gentle rate.

    The exit code is 1 if the scrub of a storage server could not be paused or resumed.
    """
    problems = {}
    if change is not None:
        changed = session.admin.document("/scrub", method=change)
        problems = {node["id"]: node["problem"] for node in changed["nodes"] if node["problem"]}
    nodes = session.admin.document("/status")["nodes"]
    if session.as_json:
        session.show([{"id": node["id"], **node["scrub"], "problem": problems.get(node["id"], "")} for node in nodes])
    else:
        output().print(_table(nodes, problems))
        if any(node["scrub"]["paused"] for node in nodes):
            output().print("paused by an operator; splitctl scrub --resume goes on")
    if problems:
        click.get_current_context().exit(1)


def _table(nodes: list[dict[str, Any]], problems: Mapping[str, str]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("node")
    table.add_column("state")
    for heading in ("pass", "read", "rotten"):
        table.add_column(heading, justify="right")
    table.add_column("last pass ended")
    table.add_column("problem")
    for node in nodes:
        found = node["scrub"]
        ended = found["ended_ms"]
        table.add_row(
            node["id"],
            "paused" if found["paused"] else node["state"],
            f"{100 * found['share']:.0f} %",
            format_size(found["scrubbed_bytes"]),
            str(found["rotten"]),
            f"{datetime.fromtimestamp(ended / 1000).astimezone():%Y-%m-%d %H:%M}" if ended else "",
            problems.get(node["id"], ""),
        )
    return table
