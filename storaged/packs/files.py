"""The files of the packs, in a folder of their own.  Every method blocks."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock

from storaged.packs.format import encode_file_header
from storaged.system.interfaces import IFile, IFilesystem

_NAME = re.compile(r"\A([0-9]{10})\.pack\Z")
_HANDLES = 32


class PackFiles:
    """Packs by their numbers.

    :param folder: where they lie.
    """

    def __init__(self, folder: str, filesystem: IFilesystem) -> None:
        self.folder = folder
        self._filesystem = filesystem
        self._lock = Lock()
        self._open: OrderedDict[int, IFile] = OrderedDict()  # for reading, the last used one last
        self._users: dict[int, int] = {}

    def path(self, number: int) -> str:
        """The path of a pack."""
        return f"{self.folder}/{number:010}.pack"

    def prepare(self) -> dict[int, int]:
        """Make the folder, durably, where it is missing.

        :return: the sizes of the packs in it, by their numbers.
        """
        self._filesystem.make_folder(self.folder)
        found = ((_NAME.match(name), size) for name, size, _ in self._filesystem.scan(self.folder))
        return {int(match[1]): size for match, size in found if match is not None}

    def create(self, number: int) -> IFile:
        """Begin a pack: its file, which a power cut does not take away, open for appending.

        :raise OSError: the pack could not be begun.  A file may be left where it could not be removed either, so the
            number must not be used again.
        """
        file = self._filesystem.open(self.path(number), "create")
        try:
            file.write([encode_file_header()])
            file.sync()
            self._filesystem.sync_folder(self.folder)
        except OSError:
            for undo in (file.close, lambda: self._filesystem.remove(self.path(number))):
                with suppress(OSError):  # the first error is raised; a start finds a pack with nothing in it
                    undo()
            raise
        return file

    def sync(self, number: int) -> None:
        """Make what a pack holds survive a power cut."""
        with self.reading(number) as file:
            file.sync()

    @contextmanager
    def reading(self, number: int) -> Iterator[IFile]:
        """A pack open for reading, for as long as it is needed."""
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

    def _close_some(self, keep: int) -> None:
        for number in list(self._open)[: max(0, len(self._open) - keep)]:
            if not self._users.get(number):
                self._users.pop(number, None)
                file = self._open.pop(number)
                with suppress(OSError):  # it was only read
                    file.close()

    def remove(self, number: int) -> None:
        """Delete a pack for good.  Who reads it reads on."""
        with suppress(FileNotFoundError):  # an earlier try may have failed behind this line
            self._filesystem.remove(self.path(number))
        self._filesystem.sync_folder(self.folder)
        with self._lock:
            if number in self._open:
                self._open.move_to_end(number, last=False)  # the next to be closed: its space is free only then
                self._close_some(len(self._open) - 1)

    def close(self) -> None:
        """Close the files that nobody reads."""
        with self._lock:
            self._close_some(0)
