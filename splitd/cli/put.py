"""splitctl put."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from io import BufferedIOBase
from mimetypes import guess_type
from pathlib import Path
from typing import cast

import attrs
import click

from splitd.cli.errors import TransferBroken
from splitd.cli.paths import clean_path, join_path, printable
from splitd.cli.progress import Meter, meter
from splitd.cli.server import Body
from splitd.cli.session import Session, pass_session
from splitd.cli.tree import Tree
from splitd.model.tree import basename, parent

_STDIN = "-"


@attrs.frozen
class Step:
    """One thing to do.

    :param source: the file to send, "-" for standard input; None for a collection that is to be made.
    :param path: where it goes.
    :param size: the bytes of the file; None where unknown.
    """

    source: str | None
    path: str
    size: int | None = None


@click.command()
@click.option("-r", "recursive", is_flag=True, help="Send folders with all that is in them.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.argument("dest")
@pass_session
def put(session: Session, recursive: bool, files: tuple[str, ...], dest: str) -> None:
    """Store files.

    DEST is the new name of one FILE; or the collection they go into, where it ends in a slash, is a collection
    already, or there are several.  Collections that are missing are made.  FILE may be - for standard input.
    With --json each file stored is a JSON document on a line of its own.
    """
    tree = Tree(session.front)
    into = len(files) > 1 or dest.endswith("/") or tree.is_collection(dest)
    steps = [step for file in files for step in _steps(file, _destination(file, dest, into=into), recursive=recursive)]
    made: set[str] = set()
    with meter(_total(steps)) as bar:
        for step in steps:
            collection = step.path if step.source is None else parent(step.path)
            if collection not in made:
                tree.make_all(collection)
                made.add(collection)
            if step.source is not None:
                _send(session, step.source, step, bar)


def _destination(file: str, dest: str, *, into: bool) -> str:
    if not into:
        return clean_path(dest)
    if file == _STDIN:
        raise click.UsageError(f"standard input has no name to take in {printable(dest)}; give the whole path")
    return join_path(dest, Path(file).resolve().name)


def _steps(source: str, path: str, *, recursive: bool) -> Iterator[Step]:
    if source == _STDIN:
        yield Step(source, path)
        return
    try:
        mode = os.stat(source)  # noqa: PTH116 - one look for kind and size
    except OSError as problem:
        raise click.UsageError(f"{printable(source)}: {problem.strerror}") from problem
    if stat.S_ISREG(mode.st_mode):
        yield Step(source, path, mode.st_size)
    elif not stat.S_ISDIR(mode.st_mode):
        yield Step(source, path)
    elif recursive:
        yield from _folder_steps(source, path)
    else:
        raise click.UsageError(f"{printable(source)} is a folder; -r sends it with all that is in it")


def _folder_steps(folder: str, path: str) -> Iterator[Step]:
    yield Step(None, path)
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        there = join_path(path, entry.name)
        if entry.is_file():
            yield Step(entry.path, there, entry.stat().st_size)
        elif entry.is_dir(follow_symlinks=False):
            yield from _folder_steps(entry.path, there)
        else:
            click.echo(f"{printable(entry.path)}: left out, it is neither a file nor a folder", err=True)


def _total(steps: list[Step]) -> int | None:
    sizes = [step.size for step in steps if step.source is not None]
    return None if None in sizes else sum(cast("list[int]", sizes))


def _send(session: Session, source: str, step: Step, bar: Meter) -> None:
    bar.begin(basename(step.path))
    kind = guess_type(step.path)[0]
    with _open(source) as stream:
        body = Body(stream, step.size, printable(source), bar.advance)
        headers = {"Content-Type": kind} if kind else {}
        with session.front.ask("PUT", step.path, headers=headers, body=body) as answer:
            stored = {"path": step.path, "etag": answer.headers["ETag"], "created": answer.status == 201}
    if session.as_json:
        session.show(stored)


def _open(source: str) -> AbstractContextManager[BufferedIOBase]:
    if source == _STDIN:
        return nullcontext(cast("BufferedIOBase", sys.stdin.buffer))
    try:
        return Path(source).open("rb")
    except OSError as problem:
        raise TransferBroken(f"{printable(source)}: {problem.strerror}") from problem
