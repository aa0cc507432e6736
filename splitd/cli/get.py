"""splitctl get: fetches a file."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO

import click

from splitd.cli.errors import ServerRefused, TransferBroken
from splitd.cli.paths import clean_path, printable
from splitd.cli.progress import meter
from splitd.cli.server import read_pieces
from splitd.cli.session import Session, pass_session
from splitd.cli.writing import whole_file
from splitd.model.tree import basename

_STDOUT = "-"


@click.command()
@click.option("-f", "--force", is_flag=True, help="Replace FILE if it exists.")
@click.argument("path")
@click.argument("file", required=False)
@pass_session
def get(session: Session, force: bool, path: str, file: str | None) -> None:
    """Fetch a file.

    FILE is the target: a file, a folder, or - for standard output.  Without it, the file gets its own name in the
    current folder.  The bytes go to a temporary file beside the target, which is renamed when all of them have arrived.
    """
    path = clean_path(path)
    if file == _STDOUT:
        if session.as_json:
            raise click.UsageError("--json and the file itself cannot both go to standard output")
        _fetch(session, path, nullcontext(sys.stdout.buffer))
        return
    target = _target(path, file)
    name = printable(str(target))
    try:
        _refuse_taken(target, force=force)
        size, etag = _fetch(session, path, whole_file(target, replace=force))
    except FileExistsError as problem:
        raise click.UsageError(f"{name} was made by somebody else meanwhile; --force replaces it") from problem
    except OSError as problem:
        raise TransferBroken(f"{name}: {problem.strerror}") from problem
    if session.as_json:
        session.show({"path": path, "file": os.fspath(target), "size": size, "etag": etag})


def _target(path: str, file: str | None) -> Path:
    name = basename(path)
    if not name:
        raise click.UsageError("/ is a collection; only files can be fetched")
    if file is None:
        return Path(name)
    return Path(file, name) if os.path.isdir(file) else Path(file)  # noqa: PTH112 - false for names that are too long


def _refuse_taken(target: Path, *, force: bool) -> None:
    """Check the target before the first byte is fetched.

    :raise click.UsageError: something has this name and must not be replaced, or is not a file.
    :raise OSError: no file can have this name.
    """
    try:
        mode = target.lstat().st_mode
    except FileNotFoundError:
        return
    name = printable(str(target))
    if not force:
        raise click.UsageError(f"{name} is there already; --force replaces it")
    if stat.S_ISLNK(mode) and target.exists():
        mode = target.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        raise click.UsageError(f"{name} is not a file and cannot be replaced by one")


def _fetch(session: Session, path: str, target: AbstractContextManager[IO[bytes]]) -> tuple[int, str]:
    with session.front.ask("GET", path) as answer:
        etag = answer.headers["ETag"]
        if etag is None:
            raise ServerRefused(f"{printable(path)}: this is a collection; only files can be fetched", 409)
        size = 0
        with target as file, meter(answer.length) as bar:
            bar.begin(basename(path))
            for piece in read_pieces(answer, f"GET {printable(path)}"):
                file.write(piece)
                bar.advance(len(piece))
                size += len(piece)
    return size, etag
