"""The two sides of a sync: what is there, and how it is changed."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any, Protocol

import attrs

from splitd.cli.errors import CommandFailed, ServerRefused
from splitd.cli.get import Fetcher
from splitd.cli.local_tree import local_path, unreadable, walk_folder
from splitd.cli.paths import clean_path, join_path, printable
from splitd.cli.progress import Meter
from splitd.cli.put import Sender, Transfer
from splitd.cli.server import Server, read_pieces
from splitd.cli.sync.plan import Found
from splitd.cli.tree import RemoteTree


class Side(Protocol):
    """The target of a sync."""

    def delete(self, below: str) -> None:
        """Delete something, with all that is in it."""

    def make(self, below: str) -> None:
        """Make a collection or folder; "" is the target itself."""

    def transfer(self, below: str, bar: Meter) -> None:
        """Transfer one file."""


@attrs.frozen
class Up:
    """Changes a collection.

    :param path: the collection's.
    """

    front: Server
    folder: Path
    path: str
    sender: Sender

    def delete(self, below: str) -> None:
        """Delete a file or collection."""
        RemoteTree(self.front).delete(join_path(self.path, below))

    def make(self, below: str) -> None:
        """Make a collection, and those above it."""
        RemoteTree(self.front).make_all(join_path(self.path, below))

    def transfer(self, below: str, bar: Meter) -> None:
        """Send a file, with the size that it has now."""
        source = os.fspath(self.folder / below)
        try:
            size = Path(source).stat().st_size
        except OSError as problem:
            raise unreadable(source, problem) from problem
        self.sender.send(source, Transfer(source, join_path(self.path, below), size), bar)


@attrs.frozen
class Down:
    """Changes a folder.

    :param path: the collection's.
    :param there: what is in the collection, by its path below it.
    """

    folder: Path
    path: str
    fetcher: Fetcher
    there: dict[str, Found]

    def delete(self, below: str) -> None:
        """Delete a file or folder."""
        target = local_path(self.folder, below)
        try:
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            else:
                target.unlink()
        except OSError as problem:
            raise unreadable(os.fspath(target), problem) from problem

    def make(self, below: str) -> None:
        """Make a folder, and those above it."""
        target = local_path(self.folder, below) if below else self.folder
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise unreadable(os.fspath(target), problem) from problem

    def transfer(self, below: str, bar: Meter) -> None:
        """Fetch a file, and give it the time at which it was stored.

        One that was replaced since the collection was read gets too old a time, and is fetched again the next time.
        """
        target = local_path(self.folder, below)
        self.fetcher.fetch(join_path(self.path, below), target, bar)
        modified_ns = self.there[below].modified_ms * 1_000_000
        os.utime(target, ns=(modified_ns, modified_ns))


def local_tree(folder: Path, failures: list[CommandFailed]) -> dict[str, Found]:
    """Return what is in a folder, by its path below it.

    :param failures: what could not be read is appended.
    """
    found = walk_folder(os.fspath(folder), failures, [])
    return {entry.below: Found(entry.size, entry.modified_ms) for entry in found}


def remote_tree(front: Server, path: str) -> dict[str, Found] | None:
    """Return what is in a collection, by its path below it; None if nothing has this name.

    :raise ServerRefused: a file has this name.
    """
    tree = RemoteTree(front)
    top = clean_path(path)
    entry: dict[str, Any] | None = {"type": "collection"} if top == "/" else tree.find(top)
    if entry is None:
        return None
    if entry["type"] == "file":
        raise ServerRefused(f"{printable(path)}: this is a file; only a collection can be like a folder", 409)
    return {
        below.removeprefix(top).strip("/"): Found(
            member["size"] if member["type"] == "file" else None, member.get("modified_ms") or 0
        )
        for below, member in tree.walk(top)
    }


def same_bytes(front: Server, path: str, file: Path) -> bool:
    """Return whether a file in the service has the bytes of one here.  Both are read."""
    try:
        with file.open("rb") as opened:
            mine = hashlib.file_digest(opened, "sha256").digest()
    except OSError as problem:
        raise unreadable(os.fspath(file), problem) from problem
    theirs = hashlib.sha256()
    with front.ask("GET", path) as answer:
        for piece in read_pieces(answer, f"GET {printable(path)}"):
            theirs.update(piece)
    return mine == theirs.digest()
