"""splitctl put: stores files and folders."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from io import BufferedIOBase, BufferedReader
from mimetypes import guess_type
from pathlib import Path
from typing import cast

import attrs
import click

from splitd.cli.completion import REMOTE_PATH
from splitd.cli.crew import Crew, jobs_option, report
from splitd.cli.errors import CommandFailed
from splitd.cli.local_tree import unreadable, walk_folder
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


@attrs.frozen
class Sender:
    """Sends files.

    :param verify: whether each file is read twice, so that its digest is sent before it.
    """

    session: Session
    verify: bool = False

    def send(self, source: str, transfer: Transfer, bar: Meter) -> None:
        """Send one file.

        :param source: the file here, "-" for standard input.
        :raise CommandFailed: it was not stored.
        """
        bar.begin(basename(transfer.path))
        kind = guess_type(transfer.path)[0]
        headers = {"Content-Type": kind} if kind else {}
        with _open(source) as stream:
            if self.verify:
                headers["Repr-Digest"] = _digest(stream, source)
            body = Body(stream, transfer.size, printable(source), bar.advance)
            with self.session.front.ask("PUT", transfer.path, headers=headers, body=body) as answer:
                stored = {"path": transfer.path, "etag": answer.headers["ETag"], "created": answer.status == 201}
        if self.session.as_json:
            self.session.show(stored)


def _digest(stream: BufferedIOBase, source: str) -> str:
    """Return the digest of a file as it is sent (RFC 9530); the file is at its start again."""
    try:
        digest = hashlib.file_digest(cast("BufferedReader", stream), "sha256").digest()
        stream.seek(0)
    except OSError as problem:
        raise unreadable(source, problem) from problem
    return f"sha-256=:{b64encode(digest).decode()}:"


@click.command()
@click.option("-r", "recursive", is_flag=True, help="Send folders and everything in them.")
@click.option("--verify", is_flag=True, help="Read each file twice: the server stores it only if its SHA-256 is right.")
@jobs_option
@click.argument("files", type=click.Path(allow_dash=True), metavar="FILE...", nargs=-1, required=True)
@click.argument("dest", type=REMOTE_PATH)
@pass_session
def put(session: Session, recursive: bool, verify: bool, jobs: int, files: tuple[str, ...], dest: str) -> None:
    """Store files.

    DEST is the new name of one FILE.  It is the collection to put files into if it ends in a slash, if it is an
    existing collection, or if there are several FILEs.  Missing collections are made.  FILE may be - for standard
    input.  With --json, each stored file is one JSON document on one line.

    If there are several files, each is tried.  The failures are listed at the end, and the exit code is 1.  If the
    server can no longer be reached, the rest is not tried, and the exit code is 3.
    """
    if verify and _STDIN in files:
        raise click.UsageError("--verify reads a file twice, and standard input can be read only once")
    tree = RemoteTree(session.front)
    into = len(files) > 1 or dest.endswith("/") or tree.is_collection(dest)
    failures: list[CommandFailed] = []
    transfers = [
        transfer
        for file in files
        for transfer in _plan(file, _destination(file, dest, into=into), failures, recursive=recursive)
    ]
    sender = Sender(session, verify=verify)
    with meter(_total(transfers)) as bar:
        if len(files) == 1 and len(transfers) == 1 and not failures:
            send_one(sender, tree, transfers[0], bar)
            return
        with Crew(jobs, bar, failures) as crew:
            left = send_all(sender, tree, transfers, crew)
    report(failures, left)


def send_one(sender: Sender, tree: RemoteTree, transfer: Transfer, bar: Meter) -> None:
    """Do one transfer, and make the collections that it needs.

    :raise CommandFailed: the transfer failed.
    """
    tree.make_all(transfer.path if transfer.source is None else parent(transfer.path))
    if transfer.source is not None:
        sender.send(transfer.source, transfer, bar)


def send_all(sender: Sender, tree: RemoteTree, transfers: Iterable[Transfer], crew: Crew) -> int:
    """Do transfers, even if some of them fail, and make the collections that they need.

    A collection that cannot be made is one failure; the transfers below it are not tried.  When the server can no
    longer be reached, the rest is not tried either.

    :param transfers: each collection before what is in it.
    :return: how many transfers were not tried.
    """
    made: set[str] = set()
    unmade: set[str] = set()
    left = 0
    for transfer in transfers:
        if not crew.reaches or unmade.intersection(ancestors(transfer.path)):
            left += 1
            continue
        collection = transfer.path if transfer.source is None else parent(transfer.path)
        if collection not in made:
            try:
                tree.make_all(collection)
            except CommandFailed as failure:
                crew.failures.append(failure)
                unmade.add(collection)
                continue
            made.add(collection)
        if transfer.source is not None:
            crew.run(partial(sender.send, transfer.source, transfer, crew.bar))
    return left


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
    left_out: list[str] = []
    for entry in walk_folder(folder, failures, left_out):
        yield Transfer(None if entry.size is None else entry.source, join_path(path, entry.below), entry.size)
    for source in left_out:
        click.echo(f"{printable(source)}: left out, it is neither a file nor a folder", err=True)


def _total(transfers: list[Transfer]) -> int | None:
    sizes = [transfer.size for transfer in transfers if transfer.source is not None]
    return None if None in sizes else sum(cast("list[int]", sizes))


def _open(source: str) -> AbstractContextManager[BufferedIOBase]:
    if source == _STDIN:
        return nullcontext(cast("BufferedIOBase", sys.stdin.buffer))
    try:
        return Path(source).open("rb")
    except OSError as problem:
        raise unreadable(source, problem) from problem
