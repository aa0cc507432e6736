"""Where the parts of a node lie in its folder.  Every method blocks.

parts/<first two digits of the id>/<id>     whole parts that are not packed; the subfolder is made for the first of them
tmp/<id>                                    parts that are being written
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import attrs

from storaged.disk.trash import Trash
from storaged.parts.checks import check_small
from storaged.parts.errors import PartMissing
from storaged.parts.format import PartId, parse_part_id
from storaged.parts.values import PartInfo
from storaged.system.interfaces import IFilesystem

SUBFOLDERS = tuple(f"{number:02x}" for number in range(256))
_TEMPORARY = "tmp"


@attrs.frozen
class PartPlace:
    """Where a part is written, and where it lies afterwards."""

    temporary: str
    folder: str
    path: str


class PartFolder:
    """The folder of a node's parts.

    :param root: the node's folder.
    """

    def __init__(self, root: str, filesystem: IFilesystem) -> None:
        self.root = root
        self._filesystem = filesystem
        self._durable: set[str] = set()  # subfolders that a power cut does not take away

    def place(self, part: PartId) -> PartPlace:
        """Where a part is written and lies."""
        folder = f"{self.root}/parts/{part.upload[:2]}"
        return PartPlace(f"{self.root}/{_TEMPORARY}/{part}", folder, f"{folder}/{part}")

    def prepare(self) -> None:
        """Make the folders that are missing, durably, and drop what was left half written."""
        temporary = f"{self.root}/{_TEMPORARY}"
        self._filesystem.make_folder(temporary)
        self._filesystem.make_folder(f"{self.root}/parts")
        # A start that was cut off may have made them without making them durable.
        self._filesystem.sync_folder(self.root)
        for name, _, _ in self._filesystem.scan(temporary):
            self._filesystem.remove(f"{temporary}/{name}")

    def make_subfolder(self, part: PartId) -> None:
        """Make the folder that a part is to lie in, durably, where that was not done before."""
        folder = self.place(part).folder
        if folder not in self._durable:
            self._filesystem.make_folder(folder)
            # Where it is there, another thread, or a process that was killed, may have made it and not synced it.
            self._filesystem.sync_folder(f"{self.root}/parts")
            self._durable.add(folder)

    def stat(self, part: PartId) -> PartInfo:
        """Look at a part.

        :raise PartMissing: there is none.
        """
        try:
            file = self._filesystem.open(self.place(part).path, "read")
        except FileNotFoundError as problem:
            raise PartMissing(f"part {part} is not here") from problem
        try:
            return PartInfo(str(part), file.size, file.modified_ms)
        finally:
            file.close()

    def exists(self, part: PartId) -> bool:
        """Whether there is a part of this id."""
        try:
            self.stat(part)
        except PartMissing:
            return False
        return True

    def read_small(self, part: PartId) -> bytes:
        """All stored bytes of a small part.

        :raise PartMissing: there is none.
        :raise BadRequest: it is not small.
        """
        check_small(str(part), self.stat(part).stored_size)
        file = self._filesystem.open(self.place(part).path, "read")
        try:
            return file.read_at(0, file.size)
        finally:
            file.close()

    def remove_all(self, parts: Sequence[PartId]) -> list[bool | OSError]:
        """Delete parts for good, with one sync for each subfolder.

        :return: for each part, in their order, whether there was one, or why it is not known to be gone for good.
        """
        outcomes = [self._remove(part) for part in parts]
        synced = {folder: self._sync(folder) for folder in {self.place(part).folder for part in parts}}
        return [
            outcome if isinstance(outcome, OSError) else synced[self.place(part).folder] or outcome
            for part, outcome in zip(parts, outcomes, strict=True)
        ]

    def _remove(self, part: PartId) -> bool | OSError:
        try:
            self._filesystem.remove(self.place(part).path)
        except FileNotFoundError:
            return False
        except OSError as problem:
            return problem
        return True

    def _sync(self, folder: str) -> OSError | None:
        # Where no part was found, too: an earlier removal may have been cut off before its sync.
        try:
            self._filesystem.sync_folder(folder)
        except FileNotFoundError:
            return None  # there never was a part in this folder
        except OSError as problem:
            return problem
        return None

    def put_aside(self, part: PartId, trash: Trash, now_ms: int) -> bool:
        """Move a part to the trash; whether there was one."""
        place = self.place(part)
        try:
            trash.move(place.path, part, now_ms)
        except FileNotFoundError:
            found = False
        else:
            found = True
        # Where there was none, too: an earlier try may have moved it, and have failed before this line.
        with suppress(FileNotFoundError):  # there never was a part in this folder
            self._filesystem.sync_folder(place.folder)
        return found

    def scan(self, subfolder: str, after: str) -> list[PartInfo]:
        """The parts in one of `SUBFOLDERS` whose ids are greater than `after`, in ascending order."""
        try:
            files = self._filesystem.scan(f"{self.root}/parts/{subfolder}")
        except FileNotFoundError:
            return []
        found = [
            PartInfo(name, size, modified_ms)
            for name, size, modified_ms in files
            if name > after and name.startswith(subfolder) and _is_part_id(name)
        ]
        return sorted(found, key=lambda part: part.part_id)


def _is_part_id(name: str) -> bool:
    try:
        parse_part_id(name)
    except ValueError:
        return False
    return True
