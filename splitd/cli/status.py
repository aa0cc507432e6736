"""splitctl status and splitctl nodes: what the front says of itself and its nodes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click
from rich.table import Table

from splitd.cli.session import Session, format_size, output, pass_session


@click.command()
@pass_session
def status(session: Session) -> None:
    """Show how the service is.

    The exit code is 1 where it is not ready.
    """
    found = session.admin.document("/status")
    if session.as_json:
        session.show(found)
    else:
        console = output()
        console.print(_summary(found))
        console.print(_node_table(found["nodes"]))
        for problem in found["problems"]:
            console.print(f"problem: {problem}")
        for warning in found["warnings"]:
            console.print(f"warning: {warning}")
    if not found["ready"]:
        click.get_current_context().exit(1)


@click.command()
@pass_session
def nodes(session: Session) -> None:
    """List the storage servers.

    With --json each is a JSON document on a line of its own.
    """
    found = session.admin.document("/status")["nodes"]
    if session.as_json:
        for node in found:
            session.show(node)
    else:
        output().print(_node_table(found))


def _summary(found: dict[str, Any]) -> Table:
    uploads, downloads, journal = found["uploads"], found["downloads"], found["journal"]
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, text in {
        "ready": "yes" if found["ready"] else "no",
        "cluster": found["cluster"],
        "version": f"{found['version']}, up for {timedelta(seconds=int(found['uptime_s']))}",
        "layout": f"{found['layout']}, unit {format_size(found['unit'])}",
        "files": f"{found['files']}, {format_size(found['bytes'])}",
        "uploads": f"{uploads['under_way']} under way, {uploads['committed']} committed, {uploads['aborted']} aborted",
        "downloads": f"{downloads['under_way']} under way, {downloads['finished']} finished, "
        f"{downloads['failed']} failed",
        "reaper": _reaper(found["reaper"]),
        "journal": f"{journal['records']} records, {format_size(journal['size'])}, {journal['segments']} segments"
        + (f", failed: {journal['failure']}" if journal["failure"] else ""),
    }.items():
        table.add_row(name, text)
    table.add_row()
    return table


def _reaper(found: dict[str, Any]) -> str:
    staying = ", ".join(f"{count} parts stay on {node}" for node, count in found["staying"].items())
    return f"{found['doomed']} to delete, {found['reaped']} deleted" + (f"; {staying} for now" if staying else "")


def _node_table(found: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("node", "state", "mode", "zone", "url"):
        table.add_column(heading)
    for heading in ("free", "capacity", "used"):
        table.add_column(heading, justify="right")
    table.add_column("problem")
    for node in found:
        capacity, free = node["capacity"], node["free"]
        table.add_row(
            node["id"],
            node["state"],
            node["mode"],
            node["zone"],
            node["url"],
            format_size(free),
            format_size(capacity),
            f"{100 * (capacity - free) / capacity:.0f} %" if capacity else "",
            node["problem"],
        )
    return table
