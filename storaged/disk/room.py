"""What may still be written to a volume, reckoned between two looks at it.  Pure."""

from __future__ import annotations

from storaged.system.volume import Volume


class Room:
    """The room on a volume: what it said last, without the reserve, what was promised and what was written since.

    :ivar reserve: bytes that are never promised to a part.
    """

    def __init__(self, reserve: int) -> None:
        self.reserve = int(reserve)  # a number of its own kind in the settings
        self._volume = Volume(0, 0)
        self._promised = 0
        self._written = 0
        self._written_at_look = 0

    @property
    def capacity(self) -> int:
        """The size of the volume."""
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
        """Note what was written up to now, before the volume is asked; hand it to `end_look`.

        Bytes written while the volume is asked may be in its answer or not: they are counted as if they were not.
        """
        return self._written

    def end_look(self, volume: Volume, noted: int) -> None:
        """Take what the volume said."""
        self._volume = volume
        self._written_at_look = noted

    def promise(self, size: int) -> Promise:
        """Set room aside for a part.

        :param size: the bytes it will take; 0 where not known.
        """
        self._promised += size
        return Promise(self, size)

    def move(self, written: int, promised: int) -> None:
        """Count bytes as written, and as not promised any more."""
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
        """Set as much more aside as is missing for the next `count` bytes; whether there is room for them."""
        missing = max(0, count - self._left)
        if missing > self._room.free:
            return False
        self.add(missing)
        return True

    def use(self, count: int) -> None:
        """Note that `count` bytes of the part were written."""
        self._give(count, min(count, self._left))

    def end(self) -> None:
        """Give back what was not used.  May be called again."""
        self._give(0, self._left)

    def _give(self, written: int, promised: int) -> None:
        self._left -= promised
        self._room.move(written, promised)
