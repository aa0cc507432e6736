"""Folders beside the journal's, in which another process makes a journal."""

from __future__ import annotations

from splitd.errors import JournalUnfinished
from storaged.system.interfaces import IFilesystem

_MAKERS = {
    "copying": "splitctl catalog copy",
    "restoring": "splitctl journal restore",
    "recovering": "splitctl journal recover",
}


def refuse_unfinished(filesystem: IFilesystem, folder: str) -> None:
    """Refuse to use a journal that another process is just making, or was when it was killed.

    :param folder: the journal's folder.
    :raise JournalUnfinished: there is a folder of that process; the message names it, and the command.
    """
    for what, command in _MAKERS.items():
        made = f"{folder}.{what}"
        try:
            filesystem.scan(made)
        except FileNotFoundError:
            continue
        raise JournalUnfinished(
            f"`{command}` is making a journal in {made}, or was interrupted: wait for its end; if it was interrupted,"
            " repeat it, or remove that folder"
        )
