"""Reads one part from its first stored byte to its last, and checks every byte of it."""

from __future__ import annotations

from collections import deque

from splitd.model.manifest import Manifest
from storaged.parts.decoding import PartChecker, UnitDecoder
from storaged.parts.errors import PartDamaged
from storaged.parts.format import stored_size
from storaged.parts.interfaces import IPartReader
from storaged.system.ranges import Span


class PartReading:
    """One part of a version while it is read.

    :param index: the index of the part.
    """

    def __init__(self, manifest: Manifest, index: int) -> None:
        part, size = manifest.part(index), manifest.part_size(index)
        self.part_id = str(part)
        self.stored_size = stored_size(size, manifest.unit)
        self.read_bytes = 0
        self._checker = PartChecker(part, self.stored_size)
        self._decoder = UnitDecoder(part, manifest.unit, size, Span(0, size)) if size else None
        self._units: deque[bytes] = deque()
        self._reader: IPartReader | None = None

    def begin(self, reader: IPartReader) -> None:
        """Take the reader of the whole part.

        :raise PartDamaged: the part has another size than it should have.
        """
        self._reader = reader
        if reader.stored_size != self.stored_size:
            raise PartDamaged(f"part {self.part_id}: takes {reader.stored_size} bytes, expected {self.stored_size}")

    async def next_unit(self) -> bytes:
        """Return the payload of the next unit.

        :raise PartDamaged, BadPart: the unit is wrong or missing.
        :raise StoragedError: the node failed.
        """
        while not self._units:
            if not await self._read_on():
                raise PartDamaged(f"part {self.part_id}: ended before its last unit")
        return self._units.popleft()

    async def finish(self) -> None:
        """Read what comes after the last unit, and check the part as a whole.

        :raise PartDamaged, BadPart: the part is not whole.
        :raise StoragedError: the node failed.
        """
        while await self._read_on():
            pass
        self._checker.finish()

    async def _read_on(self) -> int:
        assert self._reader is not None
        data = await self._reader.read()
        position = self.read_bytes
        self.read_bytes += len(data)
        self._checker.feed(data)
        if self._decoder is not None and data:
            span = self._decoder.stored_span
            payload = data[max(0, span.start - position) : max(0, span.stop - position)]
            self._units.extend(b"".join(unit) for unit in self._decoder.feed(payload))
        return len(data)

    def close(self) -> None:
        """Read no more."""
        if self._reader is not None:
            self._reader.close()
