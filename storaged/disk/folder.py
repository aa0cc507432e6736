"""The folder of a node's parts, as far as they are not packed.  Every method blocks.

parts/<first two digits of the id>/<id>     whole parts; the subfolder is made for the first part in it
tmp/<id>                                    parts that are being written
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from threading import Lock

import attrs

from storaged.disk.trash import Trash
from storaged.parts.checks import check_small
from storaged.parts.decoding import look_at
from storaged.parts.errors import PartMissing
from storaged.parts.format import HEADER_SIZE, PartId, parse_part_id
from storaged.parts.values import PartInfo, PartLook
from storaged.system.interfaces import IFilesystem

SUBFOLDERS = tuple(f"{number:02x}" for number in range(256))
_TEMPORARY = "tmp"


@attrs.frozen
class PartPlace:
    """The paths of a part: `temporary` while it is written, `path` in `folder` when it is whole."""

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
        self._durable: set[str] = set()  # subfolders known to be durable
        self._lock = Lock()
        self._found: dict[str, str] = {}  # the highest id that was in each subfolder when it was looked at
        self._made: dict[str, str] = {}  # the highest id for which each subfolder was made since the start

    def place(self, part: PartId) -> PartPlace:
        """Return the paths of a part."""
        folder = f"{self.root}/parts/{part.upload[:2]}"
        return PartPlace(f"{self.root}/{_TEMPORARY}/{part}", folder, f"{folder}/{part}")

    def prepare(self) -> None:
        """Make the missing folders durably, and delete unfinished parts."""
        temporary = f"{self.root}/{_TEMPORARY}"
        self._filesystem.make_folder(temporary)
        self._filesystem.make_folder(f"{self.root}/parts")
        # An interrupted start may have made them without a sync.
        self._filesystem.sync_folder(self.root)
        for name, _, _ in self._filesystem.scan(temporary):
            self._filesystem.remove(f"{temporary}/{name}")

    def make_subfolder(self, part: PartId) -> None:
        """Make the subfolder for a part durably, unless that was done before.  Must be called before the part is put
        there.
        """
        folder = self.place(part).folder
        with self._lock:
            subfolder = part.upload[:2]
            self._made[subfolder] = max(str(part), self._made.get(subfolder, ""))
        if folder not in self._durable:
            self._filesystem.make_folder(folder)
            # Also if it exists: another thread or a killed process may have made it without a sync.
            self._filesystem.sync_folder(f"{self.root}/parts")
            self._durable.add(folder)

    def stat(self, part: PartId) -> PartInfo:
        """Return the size and the time of a part.

        :raise PartMissing: no part in this folder has this id.
        """
        try:
            file = self._filesystem.open(self.place(part).path, "read")
        except FileNotFoundError as problem:
            raise PartMissing(f"part {part} is not here") from problem
        try:
            return PartInfo(str(part), file.size, file.modified_ms)
        finally:
            file.close()

    def look(self, part: PartId) -> PartLook:
        """Look at the header of a part.

        :raise PartMissing: no part in this folder has this id.
        :raise PartDamaged: the header is wrong.
        """
        try:
            file = self._filesystem.open(self.place(part).path, "read")
        except FileNotFoundError as problem:
            raise PartMissing(f"part {part} is not here") from problem
        try:
            return look_at(part, file.size, file.read_at(0, HEADER_SIZE))
        finally:
            file.close()

    def exists(self, part: PartId) -> bool:
        """Return whether a part in this folder has this id."""
        if not self._may_have(part):
            return False
        try:
            self.stat(part)
        except PartMissing:
            return False
        return True

    def _may_have(self, part: PartId) -> bool:
        """Return False if this part is certainly not here, without a call of the system for most new parts."""
        # An id is a random first byte followed by the time, so a new id is higher than all others of its first byte.
        part_id, subfolder = str(part), part.upload[:2]
        found = self._found.get(subfolder)
        if found is None:
            found = self._found[subfolder] = max((each.part_id for each in self.scan(subfolder, "")), default="")
        return part_id <= found or part_id <= self._made.get(subfolder, "")

    def read_small(self, part: PartId) -> bytes:
        """Return all stored bytes of a small part.

        :raise PartMissing: no part in this folder has this id.
        :raise BadRequest: the part is not small.
        """
        check_small(str(part), self.stat(part).stored_size)
        file = self._filesystem.open(self.place(part).path, "read")
        try:
            return file.read_at(0, file.size)
        finally:
            file.close()

    def remove_all(self, parts: Sequence[PartId]) -> list[bool | OSError]:
        """Delete parts for good, with one sync for each subfolder.

        :return: for each part, in their order, whether there was one, or an error if it may not be gone for good.
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
        # Also if no part was found: an earlier removal may have been interrupted before its sync.
        try:
            self._filesystem.sync_folder(folder)
        except FileNotFoundError:
            return None  # there never was a part in this folder
        except OSError as problem:
            return problem
        return None

    def put_aside(self, part: PartId, trash: Trash, now_ms: int) -> bool:
        """Move a part to the trash, durably.

        :return: whether there was such a part.
        """
        place = self.place(part)
        try:
            trash.move(place.path, part, now_ms)
        except FileNotFoundError:
            found = False
        else:
            found = True
        # Also if there was none: an earlier try may have moved it, and failed before this line.
        with suppress(FileNotFoundError):  # there never was a part in this folder
            self._filesystem.sync_folder(place.folder)
        return found

    def scan(self, subfolder: str, after: str) -> list[PartInfo]:
        """List the parts in one of `SUBFOLDERS` whose ids are greater than `after`, in ascending order."""
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
