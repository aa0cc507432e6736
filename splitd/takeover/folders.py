"""The data folder of a front, while a journal is made anew in it."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from splitd.errors import RecoveryRefused
from storaged.system.filesystem import FolderLock, FolderTaken
from storaged.system.interfaces import IFilesystem

_Made = TypeVar("_Made")


def refuse_used_folder(data: Path, unfinished: str) -> None:
    """Refuse a data folder that is not empty, and remove what a killed process has left in it.

    :param unfinished: the name of the folder that a killed process may have left.
    :raise RecoveryRefused: something else is in it, or the process that makes that folder still runs.
    """
    with suppress(FileNotFoundError):
        found = [path.name for path in data.iterdir() if path.name != unfinished]
        if found:
            raise RecoveryRefused(f"{data} is not empty: {', '.join(sorted(found)[:3])} is there")
    lock = FolderLock(str(data / unfinished))
    try:
        with suppress(FileNotFoundError):
            lock.acquire()
        shutil.rmtree(data / unfinished, ignore_errors=True)
    except FolderTaken as problem:
        raise RecoveryRefused(str(problem)) from problem
    finally:
        lock.release()


def make_journal_folder(data: Path, unfinished: str, filesystem: IFilesystem, make: Callable[[Path], _Made]) -> _Made:
    """Make the journal's folder, whole or not at all.

    No front starts meanwhile: see `refuse_unfinished`.

    :param make: makes its contents in a folder of another name.
    :return: what `make` returns.
    :raise RecoveryRefused: another process has made a journal meanwhile, or makes one.
    """
    folder = data / unfinished
    lock = FolderLock(str(folder), f"splitctl, which makes {data / 'journal'}")
    filesystem.make_folder(str(folder))
    try:
        lock.acquire()
    except FolderTaken as problem:
        raise RecoveryRefused(str(problem)) from problem
    try:
        made = make(folder)
        try:
            folder.rename(data / "journal")
        except OSError as problem:
            if problem.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
            raise RecoveryRefused(f"{data / 'journal'} has been made by another process meanwhile") from problem
        filesystem.sync_folder(str(data))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        lock.release()
    return made
