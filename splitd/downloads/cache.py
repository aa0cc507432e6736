"""Small files that were asked for lately.  A committed version never changes: what is kept of it cannot be stale."""

from __future__ import annotations

from collections import OrderedDict

_LARGEST_SHARE = 8


class VersionCache:
    """Whole files by the uploads that made them; the one that was asked for longest ago goes first.

    :param limit: the bytes of all files kept; 0 to keep none.  A file of more than an eighth of it is not kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._files: OrderedDict[str, bytes] = OrderedDict()
        self.size = 0
        self.hits = 0
        self.misses = 0

    def get(self, upload: str) -> bytes | None:
        """The bytes of a version, where they are kept."""
        data = self._files.get(upload)
        if data is None:
            self.misses += 1
            return None
        self.hits += 1
        self._files.move_to_end(upload)
        return data

    def keep(self, upload: str, data: bytes) -> None:
        """Keep the bytes of a version, which must have proved good."""
        if len(data) > self._limit // _LARGEST_SHARE or upload in self._files:
            return
        self._files[upload] = data
        self.size += len(data)
        while self.size > self._limit:
            _, dropped = self._files.popitem(last=False)
            self.size -= len(dropped)
