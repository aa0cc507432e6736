"""splitctl heal: shows how far the heal is, and limits it."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

import click
from rich.console import Console
from rich.live import Live

from splitd.cli.session import Session, pass_session
from storaged.system.sizes import format_size

_MB = 10**6
_LOOK_S = 0.5
_USUAL = "usual"
_WHY = {"lost": "is lost", "away": "is away", "draining": "is being drained"}


class _Limit(click.FloatRange):
    """MB per second, or the word for the limit in the settings."""

    def __init__(self) -> None:
        super().__init__(0)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, or the word."""
        return value if value == _USUAL else super().convert(value, param, ctx)


@click.command()
@click.option("--watch", is_flag=True, help="Show the progress until all is healed, or Ctrl-C.")
@click.option(
    "--limit",
    type=_Limit(),
    metavar="MB/s|usual",
    help="The most to rebuild per second; 0 for no limit, `usual` for the setting `heal_limit`.",
)
@click.option("--pause", "change", flag_value="DELETE", help="Heal nothing until --resume.")
@click.option("--resume", "change", flag_value="POST", help="Go on after --pause.")
@pass_session
def heal(session: Session, watch: bool, limit: float | str | None, change: str | None) -> None:
    """Show what is degraded, and how far the heal is; limit, pause or resume it.

    The front rebuilds missing and damaged parts by itself, the most endangered files first.  It also rebuilds the parts
    of storage servers that are lost or away for long, and moves parts away from those that are draining.

    A limit and a pause hold for all fronts that share the catalog, also after they are restarted.

    Exit codes: 0 all files have all their parts; 1 some have not.
    """
    if limit is not None:
        bound = limit if isinstance(limit, str) else round(limit * _MB)
        session.admin.document("/heal", {"limit": bound}, method="POST")
    if change is not None:
        session.admin.document("/heal", method=change)
    found = session.admin.document("/status")["heal"]
    if watch:
        found = _follow(session, found)
    if session.as_json:
        session.show(found)
    elif not watch or not sys.stderr.isatty():
        click.echo("\n".join(describe_heal(found)))
    if found["versions"] or found["leaving"]:
        click.get_current_context().exit(1)


def describe_heal(found: Mapping[str, Any]) -> list[str]:
    """Return sentences about the state of the heal."""
    lines = []
    for spare, count in sorted(found["versions"].items(), key=lambda each: int(each[0])):
        lines.append(f"{_count(count, 'file')} {'lacks' if count == 1 else 'lack'} parts and {_spare(int(spare))}")
    lines += [describe_leaving(node) for node in found["leaving"]]
    if not lines:
        lines.append("all files have all their parts")
    if found["parts"]:
        lines.append(f"{_count(found['parts'], 'part')} missing, {format_size(found['bytes'])}")
    lines.append(_progress(found))
    if found["state"] == "paused":
        lines.append("paused by an operator; splitctl heal --resume goes on")
    if found["problem"]:
        lines.append(f"blocked: {found['problem']}")
    return lines


def summarize_heal(found: Mapping[str, Any]) -> str:
    """Return one line about the state of the heal."""
    hurt, unreadable = sum(found["versions"].values()), found["unreadable"]
    lost = f", {unreadable} of them cannot be read" if unreadable else ""
    leaving = "".join(f"; {describe_leaving(node)}" for node in found["leaving"])
    problem = f"; {found['problem']}" if found["problem"] else ""
    degraded = f"{_count(hurt, 'file')} degraded{lost}" if hurt else "no file degraded"
    return f"{found['state']}, {degraded}{leaving}; {_progress(found)}{problem}"


def describe_leaving(node: Mapping[str, Any]) -> str:
    """Say how much is left on a node that parts are leaving, and for how long."""
    size = "" if node["bytes"] is None else f" ({format_size(node['bytes'])})"
    left = "" if node["seconds_left"] is None else f", about {timedelta(seconds=round(node['seconds_left']))} left"
    return f"{_count(node['parts'], 'part')}{size} on {node['id']}, which {_WHY[node['why']]}{left}"


def _progress(found: Mapping[str, Any]) -> str:
    limit = "" if found["limit"] is None else f", at most {_megabytes(found['limit'])} MB/s"
    failed = f", {found['failed']} attempts failed" if found["failed"] else ""
    told = f"{_count(found['healed_parts'], 'part')} ({format_size(found['healed_bytes'])}) healed{failed}{limit}"
    if found["seconds_left"] is None:
        return told
    return f"{told}, {_megabytes(found['rate'])} MB/s, about {timedelta(seconds=round(found['seconds_left']))} left"


def _megabytes(count: float) -> str:
    return f"{count / _MB:.1f}".removesuffix(".0")


def _count(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


def _spare(spare: int) -> str:
    if spare < 0:
        return "cannot be read"
    return f"can lose {spare} more" if spare else "can lose none more"


def _follow(session: Session, found: dict[str, Any]) -> dict[str, Any]:
    """Show the progress until nothing is left to heal, or Ctrl-C.

    :return: the last state.
    """
    console = Console(stderr=True)
    with suppress(KeyboardInterrupt), Live(console=console, auto_refresh=False) as live:
        while True:
            live.update("\n".join(describe_heal(found)), refresh=True)
            if not found["leaving"] and sum(found["versions"].values()) == found["unreadable"]:
                break
            time.sleep(_LOOK_S)
            found = session.admin.document("/status")["heal"]
    return found
