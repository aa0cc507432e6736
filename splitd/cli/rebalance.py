"""splitctl rebalance: starts, watches and stops a rebalance."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from splitd.cli.errors import CommandFailed
from splitd.cli.fill import fill_bar, format_percent
from splitd.cli.server import Server
from splitd.cli.session import Session, output, pass_session
from storaged.system.sizes import format_size

_MB = 10**6
_LOOK_S = 0.5
_ON_ITS_OWN = "it goes on; `splitctl status` shows how far it is, `splitctl rebalance --stop` stops it"


class NotBalanced(CommandFailed):
    """The rebalance ended early; the message says why."""


@click.command()
@click.option("--dry-run", is_flag=True, help="Only show what a rebalance would do.")
@click.option("--limit", type=click.FloatRange(0, min_open=True), metavar="MB/s", help="The most to move per second.")
@click.option(
    "--target",
    type=click.FloatRange(0, 100, min_open=True),
    metavar="PERCENT",
    help="Move parts until the spread is at most this.  [default: the front's]",
)
@click.option("--stop", is_flag=True, help="Stop the running rebalance.")
@click.option("--detach", is_flag=True, help="Do not wait until the rebalance has ended.")
@pass_session
def rebalance(
    session: Session, dry_run: bool, limit: float | None, target: float | None, stop: bool, detach: bool
) -> None:
    """Move parts until storage servers are about equally full.

    The parts move from full storage servers to empty ones.  The front does this in the background, and downloads are
    not disturbed.  It can be stopped and started again at any time.  Ctrl-C only ends the display: the rebalance goes
    on.

    Exit codes: 0 it is finished, or goes on in the background; 1 it failed, was stopped from elsewhere, or another one
    is already in progress.
    """
    if stop and (dry_run or detach or limit is not None or target is not None):
        raise click.UsageError("--stop goes alone")
    if dry_run and (detach or limit is not None):
        raise click.UsageError("--dry-run moves nothing: neither --limit nor --detach goes with it")
    query: dict[str, str | int] = {} if target is None else {"target": str(target / 100)}
    if stop:
        _show(session, session.admin.document("/rebalance", method="DELETE"), bad={"failed"})
    elif dry_run:
        _show_plan(session, session.admin.document("/rebalance", {**query, "dry_run": 1}, method="POST"))
    else:
        query |= {} if limit is None else {"limit": max(round(limit * _MB), 1)}
        begun = session.admin.document("/rebalance", query, method="POST")
        _show(session, begun if detach else _follow(session.admin, begun), bad={"failed", "stopped"})


def describe_rebalance(found: Mapping[str, Any]) -> str:
    """Return a sentence about the progress or the result of a rebalance."""
    limit = "" if found["limit"] is None else f", at most {found['limit'] / _MB:g} MB/s"
    failed = f", {found['failed']} could not be moved" if found["failed"] else ""
    problem = f": {found['problem']}" if found["problem"] else ""
    return (
        f"{found['state']}, {found['moved']} parts ({format_size(found['bytes'])}) moved{failed}, spread "
        f"{format_percent(found['spread_before'])} before, {format_percent(found['spread'])} now, "
        f"target {format_percent(found['target'])}{limit}{problem}"
    )


def _show(session: Session, found: dict[str, Any], bad: set[str]) -> None:
    """Show the progress or the result of a rebalance.

    :param bad: the states that are failures.
    :raise NotBalanced: the rebalance is in one of these states.
    """
    if session.as_json:
        session.show(found)
    if found["state"] in bad:
        raise NotBalanced(f"the rebalance: {describe_rebalance(found)}")
    if not session.as_json:
        click.echo(describe_rebalance(found) + (f"; {_ON_ITS_OWN}" if found["state"] == "running" else ""))


def _show_plan(session: Session, plan: dict[str, Any]) -> None:
    if session.as_json:
        session.show(plan)
        return
    console = output()
    table = Table(box=None, pad_edge=False)
    for heading in ("node", "fill", "after"):
        table.add_column(heading, no_wrap=True)
    for node in plan["nodes"]:
        table.add_row(node["id"], fill_bar(console, node["fill"]), fill_bar(console, node["after"]))
    console.print(table)
    console.print()
    console.print(
        f"{plan['parts']} parts ({format_size(plan['bytes'])}) would be moved, spread {format_percent(plan['spread'])} "
        f"before, {format_percent(plan['after'])} after, target {format_percent(plan['target'])}"
    )


def _follow(admin: Server, begun: dict[str, Any]) -> dict[str, Any]:
    """Show the progress of a rebalance, until its end or Ctrl-C.

    :return: its last progress.
    :raise NotBalanced: the front was restarted, and the rebalance ended with it.
    """
    columns = (TextColumn("rebalance"), BarColumn(), TextColumn("{task.description}"))
    found, since = begun, time.monotonic()
    with (
        suppress(KeyboardInterrupt),
        Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress,
    ):
        task = progress.add_task("", total=1.0)
        while found["state"] == "running":
            pace = (found["bytes"] - begun["bytes"]) / max(time.monotonic() - since, _LOOK_S)
            description = f"{found['moved']} parts  {pace / _MB:.1f} MB/s  spread {format_percent(found['spread'])}"
            progress.update(task, completed=_share_done(found), description=description)
            time.sleep(_LOOK_S)
            now = admin.document("/status")["rebalance"]
            if now is None or now["began_ms"] != begun["began_ms"]:
                raise NotBalanced("the front was started again, and the rebalance ended with it; begin it once more")
            found = now
    return found


def _share_done(found: Mapping[str, Any]) -> float:
    way = found["spread_before"] - found["target"]
    return min(max((found["spread_before"] - found["spread"]) / way, 0), 1) if way > 0 else 1.0
