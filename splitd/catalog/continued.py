"""Uploads that can be continued, and their segments.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import attrs
from sortedcontainers import SortedDict, SortedKeyList

from splitd.model.media import Media
from splitd.model.packing import Packed, size_of
from splitd.model.paths import ancestors
from splitd.model.paths import place_of as plain_place_of


@attrs.define(eq=False)
class Continued:
    """An upload that can be continued, and has neither been completed nor aborted.

    :ivar path: the path that its file should get.
    :ivar said: the headers that the client sent when it began; see `Manifest.said`.
    :ivar began_ms: when it was begun, milliseconds since 1970.
    :ivar touched_ms: when it was begun, or when its last segment was committed.
    :ivar size: the bytes of all its segments.
    :ivar segments: the packed manifests of its segments, by their numbers.
    """

    upload: str
    path: str
    said: str | Media
    began_ms: int
    touched_ms: int
    size: int = 0
    segments: SortedDict = attrs.Factory(SortedDict)


def place_of(path: str, upload: str) -> tuple[str, str, str]:
    """Return what uploads are ordered by: their paths, and at one path the time at which they began."""
    return path, upload[2:14], upload


class ContinuedUploads:
    """All uploads that can be continued.

    :ivar size: the bytes of the segments of all of them.
    """

    def __init__(self) -> None:
        self._uploads: dict[str, Continued] = {}
        self._order: SortedKeyList = SortedKeyList(key=lambda each: place_of(each.path, each.upload))
        self._below: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._expected: dict[tuple[str, int], tuple[str, int]] = {}
        self.size = 0

    def __len__(self) -> int:
        return len(self._uploads)

    def __contains__(self, upload: str) -> bool:
        return upload in self._uploads

    def __iter__(self) -> Iterator[Continued]:
        """Iterate over all of them, in the order in which they began.  They must not be changed meanwhile."""
        return iter(self._uploads.values())

    def find(self, upload: str) -> Continued | None:
        """Return the upload with this id; None if there is none."""
        return self._uploads.get(upload)

    def begin(self, upload: str, path: str, said: str | Media, time_ms: int) -> None:
        """Add an upload.

        :raise ValueError: there is one with this id.
        """
        if upload in self._uploads:
            raise ValueError("it was begun already")
        begun = self._uploads[upload] = Continued(upload, path, said, time_ms, time_ms)
        self._order.add(begun)
        _add(self._counts, path, 1)

    def put(self, upload: str, number: int, packed: Packed, time_ms: int) -> Packed | None:
        """Add a segment to an upload.

        :return: the segment that it replaces; None if there was none of this number.
        :raise ValueError: there is no such upload.
        """
        continued = self._uploads.get(upload)
        if continued is None:
            raise ValueError(f"upload {upload} cannot be continued")
        replaced: Packed | None = continued.segments.get(number)
        continued.segments[number] = packed
        continued.touched_ms = max(continued.touched_ms, time_ms)
        growth = size_of(packed) - (0 if replaced is None else size_of(replaced))
        self._settle(upload, number)
        _add(self._below, continued.path, growth)
        continued.size += growth
        self.size += growth
        return replaced

    def end(self, upload: str) -> Continued | None:
        """Remove and return an upload; None if there is none with this id."""
        continued = self._uploads.pop(upload, None)
        if continued is not None:
            self._order.remove(continued)
            self._settle(upload, 0)
            _add(self._counts, continued.path, -1)
            _add(self._below, continued.path, -continued.size)
            self.size -= continued.size
        return continued

    def below(self, path: str) -> int:
        """Return the bytes of the segments of uploads whose files should get this path, or lie below it, with what is
        expected.
        """
        return self._below[path]

    def count_below(self, path: str) -> int:
        """Return how many uploads there are whose files should get this path, or lie below it."""
        return self._counts[path]

    def expect(self, upload: str, number: int, growth: int) -> Callable[[], object]:
        """Count bytes that a change will add, from now on until `put` or `end` makes it.

        :param number: that of the segment that will be put; 0 for the end of the upload.
        :param growth: the bytes, which may be negative.
        :return: counts them back, if the change is not made.
        """
        continued = self._uploads.get(upload)
        if continued is None:
            return _nothing
        self._settle(upload, number)
        self._expected[upload, number] = continued.path, growth
        _add(self._below, continued.path, growth)
        return lambda: self._settle(upload, number)

    def _settle(self, upload: str, number: int) -> None:
        path, growth = self._expected.pop((upload, number), ("", 0))
        _add(self._below, path, -growth)

    def page(self, prefix: str, after: tuple[str, str], limit: int) -> list[Continued]:
        """List uploads whose paths begin with a prefix, in the order of `place_of`.

        :param after: the path and the id of the last upload of the page before; ("", "") for the first page.
        """
        found: list[Continued] = []
        for each in self._order.irange_key(max(place_of(prefix, ""), place_of(*after)), inclusive=(False, True)):
            if not each.path.startswith(prefix) or len(found) == limit:
                break
            found.append(each)
        return found


def _add(sums: Counter[str], path: str, growth: int) -> None:
    """Add to the sum of a path and of all that it lies in."""
    if not growth:
        return
    for each in (*ancestors(path), plain_place_of(path) or "/"):
        sums[each] += growth
        if not sums[each]:
            del sums[each]


def _nothing() -> None:
    """Count nothing back."""
