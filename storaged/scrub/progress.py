"""How far the scrub of a node is, in a file.  If that is lost, the scrub begins anew, and finds again what it found.

scrub.json in the node's folder: the version, the step and the place in it, the end of the last pass, the rotten parts.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from storaged.parts.format import is_part_id
from storaged.parts.values import RottenPart
from storaged.system.filesystem import new_file
from storaged.system.interfaces import IFilesystem

STEPS = 256
"""A pass has this many steps.  Each takes the parts in one subfolder, and every 256th pack."""

_VERSION = 1
_NAME = "scrub.json"
_MOST = 8 * 1024 * 1024


class _Rotten(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    reason: str
    found_ms: int


class Position(msgspec.Struct, forbid_unknown_fields=True):
    """The place of the scrub, and what it has found.

    :param version: the version of this format.
    :param step: the number of the present step of the pass.
    :param after: what was checked last in this step; empty at its beginning.
    :param ended_ms: when the last whole pass ended, milliseconds since 1970; 0 if none has.
    """

    version: int = _VERSION
    step: int = 0
    after: str = ""
    ended_ms: int = 0
    rotten: list[_Rotten] = []

    def parts(self) -> list[RottenPart]:
        """Return the rotten parts."""
        return [RottenPart(part.id, part.reason, part.found_ms) for part in self.rotten]


class Progress:
    """The file.  Every method blocks.

    :param folder: the node's folder.
    """

    def __init__(self, folder: str, filesystem: IFilesystem) -> None:
        self._folder = folder
        self._path = f"{folder}/{_NAME}"
        self._filesystem = filesystem

    def load(self) -> Position:
        """Read the file; without a usable one, the scrub begins anew.

        :raise OSError: the file is there and cannot be read.
        """
        try:
            file = self._filesystem.open(self._path, "read")
        except FileNotFoundError:
            return Position()
        try:
            data = file.read_at(0, min(file.size, _MOST))
        finally:
            file.close()
        try:
            position = msgspec.json.decode(data, type=Position)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return Position()
        if position.version != _VERSION or not 0 <= position.step < STEPS or position.ended_ms < 0:
            return Position()
        position.rotten = [part for part in position.rotten if is_part_id(part.id)]
        return position

    def save(self, position: Position, rotten: Sequence[RottenPart]) -> None:
        """Write the file, durably and in one step.

        :raise OSError: it could not be written; the old one stays.
        """
        found = [_Rotten(part.part_id, part.reason, part.found_ms) for part in rotten]
        with new_file(self._filesystem, self._folder, self._path) as file:
            file.write([msgspec.json.encode(msgspec.structs.replace(position, rotten=found))])
