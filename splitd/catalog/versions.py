"""The versions that have a name, by the uploads that made them.  Pure."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from itertools import islice

from splitd.model.packing import Packed, key_of


class Versions:
    """All versions with parts, each once, however many names it has; and all segments, which have no names.

    An upload id begins with a random byte, and the rest of it rises with time (`splitd.model.uploads`).  There is one
    list for each of the 256 first bytes, so nearly all versions are added at the end of a list.  That takes eight bytes
    and a fraction of a microsecond for each version; a dict would take six times the memory, and a `SortedKeyList` six
    times the time.  The lists hold packed manifests, which begin with the id.
    """

    def __init__(self) -> None:
        self._lists: dict[int, list[Packed]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._lists.values()))

    def add(self, packed: Packed) -> None:
        """Add a version, once its file has a name."""
        versions = self._lists.get(packed[0])
        if versions is None:
            self._lists[packed[0]] = [packed]
        elif packed > versions[-1]:
            versions.append(packed)
        else:
            insort(versions, packed)

    def extend(self, some: list[Packed]) -> None:
        """Add many versions, which are in the order of their uploads and come after all others."""
        place = 0
        while place < len(some):
            first = some[place][0]
            end = bisect_left(some, bytes([first + 1])) if first < 255 else len(some)
            self._lists.setdefault(first, []).extend(some[place:end])
            place = end

    def numbering(self) -> Callable[[bytes], tuple[int, Packed]]:
        """Return a function that finds a version by its key (see `packing.key_of`), and tells at which place of
        `after("")` it is, and its packed manifest there; it holds until the next change.
        """
        begins: dict[int, int] = {}
        total = 0
        for first in sorted(self._lists):
            begins[first] = total
            total += len(self._lists[first])

        def find(key: bytes) -> tuple[int, Packed]:
            versions, place = self._place(key)
            return begins[key[0]] + place, versions[place]

        return find

    def find(self, upload: str) -> Packed | None:
        """Return the packed manifest of an upload, with the nodes of its parts at the commit; None if there is none."""
        try:
            return self.find_key(key_of(upload))
        except ValueError:
            return None

    def find_key(self, key: bytes) -> Packed | None:
        """Return what `find` does, by the 16 bytes of the upload's id."""
        versions, place = self._place(key)
        return versions[place] if place < len(versions) and versions[place].startswith(key) else None

    def after(self, upload: str) -> Iterator[Packed]:
        """Iterate over the packed manifests in the order of their uploads, with the nodes of their parts at the commit.

        They must not be changed until the iteration has ended.

        :param upload: begin behind this one; "" for the first.
        """
        key = bytes.fromhex(upload)
        for first in sorted(first for first in self._lists if first >= (key[0] if key else 0)):
            versions, place = self._lists[first], 0
            if key and first == key[0]:
                place = bisect_left(versions, key)
                while place < len(versions) and versions[place].startswith(key):
                    place += 1
            yield from islice(versions, place, None)

    def remove(self, upload: str) -> None:
        """Remove the version of an upload; do nothing if there is none."""
        key = key_of(upload)
        versions, place = self._place(key)
        if place < len(versions) and versions[place].startswith(key):
            del versions[place]
            if not versions:
                del self._lists[key[0]]

    def _place(self, key: bytes) -> tuple[list[Packed], int]:
        versions = self._lists.get(key[0], [])
        return versions, bisect_left(versions, key)
