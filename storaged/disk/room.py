"""Counts how much may still be written to a volume, between two checks of the volume.  Pure."""

from __future__ import annotations

from storaged.system.volume import Volume


class Room:
    """The room on a volume: what the last check reported, less the reserve, all promises, and what was written since.

    :ivar reserve: bytes that are never promised to a part.
    """

    def __init__(self, reserve: int) -> None:
        self.reserve = int(reserve)  # a `Size` in the settings
        self._volume = Volume(0, 0)
        self._promised = 0
        self._written = 0
        self._written_at_look = 0

    @property
    def capacity(self) -> int:
        """The size of the volume in bytes."""
        return self._volume.capacity

    @property
    def volume_id(self) -> str:
        """The id of the volume; see `Volume.id`."""
        return self._volume.id

    @property
    def free(self) -> int:
        """The bytes that may still be promised, at least 0."""
        since = self._written - self._written_at_look
        return max(0, self._volume.available - self.reserve - self._promised - since)

    def begin_look(self) -> int:
        """Begin a check of the volume.  Bytes that are written during the check are counted as not in its result.

        :return: the bytes written up to now, to be passed to `end_look`.
        """
        return self._written

    def end_look(self, volume: Volume, noted: int) -> None:
        """Take the result of a check.

        :param noted: what `begin_look` has returned.
        """
        self._volume = volume
        self._written_at_look = noted

    def promise(self, size: int) -> Promise:
        """Set room aside for a part.

        :param size: the bytes it will take; 0 if not known.
        """
        self._promised += size
        return Promise(self, size)

    def move(self, written: int, promised: int) -> None:
        """Count `written` bytes as written, and `promised` bytes as not promised any more."""
        self._written += written
        self._promised -= promised


class Promise:
    """The room set aside for one part."""

    def __init__(self, room: Room, size: int) -> None:
        self._room = room
        self._left = size

    def add(self, size: int) -> None:
        """Set more room aside."""
        self._left += size
        self._room.move(0, -size)

    def cover(self, count: int) -> bool:
        """Set aside what is missing for the next `count` bytes.

        :return: whether there is room for them; if not, nothing is set aside.
        """
        missing = max(0, count - self._left)
        if missing > self._room.free:
            return False
        self.add(missing)
        return True

    def use(self, count: int) -> None:
        """Note that `count` bytes of the part were written."""
        self._give(count, min(count, self._left))

    def end(self) -> None:
        """Release what was not used.  May be called again."""
        self._give(0, self._left)

    def _give(self, written: int, promised: int) -> None:
        self._left -= promised
        self._room.move(written, promised)
