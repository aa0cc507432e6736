"""The versions that have a name, by the uploads that made them.  Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from itertools import islice
from operator import attrgetter

from splitd.model.manifest import Manifest

_upload = attrgetter("upload")


class Versions:
    """All versions with parts, each once, however many names it has.

    An upload id begins with a random byte, and the rest of it rises with time (`splitd.model.uploads`).  There is one
    list for each of the 256 first bytes, so nearly all versions are added at the end of a list.  That takes eight bytes
    and a fraction of a microsecond for each version; a dict would take six times the memory, and a `SortedKeyList` six
    times the time.
    """

    def __init__(self) -> None:
        self._lists: dict[str, list[Manifest]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._lists.values()))

    def add(self, manifest: Manifest) -> None:
        """Add a version, once its file has a name."""
        upload = manifest.upload
        versions = self._lists.get(upload[:2])
        if versions is None:
            self._lists[upload[:2]] = [manifest]
        elif upload > versions[-1].upload:
            versions.append(manifest)
        else:
            insort(versions, manifest, key=_upload)

    def find(self, upload: str) -> Manifest | None:
        """Return the version of an upload, with the nodes of its parts at the commit; None if there is none."""
        versions, place = self._place(upload)
        return versions[place] if place < len(versions) and versions[place].upload == upload else None

    def after(self, upload: str) -> Iterator[Manifest]:
        """Iterate over the versions, with the nodes of their parts at the commit, in the order of their uploads.

        They must not be changed until the iteration has ended.

        :param upload: begin behind this one; "" for the first.
        """
        for first in sorted(first for first in self._lists if first >= upload[:2]):
            versions = self._lists[first]
            begin = bisect_right(versions, upload, key=_upload) if first == upload[:2] else 0
            yield from islice(versions, begin, None)

    def remove(self, upload: str) -> None:
        """Remove a version; do nothing if there is none."""
        versions, place = self._place(upload)
        if place < len(versions) and versions[place].upload == upload:
            del versions[place]
            if not versions:
                del self._lists[upload[:2]]

    def _place(self, upload: str) -> tuple[list[Manifest], int]:
        versions = self._lists.get(upload[:2], [])
        return versions, bisect_left(versions, upload, key=_upload)
