"""The data folder of a front, while a journal is made anew in it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from splitd.errors import RecoveryRefused
from storaged.system.interfaces import IFilesystem

_Made = TypeVar("_Made")


def refuse_used_folder(data: Path, unfinished: str) -> None:
    """Refuse a data folder that is not empty, and remove what a killed process has left in it.

    :param unfinished: the name of the folder that a killed process may have left.
    :raise RecoveryRefused: something else is in it.
    """
    with suppress(FileNotFoundError):
        found = [path.name for path in data.iterdir() if path.name != unfinished]
        if found:
            raise RecoveryRefused(f"{data} is not empty: {', '.join(sorted(found)[:3])} is there")
    shutil.rmtree(data / unfinished, ignore_errors=True)


def make_journal_folder(data: Path, unfinished: str, filesystem: IFilesystem, make: Callable[[Path], _Made]) -> _Made:
    """Make the journal's folder, whole or not at all.

    :param make: makes its contents in a folder of another name, which it also makes.
    :return: what `make` returns.
    """
    folder = data / unfinished
    try:
        made = make(folder)
        folder.rename(data / "journal")
        filesystem.sync_folder(str(data))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return made
