"""The files of the packs, in a folder of their own.  Methods block unless they say otherwise."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock

from storaged.packs.format import HEADER_SIZE, Gap, encode_file_header, is_room
from storaged.system.allocated import AllocatedFile
from storaged.system.interfaces import IFile, IFilesystem

_NAME = re.compile(r"\A([0-9]{10})\.pack\Z")
_HANDLES = 32
_SMALL_SHARE = 8
_SMALL = 1024
"""A write is small, and may take zeros along, if it has so few bytes, or so small a share of their number."""


class PackFiles:
    """The files of packs, each known by its number.

    :param folder: the folder that holds them.
    """

    def __init__(self, folder: str, filesystem: IFilesystem) -> None:
        self.folder = folder
        self._filesystem = filesystem
        self._lock = Lock()
        self._open: OrderedDict[int, IFile] = OrderedDict()  # for reading, the most recently used last
        self._users: dict[int, int] = {}

    def path(self, number: int) -> str:
        """Return the path of a pack."""
        return f"{self.folder}/{number:010}.pack"

    def prepare(self) -> dict[int, int]:
        """Make the folder durably if it is missing.

        :return: the sizes in bytes of the packs in it, by their numbers.
        """
        self._filesystem.make_folder(self.folder)
        found = ((_NAME.match(name), size) for name, size, _ in self._filesystem.scan(self.folder))
        return {int(match[1]): size for match, size in found if match is not None}

    def create(self, number: int, ahead: int) -> AllocatedFile:
        """Create a pack durably.

        :param ahead: how many zeros are written at a time behind its entries, if these come in small writes.
        :return: its file, open for appending.
        :raise OSError: the pack could not be created.  If removing its file failed too, the file is left, so the
            number must not be used again.
        """
        file = self._filesystem.open(self.path(number), "create")
        try:
            file.write([encode_file_header()])
            file.sync()
            self._filesystem.sync_folder(self.folder)
        except OSError:
            for undo in (file.close, lambda: self._filesystem.remove(self.path(number))):
                with suppress(OSError):  # the first error is raised; the next start finds an empty pack
                    undo()
            raise
        return AllocatedFile(file, HEADER_SIZE, ahead, max(_SMALL, ahead // _SMALL_SHARE))

    def sync(self, number: int) -> None:
        """Make the contents of a pack durable."""
        with self.reading(number) as file:
            file.sync()

    def cut_room(self, number: int, gap: Gap) -> bool:
        """Cut off, durably, the zeros with which a pack ends because its node was killed while it was written to.

        :param gap: the bytes from the end of its last entry on.
        :return: whether they were zeros; if not, nothing is cut off.
        """
        file = self._filesystem.open(self.path(number), "update")
        try:
            if not is_room(file.read_at, gap):
                return False
            file.truncate(gap.start)
            file.sync()
            return True
        finally:
            file.close()

    @contextmanager
    def reading(self, number: int) -> Iterator[IFile]:
        """Keep a pack open for reading while a `with` block runs."""
        with self._lock:
            file = self._open.get(number)
            if file is None:
                file = self._open[number] = self._filesystem.open(self.path(number), "read")
            self._open.move_to_end(number)
            self._users[number] = self._users.get(number, 0) + 1
            self._close_some(_HANDLES)
        try:
            yield file
        finally:
            with self._lock:
                self._users[number] -= 1

    def read_cached(self, number: int, offset: int, count: int) -> bytes | None:
        """Read `count` bytes from a pack that is open, if they are in the page cache; None if not.  Does not block."""
        if not self._lock.acquire(blocking=False):  # a thread opens or closes a pack
            return None
        try:
            file = self._open.get(number)
            if file is None:
                return None
            self._open.move_to_end(number)
            return file.read_cached(offset, count)
        finally:
            self._lock.release()

    def _close_some(self, keep: int) -> None:
        for number in list(self._open)[: max(0, len(self._open) - keep)]:
            if not self._users.get(number):
                self._users.pop(number, None)
                file = self._open.pop(number)
                with suppress(OSError):  # it was open for reading only
                    file.close()

    def remove(self, number: int) -> None:
        """Delete a pack durably.  Reads in progress continue."""
        with suppress(FileNotFoundError):  # an earlier try may have failed after this line
            self._filesystem.remove(self.path(number))
        self._filesystem.sync_folder(self.folder)
        with self._lock:
            if number in self._open:
                self._open.move_to_end(number, last=False)  # closed next, because only that frees its space
                self._close_some(len(self._open) - 1)

    def close(self) -> None:
        """Close the files that nobody reads."""
        with self._lock:
            self._close_some(0)
