"""splitctl status: shows the state of the service."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

import click
from rich.table import Table

from splitd.cli.fill import describe_disks, describe_spread, node_table
from splitd.cli.fronts import front_table
from splitd.cli.heal import summarize_heal
from splitd.cli.rebalance import describe_rebalance
from splitd.cli.session import Session, output, pass_session
from storaged.system.sizes import format_size


@click.command()
@pass_session
def status(session: Session) -> None:
    """Show the state of the service.

    The exit code is 1 if the service is not ready.
    """
    found = session.admin.document("/status")
    if session.as_json:
        session.show(found)
    else:
        console = output()
        console.print(_summary(found))
        console.print(node_table(console, found["nodes"]))
        if found.get("fronts"):
            console.print()
            console.print(front_table(found["fronts"], time.time_ns() // 1_000_000))
        for problem in found["problems"]:
            console.print(f"problem: {problem}")
        for warning in found["warnings"]:
            console.print(f"warning: {warning}")
    if not found["ready"]:
        click.get_current_context().exit(1)


def _summary(found: dict[str, Any]) -> Table:
    uploads, downloads = found["uploads"], found["downloads"]
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, text in {
        "ready": _readiness(found),
        "cluster": found["cluster"],
        "version": f"{found['version']}, up for {timedelta(seconds=int(found['uptime_s']))}",
        "layout": f"{found['layout']}, unit {format_size(found['unit'])}",
        "files": f"{found['files']}, {format_size(found['bytes'])}",
        "uploads": f"{uploads['under_way']} under way, {uploads['committed']} committed, {uploads['aborted']} aborted"
        + _continued(uploads),
        "downloads": f"{downloads['under_way']} under way, {downloads['finished']} finished, "
        f"{downloads['failed']} failed, {downloads['degraded']} degraded",
        "nodes": f"{describe_disks(found['nodes']) or len(found['nodes'])}, {describe_spread(found['fill'])}",
        "registry": _registry(found["registry"]),
        **({"rebalance": describe_rebalance(found["rebalance"])} if found["rebalance"] else {}),
        **({"bin": _bin(found["bin"])} if found.get("bin", {}).get("things") else {}),
        **({"lifecycle": _lifecycle(found["lifecycle"])} if found.get("lifecycle") else {}),
        "heal": summarize_heal(found["heal"]),
        "reading": _reading(found["reading"]),
        "reaper": _reaper(found["reaper"]),
        **({"walks": _walks(found["walks"])} if found.get("walks") else {}),
        **({} if found.get("fronts") else {"journal": _journal(found["journal"])}),
    }.items():
        table.add_row(name, text)
    table.add_row()
    return table


def _continued(uploads: dict[str, Any]) -> str:
    count = uploads.get("continued", 0)
    return f", {count} to be continued with {format_size(uploads['continued_bytes'])}" if count else ""


def _bin(found: dict[str, Any]) -> str:
    keeps = f", kept for {found['keep_days']:g} days" if found["keep_days"] else ""
    purged = f", {found['purged_full']} purged because the nodes were full" if found["purged_full"] else ""
    return f"{found['things']} deletions, {found['files']} files, {format_size(found['bytes'])}{keeps}{purged}"


def _lifecycle(found: dict[str, Any]) -> str:
    counts = f"{found['expired']} objects deleted, {found['aborted']} uploads aborted, {found['kept']} kept"
    problem = f"; ended early: {found['problem']}" if found["problem"] else ""
    return f"{found['buckets']} buckets with rules, {counts}{problem}"


def _journal(journal: dict[str, Any]) -> str:
    return (
        f"{journal['records']} records, {format_size(journal['size'])}, "
        f"{journal['segments']} segment{'s' * (journal['segments'] != 1)}"
        + (f", failed: {journal['failure']}" if journal["failure"] else "")
    )


def _readiness(found: dict[str, Any]) -> str:
    if found["ready"]:
        return "yes"
    return "no; " + ", ".join(f"{kind} {'yes' if found[kind]['ready'] else 'no'}" for kind in ("reads", "writes"))


def _reading(found: dict[str, Any]) -> str:
    last = ", ".join(f"{node} ({why})" for node, why in found["last"].items())
    return f"{found['hedges']} requests beside late nodes, {found['silences']} times a node was silent" + (
        f"; read last: {last}" if last else ""
    )


def _reaper(found: dict[str, Any]) -> str:
    staying = ", ".join(f"{count} parts stay on {node}" for node, count in found["staying"].items())
    return f"{found['doomed']} to delete, {found['reaped']} deleted" + (f"; {staying} for now" if staying else "")


def _walks(walks: list[dict[str, Any]]) -> str:
    """Say which of the work in rounds is in progress, or cannot be done now."""
    told = [
        f"{walk['name']}: {walk['state']}{', ' if walk['problem'] else ''}{walk['problem']}"
        for walk in walks
        if walk["problem"] or walk["state"] in {"running", "waiting"}
    ]
    return "; ".join(told) or "none in progress"


def _registry(found: dict[str, Any]) -> str:
    told = f"{found['path']}, read {_time(found['loaded_ms'])}"
    refused = found["refused"]  # the warnings include the reason
    return f"{told}; the one of {_time(refused['time_ms'])} is refused" if refused else told


def _time(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000).astimezone():%Y-%m-%d %H:%M:%S}"
