"""Reads whole packs, to find out whether every part in them is right.  Everything here blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs

from storaged.disk.verifying import PIECE, rot_of
from storaged.packs.files import PackFiles
from storaged.packs.format import ENTRY_SIZE, Gap, padded, scan
from storaged.packs.index import PackIndex, Place
from storaged.parts.decoding import check_part
from storaged.parts.errors import BadPart
from storaged.parts.format import parse_part_id

_PAGE = 1000
_BLOCK = 4096
_ALL = 1 << 62
_MOST = 1024 * 1024
"""The most bytes of parts, about, that one portion carries."""


@attrs.frozen
class Intact:
    """A part that can be read, though its entry in the pack is damaged: without the index nobody would find it."""

    part_id: str
    data: bytes
    place: Place


@attrs.frozen
class Portion:
    """A portion of a pack that was checked.

    :param size: its bytes.
    :param rotten: (part id, what is wrong) of rotten parts.
    :param intact: parts that should be written again, to another pack.
    :param good: parts that were checked from beginning to end, and are good.
    """

    size: int
    rotten: Sequence[tuple[str, str]] = ()
    intact: Sequence[Intact] = ()
    good: Sequence[str] = ()


class PackVerifier:
    """Checks packs.  May run beside reads, writes and compactions.

    :param sizes: the size of each pack in bytes, by its number; it changes while packs are written.
    """

    def __init__(self, files: PackFiles, index: PackIndex, sizes: Mapping[int, int]) -> None:
        self._files = files
        self._index = index
        self._sizes = sizes

    def verify(self, number: int) -> Iterator[Portion]:
        """Read a pack, and check every part in it that is not removed.

        :return: yields portions; the rotten parts come with the last ones.  It ends early if the pack is deleted.
        :raise OSError: the pack could not be read for a reason that says nothing about its bytes.
        """
        size = self._sizes.get(number)
        gaps: list[Gap] = []
        if size is None:
            gaps.append(Gap(0, _ALL))  # the file is gone, which a start has found
        else:
            passed = 0
            for entry in scan(lambda offset, count: self._read(number, offset, count), 0, size):
                if isinstance(entry, Gap):
                    gaps.append(entry)
                if entry.stop - passed >= PIECE:
                    yield Portion(entry.stop - passed)
                    passed = entry.stop
            yield Portion(size - passed)
        if gaps and self._index.live.get(number):
            yield from self._judge(number, gaps)

    def _read(self, number: int, offset: int, count: int) -> bytes:
        """Read bytes of a pack, with zeros in place of those that are lost."""
        try:
            data = self._read_file(number, offset, count)
        except FileNotFoundError:
            data = b""
        except OSError as problem:
            if rot_of(problem) is None:
                raise
            if count <= _BLOCK:
                data = b""
            else:
                ends = range(offset, offset + count, _BLOCK)
                data = b"".join(self._read(number, at, min(_BLOCK, offset + count - at)) for at in ends)
        return data.ljust(count, b"\0")

    def _read_file(self, number: int, offset: int, count: int) -> bytes:
        with self._files.reading(number) as file:
            data = file.read_at(offset, count)
            file.uncache(offset, count)
            return data

    def _judge(self, number: int, gaps: Sequence[Gap]) -> Iterator[Portion]:
        """Find the parts whose entries lie in gaps.  The entries cannot say it, so the whole index is read."""
        after = ""
        while page := self._index.page(after, _PAGE):
            after = page[-1][0]
            rotten: list[tuple[str, str]] = []
            intact: list[Intact] = []
            held = 0
            for part_id, place in page:
                if place.pack != number or not _lies_in(place, gaps) or self._index.find(part_id) != place:
                    continue
                outcome = self._look(part_id, place)
                if isinstance(outcome, str):
                    rotten.append((part_id, outcome))
                else:
                    intact.append(outcome)
                    held += place.length
                if held >= _MOST:
                    yield Portion(0, (), intact)
                    intact, held = [], 0
            yield Portion(0, rotten, intact)

    def _look(self, part_id: str, place: Place) -> Intact | str:
        """Read a part; return it if it is good, otherwise what is wrong."""
        path = self._files.path(place.pack)
        try:
            data = self._read_file(place.pack, place.offset, place.length)
            check_part(parse_part_id(part_id), data)
        except FileNotFoundError:
            return f"part {part_id}: {path} is gone"
        except BadPart as problem:
            return problem.reason
        except OSError as problem:
            reason = rot_of(problem)
            if reason is None:
                raise
            return f"part {part_id}: {reason}"
        return Intact(part_id, data, place)


def _lies_in(place: Place, gaps: Sequence[Gap]) -> bool:
    start, stop = place.offset - ENTRY_SIZE, place.offset + padded(place.length)
    return any(start < gap.stop and gap.start < stop for gap in gaps)
