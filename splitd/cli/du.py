"""splitctl du: how many bytes are in collections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import attrs
import click

from splitd.cli.completion import REMOTE_PATH
from splitd.cli.errors import ServerRefused
from splitd.cli.paths import clean_path, printable
from splitd.cli.session import Session, pass_session
from splitd.cli.tree import RemoteTree
from splitd.model.tree import parent
from storaged.system.sizes import format_size


@attrs.define
class Sum:
    """How much is in a collection, with all that is below it.

    :param size: bytes of the files.
    """

    path: str
    files: int = 0
    size: int = 0


@click.command()
@click.option("-b", "--bytes", "exact", is_flag=True, help="Show exact bytes.")
@click.option("-d", "--depth", type=click.IntRange(0), default=1, show_default=True, help="Show collections so deep.")
@click.argument("path", type=REMOTE_PATH, default="/")
@pass_session
def du(session: Session, exact: bool, depth: int, path: str) -> None:
    """Show how many files and bytes are below a collection.

    The bytes are those of the files.  What they take on the storage servers depends on the layout: a third more with
    6+2; a copy takes nothing until one of the two is replaced.  With --json, each collection is one JSON document on
    one line.
    """
    tree = RemoteTree(session.front)
    entry: dict[str, Any] | None = {"type": "collection"} if clean_path(path) == "/" else tree.find(path)
    if entry is None:
        raise ServerRefused(f"{printable(path)}: there is no file or collection of this name", 404)
    if entry["type"] == "file":
        _show(session, Sum(clean_path(path), files=1, size=entry["size"]), exact=exact)
        return
    levels = len(_names(clean_path(path)))
    for total in sums(clean_path(path), tree.walk(path)):
        if len(_names(total.path)) - levels <= depth:
            _show(session, total, exact=exact)


def sums(path: str, found: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[Sum]:
    """Yield the sums of all collections, each after those that are in it.

    :param path: the collection that was walked.
    :param found: what is below it, each collection before what is in it.
    """
    counted = [Sum(path)]
    for below, member in found:
        while parent(below) != counted[-1].path:
            yield _close(counted)
        if member["type"] == "collection":
            counted.append(Sum(below))
        else:
            counted[-1].files += 1
            counted[-1].size += member["size"]
    while len(counted) > 1:
        yield _close(counted)
    yield counted[0]


def _close(counted: list[Sum]) -> Sum:
    done = counted.pop()
    counted[-1].files += done.files
    counted[-1].size += done.size
    return done


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name]


def _show(session: Session, total: Sum, *, exact: bool) -> None:
    if session.as_json:
        session.show({"path": total.path, "files": total.files, "bytes": total.size})
        return
    amount = str(total.size) if exact else format_size(total.size)
    click.echo(f"{amount:>14}  {total.files:>9} {'file ' if total.files == 1 else 'files'}  {printable(total.path)}")
