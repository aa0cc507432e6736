"""Operations on a disk in memory, as they are recorded."""

from __future__ import annotations

from typing import Any, TypeAlias

import attrs

Image: TypeAlias = dict[str, dict[str, bytes]]
"""The contents of each folder: the bytes of its files, by name."""


class Inode:
    """A file, independent of its names."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)


@attrs.frozen(eq=False)
class Wrote:
    inode: Inode
    offset: int
    data: bytes


@attrs.frozen(eq=False)
class Truncated:
    inode: Inode
    size: int


@attrs.frozen(eq=False)
class Synced:
    inode: Inode
    good: bool


@attrs.frozen(eq=False)
class Named:
    """A name was given to a file, or, if `inode` is None, removed.

    :param needs: if this removes the old name of a moved file: the event of its new name, without which the old one
        stays.
    :param old: if a file was moved within a folder: its old name.
    """

    folder: str
    name: str
    inode: Inode | None
    needs: Named | None = None
    old: str = ""


@attrs.frozen(eq=False)
class FolderSynced:
    folder: str


@attrs.frozen(eq=False)
class FolderMade:
    folder: str


@attrs.frozen(eq=False)
class Note:
    """A note by a test at this moment."""

    result: Any


Event: TypeAlias = Wrote | Truncated | Synced | Named | FolderSynced | FolderMade | Note


def carry_out(data: bytearray, change: Wrote | Truncated) -> None:
    """Change the bytes of a file."""
    if isinstance(change, Truncated):
        del data[change.size :]
        return
    data += bytes(max(0, change.offset - len(data)))
    data[change.offset : change.offset + len(change.data)] = change.data
