"""The packs of a node: parts are appended, read and removed; packs in which much is dead are rewritten.

Every method blocks unless it says otherwise.  Two calls of `write` must not run at the same time; neither must two
compactions, which use `moves` and `drop`.  Reads may run beside them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TypeAlias

import attrs
import msgspec
from twisted.logger import Logger

from storaged.disk.calls import read_error
from storaged.disk.folder import PartFolder
from storaged.packs.files import PackFiles
from storaged.packs.format import ENTRY_SIZE, HEADER_SIZE, Entry, Gap, encode_part_entry, encode_removal, scan
from storaged.packs.index import Mark, PackIndex, Place
from storaged.packs.verifying import PackVerifier, Portion
from storaged.parts.decoding import check_part, look_at
from storaged.parts.errors import BadPart, PartDamaged, PartError, PartExists, PartMissing, StoragedError
from storaged.parts.format import HEADER_SIZE as PART_HEADER_SIZE
from storaged.parts.format import PartId, parse_part_id
from storaged.parts.values import PartLook
from storaged.system.allocated import AHEAD, AllocatedFile
from storaged.system.interfaces import IFile

SEAL_SIZE = 64 * 1024 * 1024
"""A pack of this size in bytes is sealed: it is not written to any more."""

_DEAD_SHARE = 0.3
_SMALL_PACKS = 8
_MOVE_SIZE = 1024 * 1024


class NewPart(msgspec.Struct, frozen=True, gc=False):
    """A part to be stored."""

    part: PartId
    data: bytes


@attrs.frozen
class Removal:
    """A part to be removed."""

    part: PartId


@attrs.frozen
class Relocation:
    """A part to be written again to another pack, unless it is no longer at its place."""

    part: PartId
    data: bytes
    place: Place


@attrs.frozen
class CarriedRemoval:
    """A removal to be written again to another pack, because the pack that holds the removed part still exists."""

    part: PartId
    removed_from: int


Change: TypeAlias = NewPart | Removal | Relocation | CarriedRemoval
Outcome: TypeAlias = Place | PartError | bool


class Packs:
    """The packs of one folder.

    :param now_ms: returns the time, milliseconds since 1970.
    :param elsewhere: the folder of the parts that are not packed.
    :param seal_size: a pack of this many bytes is not written to any more.
    """

    _log = Logger()

    def __init__(
        self,
        files: PackFiles,
        index: PackIndex,
        now_ms: Callable[[], int],
        elsewhere: PartFolder,
        seal_size: int = SEAL_SIZE,
    ) -> None:
        self._files = files
        self._index = index
        self._now_ms = now_ms
        self._elsewhere = elsewhere
        self._seal_size = seal_size
        self._sizes: dict[int, int] = {}
        self._active: AllocatedFile | None = None
        self._number = 0
        self._left_alone: set[int] = set()

    def start(self) -> None:
        """Index the packs in the folder.

        Every part that is found is durable.  A part whose writing was interrupted is there or not.
        """
        self._sizes = self._files.prepare()
        mark = self._index.open()
        self._number = max([mark.pack, *self._sizes])
        for number in sorted(self._sizes):
            if number >= mark.pack:
                self._index_pack(number, mark.offset if number == mark.pack else 0)
        for number, live in self._index.live.items():
            if live and number not in self._sizes:
                self._log.error("{path} is gone, and with it {live} bytes of parts",
                                path=self._files.path(number), live=live)  # fmt: skip

    def _index_pack(self, number: int, start: int) -> None:
        size = self._sizes[number]
        if start >= size:
            return
        self._files.sync(number)
        with self._files.reading(number) as file:
            for entry in scan(file.read_at, start, size):
                if isinstance(entry, Gap):
                    if entry.stop == size and self._files.cut_room(number, entry):
                        size = self._sizes[number] = entry.start
                        break
                    self._log.warn("{path}: bytes {start} to {stop} are no part",
                                   path=self._files.path(number), start=entry.start, stop=entry.stop)  # fmt: skip
                    continue
                mark = Mark(number, entry.stop)
                if entry.removed_from is None:
                    place = Place(number, entry.offset, entry.length, entry.time_ms)
                    self._index.change({entry.part_id: place}, (), mark)
                else:
                    self._index.change({entry.part_id: None}, (entry.removed_from,), mark)
        self._index.change({}, (), Mark(number, size))

    @property
    def count(self) -> int:
        """The number of packs."""
        return len(self._sizes)

    @property
    def newest_full(self) -> int:
        """The number of the newest sealed pack."""
        return self._number if self._active is None else self._number - 1

    def write(self, changes: Sequence[Change]) -> list[Outcome]:
        """Make changes, and make them durable with one sync.

        :return: the outcome of each change: the place of a part that was stored or moved; `PartExists` or `BadPart` if
            a part was refused; True or False if there was or was not a part to remove or to move.
        :raise OSError: the changes could not be written, or not be synced; none of them was made.
        """
        # Never append to a pack of an earlier start: nobody knows how its last bytes were written.
        number = self._number if self._active is not None else self._number + 1
        offset = self._sizes.get(number, HEADER_SIZE)
        places: dict[str, Place | None] = {}
        pieces: list[bytes] = []
        removals: list[int] = []
        outcomes: list[Outcome] = []
        now_ms = self._now_ms()
        for change in changes:
            part_id = str(change.part)
            if part_id in places:
                present = places[part_id]
            else:
                present = self._index.find(part_id) if self._index.may_have(part_id) else None
            outcome, more = self._judge(change, present, number, offset, now_ms)
            if more:
                pieces += more
                offset += sum(map(len, more))
                if isinstance(change, CarriedRemoval):
                    removals.append(change.removed_from)
                elif isinstance(outcome, Place):
                    places[part_id] = outcome
                elif present is not None:
                    removals.append(present.pack)
                    places[part_id] = None
            outcomes.append(outcome)
        if pieces:
            self._append(self._active or self._begin(number), pieces)
            self._sizes[number] = offset
            self._index.change(places, removals, Mark(number, offset))
            if offset >= self._seal_size:
                self._seal()
        return outcomes

    def _judge(
        self, change: Change, present: Place | None, number: int, offset: int, now_ms: int
    ) -> tuple[Outcome, list[bytes]]:
        """Return the outcome of a change, and the pieces to append for it at `offset` of pack `number`."""
        if isinstance(change, NewPart):
            if present is not None or self._elsewhere.exists(change.part):
                return PartExists(f"part {change.part} is here already"), []
            try:
                check_part(change.part, change.data)
            except BadPart as problem:
                return problem, []
            return _entry(change.part, change.data, now_ms, number, offset)
        if isinstance(change, Relocation):
            if present != change.place:
                return False, []  # it was removed meanwhile
            return _entry(change.part, change.data, change.place.time_ms, number, offset)
        if isinstance(change, CarriedRemoval):
            return True, encode_removal(change.part, change.removed_from, now_ms)
        if present is None:
            return False, []
        return True, encode_removal(change.part, present.pack, now_ms)

    def _begin(self, number: int) -> AllocatedFile:
        self._number = number  # set first: if the pack cannot be created, a file of this number may be left
        self._active = self._files.create(number, min(AHEAD, self._seal_size // 4))
        self._sizes[number] = HEADER_SIZE
        return self._active

    def _append(self, file: AllocatedFile, pieces: list[bytes]) -> None:
        size = file.size
        try:
            file.append(pieces)
            file.sync()
        except OSError:
            # After a sync has failed, one that succeeds proves nothing, so this pack is not written to any more.  But
            # its end must be durable; otherwise a power cut could bring back parts that were refused.
            self._seal(size)
            raise

    def _seal(self, size: int | None = None) -> None:
        """End the pack that is written to, at `size` bytes, or behind its last entry."""
        active, self._active = self._active, None
        if active is None:
            return
        with suppress(OSError):  # everything that was confirmed is synced
            active.finish(size)
        with suppress(OSError):
            active.close()

    def read(self, part_ids: Sequence[str]) -> list[bytes | StoragedError]:
        """Read parts.

        :return: for each part its stored bytes, or an error if it cannot be read.
        """
        places = self._index.find_all(part_ids)
        return [self._read(part_id, places[part_id]) for part_id in part_ids]

    def read_cached(self, part_id: str) -> bytes | None:
        """Read a part if its place and its bytes are in memory; None if only `read` can tell.  Does not block."""
        place = self._index.known(part_id)
        return None if place is None else self._files.read_cached(place.pack, place.offset, place.length)

    def _read(self, part_id: str, place: Place | None) -> bytes | StoragedError:
        return self._read_elsewhere(part_id) if place is None else self._read_span(part_id, place, place.length)

    def _read_span(self, part_id: str, place: Place, count: int, *, again: bool = True) -> bytes | StoragedError:
        """Read the first `count` bytes of a packed part."""
        try:
            with self._files.reading(place.pack) as file:
                data = file.read_at(place.offset, count)
        except FileNotFoundError:
            now = self._index.find(part_id)
            if again and now is not None:  # the part was just moved, and its old pack deleted
                return self._read_span(part_id, now, count, again=False)
            if now is None:
                return self._read_elsewhere(part_id)
            return PartDamaged(f"part {part_id}: {self._files.path(place.pack)} is gone")
        except OSError as problem:
            return read_error(f"part {part_id}", problem)
        if len(data) != count:
            return PartDamaged(f"part {part_id}: got {len(data)} bytes of {count}")
        return data

    def _read_elsewhere(self, part_id: str) -> bytes | StoragedError:
        try:
            return self._elsewhere.read_small(parse_part_id(part_id))
        except StoragedError as problem:
            return problem
        except OSError as problem:
            return read_error(f"part {part_id}", problem)

    def may_have(self, part_id: str) -> bool:
        """Return False if this part is certainly not packed; True if only `find` can tell.  Does not block."""
        return self._index.may_have(part_id)

    def find(self, part_id: str) -> Place:
        """Return the place of a part.

        :raise PartMissing: no packed part has this id.
        """
        place = self._index.find(part_id)
        if place is None:
            raise PartMissing(f"part {part_id} is not here")
        return place

    def look(self, part_id: str) -> PartLook:
        """Look at the header of a part.

        :raise PartMissing: no packed part has this id.
        :raise PartDamaged: the header is wrong, or cannot be read.
        """
        place = self.find(part_id)
        head = self._read_span(part_id, place, min(place.length, PART_HEADER_SIZE))
        if isinstance(head, StoragedError):
            raise head
        return look_at(parse_part_id(part_id), place.length, head)

    def sizes(self) -> dict[int, int]:
        """Return the bytes of each pack by its number; 0 for one that is lost, though parts should lie in it."""
        lost = {number: 0 for number, live in self._index.live.copy().items() if live}
        return lost | self._sizes.copy()

    def verify(self, number: int) -> Iterator[Portion]:
        """Check a pack; see `PackVerifier.verify`."""
        return PackVerifier(self._files, self._index, self._sizes).verify(number)

    def page(self, after: str, limit: int) -> list[tuple[str, Place]]:
        """Return at most `limit` parts whose ids are greater than `after`, in ascending order of their ids."""
        return self._index.page(after, limit)

    # Compaction

    def candidate(self) -> int | None:
        """Return the pack to rewrite next: the oldest in which much is dead, or else the oldest of too many small ones.

        The oldest comes first, because a removal is forgotten once the pack that held the part is deleted: no older
        pack may then hold a second copy of the part, left by an interrupted compaction.  May be called during a write.

        :return: the pack's number; None if no pack needs to be rewritten.
        """
        sealed = [
            number
            for number in sorted(self._sizes)
            if number not in self._left_alone and (number != self._number or self._active is None)
        ]
        needed = dict(self._index.live)
        for (number, removed_from), count in self._index.removals.copy().items():
            if removed_from in self._sizes:
                needed[number] = needed.get(number, 0) + count * ENTRY_SIZE
        small = [number for number in sealed if self._sizes[number] < self._seal_size // 4]
        for number in sealed:
            if needed.get(number, 0) <= (self._sizes[number] - HEADER_SIZE) * (1 - _DEAD_SHARE):
                return number
        return small[0] if len(small) > _SMALL_PACKS else None

    def moves(self, number: int) -> Iterator[list[Change]]:
        """Yield, in portions, the changes that must be written before a pack can be dropped."""
        try:
            with self._files.reading(number) as file:
                yield from self._moves(number, file)
        except FileNotFoundError:
            return  # deleted by an interrupted compaction, or lost: `drop` tells which

    def _moves(self, number: int, file: IFile) -> Iterator[list[Change]]:
        moves: list[Change] = []
        size = 0
        for entry in scan(file.read_at, 0, self._sizes[number]):
            if isinstance(entry, Entry):
                moves += self._moves_of(entry, number, file)
                size += entry.length
            if size >= _MOVE_SIZE:
                yield moves
                moves, size = [], 0
        yield moves

    def _moves_of(self, entry: Entry, number: int, file: IFile) -> list[Change]:
        part = parse_part_id(entry.part_id)
        if entry.removed_from is not None:
            still_there = entry.removed_from != number and entry.removed_from in self._sizes
            return [CarriedRemoval(part, entry.removed_from)] if still_there else []
        place = self._index.find(entry.part_id)
        if place is None or (place.pack, place.offset) != (number, entry.offset):
            return []
        return [Relocation(part, file.read_at(entry.offset, entry.length), place)]

    def drop(self, number: int) -> None:
        """Delete a pack whose parts were moved.  A pack that still holds parts, which are damaged, is kept."""
        live = self._index.live.get(number, 0)
        if live:
            self._left_alone.add(number)
            self._log.error("{path} is left as it is: {live} bytes of parts in it are damaged",
                            path=self._files.path(number), live=live)  # fmt: skip
            return
        self._index.settle()
        self._files.remove(number)
        del self._sizes[number]
        self._index.forget_pack(number)

    def close(self) -> None:
        """Close the files and the index."""
        self._seal()
        self._files.close()
        self._index.close()


def _entry(part: PartId, data: bytes, time_ms: int, number: int, offset: int) -> tuple[Place, list[bytes]]:
    pieces = encode_part_entry(part, data, time_ms)
    return Place(number, offset + len(pieces[0]), len(data), time_ms), pieces
