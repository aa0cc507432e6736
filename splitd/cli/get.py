"""splitctl get: fetches files, and collections with everything in them."""

from __future__ import annotations

import os
import stat
import sys
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import click

from splitd.cli.completion import REMOTE_PATH
from splitd.cli.crew import Crew, jobs_option, report
from splitd.cli.errors import CommandFailed, ServerRefused, SomeFailed, TransferBroken
from splitd.cli.fetching import TRIES, Fetch, Fetched, retries_option
from splitd.cli.local_tree import local_path
from splitd.cli.paths import clean_path, printable
from splitd.cli.progress import Meter, meter
from splitd.cli.session import Session, pass_session
from splitd.cli.tree import RemoteTree
from splitd.cli.writing import continued_file, whole_file
from splitd.model.tree import basename

_STDOUT = "-"


@click.command()
@click.option("-r", "recursive", is_flag=True, help="Fetch a collection and everything in it.")
@click.option("-f", "--force", is_flag=True, help="Replace FILE if it exists.")
@click.option(
    "-c",
    "--continue",
    "keep",
    is_flag=True,
    help="Keep what has arrived if the command fails or is ended, and go on there the next time.",
)
@retries_option
@jobs_option
@click.argument("path", type=REMOTE_PATH)
@click.argument("file", type=click.Path(allow_dash=True), required=False)
@pass_session
def get(
    session: Session,
    *,
    recursive: bool,
    force: bool,
    keep: bool,
    retries: int,
    jobs: int,
    path: str,
    file: str | None,
) -> None:
    """Fetch a file, or a collection with -r.

    FILE is the target: a file, a folder, or - for standard output.  Without it, the file gets its own name in the
    current folder.  The bytes go to a temporary file beside the target, which is renamed when all of them have arrived.

    With -r, FILE is the folder to make.  If it exists, the collection gets its own name in it.  Files that are there
    already are failures, unless --force replaces them.
    """
    path = clean_path(path)
    fetcher = Fetcher(session, force=force, keep=keep, retries=retries)
    if file == _STDOUT:
        if session.as_json or recursive or keep:
            raise click.UsageError("--json, -r and --continue do not go together with standard output")
        with meter(0) as bar:
            bar.begin(basename(path))
            Fetch(session.front, path, bar, retries).fetch(sys.stdout.buffer)
    elif recursive:
        _get_collection(session, fetcher, path, file, jobs)
    else:
        target = _target(path, file)
        with meter(0) as bar:
            fetcher.fetch(path, target, bar)


def _get_collection(session: Session, fetcher: Fetcher, path: str, file: str | None, jobs: int) -> None:
    tree = RemoteTree(session.front)
    entry: dict[str, Any] | None = {"type": "collection"} if path == "/" else tree.find(path)
    if entry is None:
        raise ServerRefused(f"{printable(path)}: there is no file or collection of this name", 404)
    if entry["type"] == "file":
        with meter(0) as bar:
            fetcher.fetch(path, _target(path, file), bar)
        return
    if file is None and path == "/":
        raise click.UsageError("/ has no name of its own; give the folder to fetch it into")
    folder = Path(file or basename(path))
    if file is not None and path != "/" and folder.is_dir():
        folder /= local_path(Path(), basename(path)).name
    with meter(0) as bar, Crew(jobs, bar) as crew:
        left = fetch_tree(fetcher, tree, path, folder, crew)
    report(crew.failures, left)


def fetch_tree(fetcher: Fetcher, tree: RemoteTree, path: str, folder: Path, crew: Crew) -> int:
    """Fetch everything below a collection into a folder, which is made.

    :return: how many files were not tried, because the server can no longer be reached.
    """
    _make_folder(folder)
    left = 0
    for below, member in tree.walk(path):
        if not crew.reaches:
            left += 1
            continue
        try:
            target = local_path(folder, below.removeprefix(path).strip("/"))
            if member["type"] == "collection":
                _make_folder(target)
                continue
        except CommandFailed as failure:
            crew.failures.append(failure)
            continue
        crew.run(partial(_fetch_one, fetcher, below, target, crew.bar))
    return left


def _fetch_one(fetcher: Fetcher, path: str, target: Path, bar: Meter) -> None:
    try:
        fetcher.fetch(path, target, bar)
    except click.UsageError as refusal:  # of one file among many
        raise SomeFailed(refusal.message) from refusal


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise TransferBroken(f"{printable(str(folder))}: {problem.strerror}") from problem


@attrs.frozen
class Fetcher:
    """Fetches files to names here.

    :param force: whether files that are there are replaced.
    :param keep: whether what has arrived is kept, and used the next time.
    :param retries: as for `Fetch`.
    """

    session: Session
    force: bool = False
    keep: bool = False
    retries: int = TRIES

    def fetch(self, path: str, target: Path, bar: Meter) -> Fetched:
        """Fetch one file; its name here shows it when all of it is there.

        :raise click.UsageError: something has the name here, and must not be replaced.
        :raise CommandFailed: the file could not be fetched.
        """
        bar.begin(basename(path))
        name = printable(str(target))
        try:
            _refuse_taken(target, force=self.force)
            fetched = self._continue(path, target, bar) if self.keep else self._begin(path, target, bar)
        except FileExistsError as problem:
            raise click.UsageError(f"{name} was made by somebody else meanwhile; --force replaces it") from problem
        except OSError as problem:
            raise TransferBroken(f"{name}: {problem.strerror}") from problem
        if self.session.as_json:
            self.session.show({"path": path, "file": os.fspath(target), "size": fetched.size, "etag": fetched.etag})
        return fetched

    def _begin(self, path: str, target: Path, bar: Meter) -> Fetched:
        with whole_file(target, replace=self.force) as file:
            return Fetch(self.session.front, path, bar, self.retries).fetch(file)

    def _continue(self, path: str, target: Path, bar: Meter) -> Fetched:
        entry = RemoteTree(self.session.front).find(path)
        if entry is None or entry["type"] != "file":
            return self._begin(path, target, bar)  # which says what is wrong
        with continued_file(target, f"{path} {entry['etag']}", entry["size"], replace=self.force) as (file, got):
            bar.expect(got)
            bar.advance(got)
            if got == entry["size"]:
                return Fetched(got, entry["etag"])
            return Fetch(self.session.front, path, bar, self.retries).fetch(file, got=got, etag=entry["etag"])


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
