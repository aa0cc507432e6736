"""splitctl check: checks files, and tells which of them are hurt."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from splitd.cli.completion import REMOTE_PATH
from splitd.cli.errors import CommandFailed, ServerRefused, TransferBroken
from splitd.cli.paths import clean_path, printable
from splitd.cli.server import Server, read_lines
from splitd.cli.session import Session, pass_session
from storaged.system.sizes import format_size

_MB = 10**6
_SHOWN = 100
"""The most files that are listed one by one without --json."""

WELL, DEGRADED, LOST = 0, 1, 2
_WRONG_USAGE = 64  # sysexits.h, because 2 is a verdict here
_INTERRUPTED = 130


class CheckBroken(CommandFailed):
    """The check did not come to its end."""

    exit_code = 4


class _WrongUsage(click.UsageError):
    """The command was used in a wrong way; the usual exit code, 2, is a verdict here."""

    exit_code = _WRONG_USAGE


class _CheckCommand(click.Command):
    """A command whose wrong usage has an exit code of its own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as problem:
            raise _WrongUsage(problem.format_message(), problem.ctx) from problem


@click.command(cls=_CheckCommand)
@click.option("--deep", is_flag=True, help="Read every byte of every part, and compare parity with data.")
@click.option(
    "--limit", type=click.FloatRange(0, min_open=True), metavar="MB/s", help="The most to read per second, with --deep."
)
@click.argument("path", type=REMOTE_PATH, default="/")
@pass_session
def check(session: Session, deep: bool, limit: float | None, path: str) -> None:
    """Check files: a file, or all that are in a collection.

    Without --deep, the front asks the storage servers whether all parts are there, whether their sizes and headers are
    right, and which parts they have found rotten when they last read them.  That takes a fraction of a millisecond for
    a file.  With --deep, it reads every byte.

    Parts that are missing or damaged are reported to the front's heal.  Ctrl-C ends the check.  With --json, each
    event is one JSON document on one line.

    \b
    Exit codes:
      0    all is well
      1    all files can be read, and parts of some are missing, damaged, or on servers that do not answer
      2    some files cannot be read
      3    the front cannot be reached
      4    the check did not come to its end: the front refused it, or broke off
      64   the command was used in a wrong way
      130  Ctrl-C
    """  # noqa: D301 - click takes the character itself
    if limit is not None and not deep:
        raise _WrongUsage("--limit goes with --deep only")
    query: dict[str, str | int] = {"path": clean_path(path), "deep": int(deep)}
    if limit is not None:
        query["limit"] = max(round(limit * _MB), 1)
    context = click.get_current_context()
    try:
        end = _follow(session, query)
    except KeyboardInterrupt:
        click.echo("the check was ended", err=True)
        context.exit(_INTERRUPTED)
    except ServerRefused as problem:
        raise CheckBroken(problem.message) from problem
    if not session.as_json:
        click.echo(_summary(end))
    context.exit(LOST if end["lost"] or end["unreadable"] else DEGRADED if end["degraded"] else WELL)


def _follow(session: Session, query: dict[str, str | int]) -> dict[str, Any]:
    """Show the events of a check.

    :return: the last one.
    :raise CheckBroken: the check did not come to its end.
    """
    columns = (TextColumn("check"), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    end: dict[str, Any] | None = None
    shown = 0
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("", total=None)
        for event in check_events(session.admin, query):
            if session.as_json:
                session.show(event)
            kind = event["event"]
            if kind == "end":
                end = event
            elif kind == "failed":
                raise CheckBroken(f"the check did not come to its end: {event['reason']}")
            elif kind == "progress":
                progress.update(task, total=event["total_files"], completed=event["files"], description=_far(event))
            elif not session.as_json:
                shown += 1
                if shown <= _SHOWN:
                    _show_file(event)
    if end is None:
        raise CheckBroken("the check did not come to its end: the front broke off")
    if shown > _SHOWN:
        click.echo(f"and {_files(shown - _SHOWN).replace(' ', ' more ')}; --json lists all of them")
    return end


def check_events(admin: Server, query: dict[str, str | int]) -> Iterator[dict[str, Any]]:
    """Start a check, and yield its events as they come.

    :param query: `path`, and `deep` and `limit` if wanted.
    :raise CommandFailed: the request failed as in `Server.ask`, or the answer broke off.
    """
    with admin.ask("POST", "/check", query=query) as answer:
        for line in read_lines(answer, "POST /check"):
            try:
                event: dict[str, Any] = json.loads(line)
            except ValueError as problem:
                raise TransferBroken(f"{admin.url} answered what is not JSON") from problem
            yield event


def _far(event: dict[str, Any]) -> str:
    read = f", {format_size(event['read'])} read" if event["read"] else ""
    return f"{_files(event['files'])} ({format_size(event['bytes'])}), {event['hurt']} hurt{read}"


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _show_file(event: dict[str, Any]) -> None:
    spare = event["spare"]
    how = {
        "degraded": f"can be read; {spare} more of its parts may fail",
        "unreadable": "cannot be read now, because storage servers do not answer",
        "lost": "cannot be read: too many of its parts are missing or damaged",
    }[event["state"]]
    segments = f", in {event['segments']} of its segments" if event.get("segments") else ""
    click.echo(f"{printable(event['path'])}: {event['state']}, {how}{segments}")
    for part in event["parts"]:
        of = f"segment {part['segment']}, " if part.get("segment") else ""
        place = f" on {part['node']}" if part["node"] else ""
        click.echo(f"  {of}part {part['part']}{place}: {part['state']}: {printable(part['reason'])}")


def _summary(end: dict[str, Any]) -> str:
    read = f", {format_size(end['read'])} of parts read" if end["read"] else ""
    hurt = [f"{end[state]} {state}" for state in ("degraded", "unreadable", "lost") if end[state]]
    silent = [f"\n{node} did not answer: {printable(reason)}" for node, reason in end["silent"].items()]
    verdict = ", ".join(hurt) or "all is well"
    return f"{_files(end['files'])} ({format_size(end['bytes'])}) checked{read}: {verdict}{''.join(silent)}"
