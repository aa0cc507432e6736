"""splitctl layout: says and changes how the new files of a collection are cut into parts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import click

from splitd.cli.paths import clean_path, printable
from splitd.cli.session import Session, pass_session
from splitd.model.striping import Layout, parse_layout

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
@click.argument("path", default="/")
@click.argument("wanted", metavar="[LAYOUT]", required=False)
@click.option("--unset", is_flag=True, help="Let the collection ask for no layout of its own any more.")
@pass_session
def layout(session: Session, path: str, wanted: str | None, unset: bool) -> None:
    r"""Say or change how the new files of a collection are cut into parts.

    LAYOUT is DATA+PARITY: 6+2 cuts files into six parts and adds two of parity, so that any two of the eight may be
    lost.  The layout holds for what is stored in PATH and below from now on, unless a collection nearer to it asks for
    another; files that are stored already keep theirs.  Without a LAYOUT it says which one is in force, and whence.

    \b
    splitctl layout /                  the layout at the root, which is usually that of the front's settings
    splitctl layout /photos 6+2        two of parity for all that is stored below /photos
    splitctl layout /photos --unset    as what it lies in again

    Exit codes: 0 good, 1 refused: it is no collection, no layout, or there are too few storage servers.
    """
    if wanted is None and _LAYOUT.match(path):
        raise click.UsageError(f"of which collection?  For all: splitctl layout / {path}")
    if wanted is not None and unset:
        raise click.UsageError("either a LAYOUT or --unset")
    query = {"path": clean_path(path)}
    if unset:
        found = session.admin.document("/layout", query, method="DELETE")
    elif wanted is not None:
        found = session.admin.document("/layout", {**query, "layout": wanted}, method="PUT")
    else:
        found = session.admin.document("/layout", query)
    if session.as_json:
        session.show(found)
    else:
        click.echo(describe_layout(found))


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
