"""The files and folders here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import attrs

from splitd.cli.errors import CommandFailed, ServerRefused, TransferBroken
from splitd.cli.paths import printable


@attrs.frozen
class Entry:
    """Something in a folder.

    :param below: its path below the folder that is walked.
    :param source: its path here.
    :param size: bytes of a file; None for a folder.
    :param modified_ms: when the file was changed last, in milliseconds since 1970.
    """

    below: str
    source: str
    size: int | None
    modified_ms: int = 0


def walk_folder(folder: str, failures: list[CommandFailed], left_out: list[str]) -> Iterator[Entry]:
    """Yield everything below a folder, each folder before what is in it, sorted by name.

    A link to a file counts as the file.

    :param failures: what could not be read is appended.
    :param left_out: the paths of links to folders, and of what is neither a file nor a folder, are appended.
    """
    waiting = [("", folder)]  # a stack, for folders may be deeper than Python's
    while waiting:
        below, here = waiting.pop()
        if below:
            yield Entry(below, here, None)
        folders = []
        for entry in _entries(here, failures):
            path = f"{below}/{entry.name}" if below else entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    folders.append((path, entry.path))
                elif entry.is_file():
                    state = entry.stat()
                    yield Entry(path, entry.path, state.st_size, state.st_mtime_ns // 1_000_000)
                else:
                    left_out.append(entry.path)
            except OSError as problem:  # it was removed, or its disk fails
                failures.append(unreadable(entry.path, problem))
        waiting += reversed(folders)


def _entries(folder: str, failures: list[CommandFailed]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as problem:
        failures.append(unreadable(folder, problem))
        return []


def unreadable(path: str, problem: OSError) -> TransferBroken:
    """Return the error that says why a file or folder here could not be read or written."""
    return TransferBroken(f"{printable(path)}: {problem.strerror}")


def local_path(folder: Path, below: str) -> Path:
    """Return the path in a folder of what has a path in a collection.

    :param below: names with slashes between them.
    :raise ServerRefused: a name would lead out of the folder, or no file here can have it.
    """
    for name in below.split("/"):
        if name in {"", ".", ".."} or "\0" in name:
            raise ServerRefused(f"{printable(below)}: no file here can have this name", 409)
    return folder / below
