"""Where the parts of a node lie in its folder.  Every method blocks.

parts/<first two digits of the id>/<id>     whole parts
tmp/<id>                                    parts that are being written
"""

from __future__ import annotations

import attrs

from storaged.errors import PartMissing
from storaged.interfaces import IFilesystem, PartInfo
from storaged.partfile import PartId, parse_part_id

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

    def place(self, part: PartId) -> PartPlace:
        """Where a part is written and lies."""
        folder = f"{self.root}/parts/{part.upload[:2]}"
        return PartPlace(f"{self.root}/{_TEMPORARY}/{part}", folder, f"{folder}/{part}")

    def prepare(self) -> None:
        """Make the folders that are missing, durably, and drop what was left half written."""
        temporary = f"{self.root}/{_TEMPORARY}"
        self._filesystem.make_folder(temporary)
        for name in SUBFOLDERS:
            self._filesystem.make_folder(f"{self.root}/parts/{name}")
        # A start that was cut off may have made some of them without making them durable.
        self._filesystem.sync_folder(f"{self.root}/parts")
        self._filesystem.sync_folder(self.root)
        for name, _, _ in self._filesystem.scan(temporary):
            self._filesystem.remove(f"{temporary}/{name}")

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

    def remove(self, part: PartId) -> bool:
        """Delete a part for good; whether there was one."""
        place = self.place(part)
        try:
            self._filesystem.remove(place.path)
            found = True
        except FileNotFoundError:
            found = False
        # Where there was none, too: an earlier removal may have been cut off before this line.
        self._filesystem.sync_folder(place.folder)
        return found

    def scan(self, subfolder: str, after: str) -> list[PartInfo]:
        """The parts in one of `SUBFOLDERS` whose ids are greater than `after`, in ascending order."""
        found = [
            PartInfo(name, size, modified_ms)
            for name, size, modified_ms in self._filesystem.scan(f"{self.root}/parts/{subfolder}")
            if name > after and name.startswith(subfolder) and _is_part_id(name)
        ]
        return sorted(found, key=lambda part: part.part_id)


def _is_part_id(name: str) -> bool:
    try:
        parse_part_id(name)
    except ValueError:
        return False
    return True
