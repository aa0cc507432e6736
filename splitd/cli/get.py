"""splitctl get."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO

import click

from splitd.cli.errors import Refused, TransferBroken
from splitd.cli.paths import clean_path, printable
from splitd.cli.progress import meter
from splitd.cli.server import read_pieces
from splitd.cli.session import Session, pass_session
from splitd.model.tree import basename

_STDOUT = "-"


@click.command()
@click.option("-f", "--force", is_flag=True, help="Replace FILE where it is there.")
@click.argument("path")
@click.argument("file", required=False)
@pass_session
def get(session: Session, force: bool, path: str, file: str | None) -> None:
    """Fetch a file.

    FILE is where it goes: a file, a folder, or - for standard output; without it, its own name in this folder.
    The bytes go to FILE.part first, which takes the name FILE when all of them are there.
    """
    path = clean_path(path)
    if file == _STDOUT:
        if session.as_json:
            raise click.UsageError("--json and the file itself cannot both go to standard output")
        _fetch(session, path, nullcontext(sys.stdout.buffer))
        return
    target = _target(path, file)
    if target.exists() and not force:
        raise click.UsageError(f"{printable(str(target))} is there already; --force replaces it")
    try:
        size, etag = _fetch(session, path, _whole_or_not(target))
    except OSError as problem:
        raise TransferBroken(f"{printable(str(target))}: {problem.strerror}") from problem
    if session.as_json:
        session.show({"path": path, "file": os.fspath(target), "size": size, "etag": etag})


def _target(path: str, file: str | None) -> Path:
    name = basename(path)
    if not name:
        raise click.UsageError("/ is a collection; only files can be fetched")
    if file is None:
        return Path(name)
    return Path(file, name) if Path(file).is_dir() else Path(file)


@contextmanager
def _whole_or_not(target: Path) -> Iterator[IO[bytes]]:
    part = target.with_name(target.name + ".part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _fetch(session: Session, path: str, target: AbstractContextManager[IO[bytes]]) -> tuple[int, str]:
    with session.front.ask("GET", path) as answer:
        etag = answer.headers["ETag"]
        if etag is None:
            raise Refused(f"{printable(path)}: this is a collection; only files can be fetched", 409)
        size = 0
        with target as file, meter(answer.length) as bar:
            bar.begin(basename(path))
            for piece in read_pieces(answer, f"GET {printable(path)}"):
                file.write(piece)
                bar.advance(len(piece))
                size += len(piece)
    return size, etag
