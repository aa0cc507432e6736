"""splitctl put: stores files and folders."""

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

from splitd.cli.errors import CommandFailed, SomeFailed, TransferBroken, Unreachable
from splitd.cli.paths import clean_path, join_path, printable
from splitd.cli.progress import Meter, meter
from splitd.cli.server import Body
from splitd.cli.session import Session, pass_session
from splitd.cli.tree import RemoteTree
from splitd.model.tree import ancestors, basename, parent

_STDIN = "-"


@attrs.frozen
class Transfer:
    """One file to send, or one collection to make.

    :param source: the file to send, "-" for standard input; None to make a collection.
    :param path: the path in the service.
    :param size: the bytes of the file; None if unknown.
    """

    source: str | None
    path: str
    size: int | None = None


@click.command()
@click.option("-r", "recursive", is_flag=True, help="Send folders and everything in them.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.argument("dest")
@pass_session
def put(session: Session, recursive: bool, files: tuple[str, ...], dest: str) -> None:
    """Store files.

    DEST is the new name of one FILE.  It is the collection to put files into if it ends in a slash, if it is an
    existing collection, or if there are several FILEs.  Missing collections are made.  FILE may be - for standard
    input.  With --json, each stored file is one JSON document on one line.

    If there are several files, each is tried.  The failures are listed at the end, and the exit code is 1.  If the
    server can no longer be reached, the rest is not tried, and the exit code is 3.
    """
    tree = RemoteTree(session.front)
    into = len(files) > 1 or dest.endswith("/") or tree.is_collection(dest)
    failures: list[CommandFailed] = []
    transfers = [
        transfer
        for file in files
        for transfer in _plan(file, _destination(file, dest, into=into), failures, recursive=recursive)
    ]
    sending = _Sending(session, tree, transfers)
    if len(files) == 1 and len(transfers) == 1 and not failures:
        with meter(_total(transfers)) as bar:
            sending.send(transfers[0], bar)
        return
    with meter(_total(transfers)) as bar:
        left = sending.send_all(bar, failures)
    _report(failures, left)


@attrs.define
class _Sending:
    """The transfers of one command, done in order."""

    session: Session
    tree: RemoteTree
    transfers: list[Transfer]
    _made: set[str] = attrs.field(factory=set)

    def send(self, transfer: Transfer, bar: Meter) -> None:
        """Do one transfer, and make the collections that it needs.

        :raise CommandFailed: the transfer failed.
        """
        collection = transfer.path if transfer.source is None else parent(transfer.path)
        if collection not in self._made:
            self.tree.make_all(collection)
            self._made.add(collection)
        if transfer.source is not None:
            _send(self.session, transfer.source, transfer, bar)

    def send_all(self, bar: Meter, failures: list[CommandFailed]) -> int:
        """Do all transfers, even if some of them fail.

        A collection that cannot be made is one failure; the transfers below it are not tried.  When the server can no
        longer be reached, the rest is not tried either.

        :param failures: one failure is appended for each transfer that failed.
        :return: how many transfers were not tried.
        """
        unmade: set[str] = set()
        left = 0
        for number, transfer in enumerate(self.transfers):
            if unmade.intersection(ancestors(transfer.path)):
                left += 1
                continue
            try:
                self.send(transfer, bar)
            except Unreachable as failure:
                failures.append(failure)
                return left + len(self.transfers) - number - 1
            except CommandFailed as failure:
                failures.append(failure)
                if transfer.source is None:
                    unmade.add(transfer.path)
        return left


def _report(failures: list[CommandFailed], left: int) -> None:
    if not failures:
        return
    lines = [f"{len(failures)} failed" + (f" and {left} more were not tried" if left else "") + ":"]
    lines += [f"  {failure.message}" for failure in failures]
    last = failures[-1]
    raise Unreachable("\n".join(lines)) if isinstance(last, Unreachable) else SomeFailed("\n".join(lines))


def _destination(file: str, dest: str, *, into: bool) -> str:
    if not into:
        return clean_path(dest)
    if file == _STDIN:
        raise click.UsageError(f"standard input has no name to take in {printable(dest)}; give the whole path")
    return join_path(dest, Path(file).resolve().name)


def _plan(source: str, path: str, failures: list[CommandFailed], *, recursive: bool) -> Iterator[Transfer]:
    if source == _STDIN:
        yield Transfer(source, path)
        return
    try:
        mode = os.stat(source)  # noqa: PTH116 - one look for kind and size
    except OSError as problem:
        raise click.UsageError(f"{printable(source)}: {problem.strerror}") from problem
    if stat.S_ISREG(mode.st_mode):
        yield Transfer(source, path, mode.st_size)
    elif not stat.S_ISDIR(mode.st_mode):
        yield Transfer(source, path)
    elif recursive:
        yield from _plan_folder(source, path, failures)
    else:
        raise click.UsageError(f"{printable(source)} is a folder; -r sends it with all that is in it")


def _plan_folder(folder: str, path: str, failures: list[CommandFailed]) -> Iterator[Transfer]:
    yield Transfer(None, path)
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as problem:
        failures.append(_unreadable(folder, problem))
        return
    for entry in entries:
        there = join_path(path, entry.name)
        try:
            if entry.is_file():
                yield Transfer(entry.path, there, entry.stat().st_size)
            elif entry.is_dir(follow_symlinks=False):
                yield from _plan_folder(entry.path, there, failures)
            else:
                click.echo(f"{printable(entry.path)}: left out, it is neither a file nor a folder", err=True)
        except OSError as problem:  # it was removed, or its disk fails
            failures.append(_unreadable(entry.path, problem))


def _unreadable(source: str, problem: OSError) -> TransferBroken:
    return TransferBroken(f"{printable(source)}: {problem.strerror}")


def _total(transfers: list[Transfer]) -> int | None:
    sizes = [transfer.size for transfer in transfers if transfer.source is not None]
    return None if None in sizes else sum(cast("list[int]", sizes))


def _send(session: Session, source: str, transfer: Transfer, bar: Meter) -> None:
    bar.begin(basename(transfer.path))
    kind = guess_type(transfer.path)[0]
    with _open(source) as stream:
        body = Body(stream, transfer.size, printable(source), bar.advance)
        headers = {"Content-Type": kind} if kind else {}
        with session.front.ask("PUT", transfer.path, headers=headers, body=body) as answer:
            stored = {"path": transfer.path, "etag": answer.headers["ETag"], "created": answer.status == 201}
    if session.as_json:
        session.show(stored)


def _open(source: str) -> AbstractContextManager[BufferedIOBase]:
    if source == _STDIN:
        return nullcontext(cast("BufferedIOBase", sys.stdin.buffer))
    try:
        return Path(source).open("rb")
    except OSError as problem:
        raise _unreadable(source, problem) from problem
