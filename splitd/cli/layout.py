"""splitctl layout: says and changes how the new files of a collection are cut into parts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import click

from splitd.cli.completion import REMOTE_PATH
from splitd.cli.errors import CommandFailed
from splitd.cli.paths import clean_path, printable
from splitd.cli.session import Session, pass_session
from splitd.model.striping import Layout, parse_layout

_LOOK_S = 0.2
_LAYOUT = re.compile(r"\A[0-9]+\+[0-9]+\Z")


class LayoutType(click.ParamType[Layout]):
    """A layout: data and parity parts."""

    name = "data+parity"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Layout:
        """Read the layout."""
        if isinstance(value, Layout):
            return value
        try:
            return parse_layout(value, 1)
        except ValueError as problem:
            self.fail(str(problem), param, ctx)


@click.command()
@click.argument("path", type=REMOTE_PATH, default="/")
@click.argument("wanted", metavar="[LAYOUT]", required=False)
@click.option("--unset", is_flag=True, help="Let the collection ask for no layout of its own any more.")
@click.option("--apply", "applied", is_flag=True, help="Give the files that are stored already the layout, too.")
@click.option("--stop", is_flag=True, help="Stop giving stored files their layout.")
@pass_session
def layout(session: Session, path: str, wanted: str | None, unset: bool, applied: bool, stop: bool) -> None:
    """Say or change how the new files of a collection are cut into parts.

    LAYOUT is DATA+PARITY: 6+2 cuts files into six parts and adds two of parity, so that any two of the eight may be
    lost.  The layout holds for what is stored in PATH and below from now on, unless a collection nearer to it asks for
    another; files that are stored already keep theirs.  Without a LAYOUT it says which one is in force, and whence.

    \b
    splitctl layout /                  the layout at the root, which is usually that of the front's settings
    splitctl layout /photos 6+2        two of parity for all that is stored below /photos
    splitctl layout /photos --unset    as what it lies in again
    splitctl layout /photos --apply    parity for the files that are stored there already, or none, as the layout says

    --apply adds parity parts to stored files, or drops those that are too many; data parts stay where they are.  PATH
    may be a file, too.  Files that are cut into another number of data parts keep their layout.  The command ends when
    all files are marked; the parts are made in the background.  If it is interrupted, another one goes on where it was.

    Exit codes: 0 good, 1 refused: it is no collection, no layout, or there are too few storage servers.
    """  # noqa: D301 - click takes the character itself
    if stop:
        if wanted is not None or unset or applied:
            raise click.UsageError("--stop goes alone")
        _show(session, session.admin.document("/layout/apply", method="DELETE"), describe_relayout)
        return
    if wanted is None and _LAYOUT.match(path):
        raise click.UsageError(f"of which collection?  For all: splitctl layout / {path}")
    if wanted is not None and unset:
        raise click.UsageError("either a LAYOUT or --unset")
    query = {"path": clean_path(path)}
    if applied and wanted is None and not unset:
        _apply(session, query)
        return
    if unset:
        found = session.admin.document("/layout", query, method="DELETE")
    elif wanted is not None:
        found = session.admin.document("/layout", {**query, "layout": wanted}, method="PUT")
    else:
        found = session.admin.document("/layout", query)
    _show(session, found, describe_layout)
    if applied:
        _apply(session, query)


class NotApplied(CommandFailed):
    """The files were not all given their layout; the message says why."""


def _apply(session: Session, query: Mapping[str, str]) -> None:
    found = begun = session.admin.document("/layout/apply", query, method="POST")
    while found["state"] == "running":
        time.sleep(_LOOK_S)
        found = session.admin.document("/status")["relayout"]
        if found is None or found["began_ms"] != begun["began_ms"]:
            raise NotApplied("the front was started again, and this ended with it; begin it once more")
    if found["state"] != "done":
        raise NotApplied(f"{describe_relayout(found)}: {found['problem'] or 'stopped from elsewhere'}")
    _show(session, found, describe_relayout)


def _show(session: Session, found: Mapping[str, Any], describe: Callable[[Mapping[str, Any]], str]) -> None:
    if session.as_json:
        session.show(found)
    else:
        click.echo(describe(found))


def describe_relayout(found: Mapping[str, Any]) -> str:
    """Return a sentence about giving stored files their layout.

    :param found: its progress, as the front reports it.
    """
    sentence = f"{printable(found['path'])}: {found['files']} files, {found['changed']} get other parity"
    if found["other"]:
        sentence += f", {found['other']} are cut into another number of data parts and stay as they are"
    if found["hurt"]:
        sentence += f", {found['hurt']} must be healed first: begin it once more then"
    return sentence


def describe_layout(found: Mapping[str, Any]) -> str:
    """Return a sentence about the layout of a collection's new files.

    :param found: the answer to `GET /layout`.
    """
    path, source = printable(found["path"]), found["source"]
    if source is None:
        whence = "as the front's settings say"
    elif source == found["path"]:
        whence = f"as it asks for itself; the front's settings say {found['setting']}"
    else:
        whence = f"as {printable(source)} asks for; the front's settings say {found['setting']}"
    return f"{path}: new files are stored as {found['layout']}, {whence}"
