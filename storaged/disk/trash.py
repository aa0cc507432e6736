"""The trash: parts that are gone for the front, and are kept for some time for the operator.  Every method blocks.

trash/<milliseconds since 1970>-<id>     a part, and when it was moved to the trash
"""

from __future__ import annotations

import re
from collections.abc import Callable

from storaged.parts.format import PartId
from storaged.system.filesystem import UNFINISHED, new_file
from storaged.system.interfaces import IFilesystem

_NAME = re.compile(r"\A([0-9]{13})-[0-9a-f]{32}\.[0-9]{1,3}\Z")


class Trash:
    """The trash of a node.

    :param folder: the path of its folder.
    """

    def __init__(self, folder: str, filesystem: IFilesystem) -> None:
        self._folder = folder
        self._filesystem = filesystem

    def prepare(self) -> None:
        """Make the folder durably if it is missing, and delete unfinished files."""
        self._filesystem.make_folder(self._folder)
        for name, _, _ in self._filesystem.scan(self._folder):
            if name.endswith(UNFINISHED):
                self._filesystem.remove(f"{self._folder}/{name}")

    def move(self, path: str, part: PartId, now_ms: int) -> None:
        """Move a file to the trash.

        When this returns, the file is durable in the trash; its removal from the old folder is not durable yet.

        :raise FileNotFoundError: `path` does not exist.
        """
        try:
            self._filesystem.rename(path, self._path(part, now_ms))
        finally:
            # Also if `path` does not exist: an earlier try may have moved it, and failed on this line.
            self._filesystem.sync_folder(self._folder)

    def write(self, data: bytes, part: PartId, now_ms: int) -> None:
        """Write the bytes of a part to the trash, durably."""
        with new_file(self._filesystem, self._folder, self._path(part, now_ms)) as file:
            file.write([data])

    def _path(self, part: PartId, now_ms: int) -> str:
        return f"{self._folder}/{now_ms:013}-{part}"

    def empty(self, is_old: Callable[[int], bool]) -> tuple[int, int]:
        """Delete the parts that were moved to the trash long enough ago, and no other files.

        :param is_old: takes a time, milliseconds since 1970, and returns whether it is long enough ago.
        :return: the number of deleted parts, and their bytes.
        :raise OSError: a part could not be deleted; the others that are old enough were deleted.
        """
        count = size = 0
        failed: OSError | None = None
        for name, stored_size, _ in self._filesystem.scan(self._folder):
            match = _NAME.match(name)
            if match is not None and is_old(int(match[1])):
                try:
                    self._filesystem.remove(f"{self._folder}/{name}")
                except OSError as problem:
                    failed = problem
                    continue
                count += 1
                size += stored_size
        if failed is not None:
            raise failed
        return count, size
