"""The version cache, which holds whole small files that were read or stored recently.

A committed version never changes, so an entry cannot be stale.
"""

from __future__ import annotations

import sys

from cachetools import LRUCache

_LARGEST_SHARE = 8

_ENTRY = 352
"""Bytes of an entry beside its file: its key (an upload id), its size, its slots in the three tables of the LRU cache.

At most 320 were measured, with tables that had just grown; tests/unit/test_version_cache.py measures it again.
"""

_ALLOCATION = 16
"""Bytes that an allocator adds to a block, rounded up."""


class VersionCache:
    """Whole files by the ids of their uploads; the least recently used file is evicted first.

    :param limit: the most bytes of memory that all entries together take, the cache's own structures included; 0 keeps
        none.  A file whose entry takes more than an eighth of the limit is not kept.
    """

    def __init__(self, limit: int) -> None:
        self._largest = limit // _LARGEST_SHARE
        self._files: LRUCache[str, bytes] = LRUCache(limit, getsizeof=entry_size)
        self.hits = 0
        self.misses = 0

    @property
    def size(self) -> int:
        """Bytes of memory that the entries take."""
        return int(self._files.currsize)

    def __contains__(self, upload: object) -> bool:
        return upload in self._files

    def get(self, upload: str) -> bytes | None:
        """Return the bytes of a version, or None if they are not kept."""
        data = self.find(upload)
        if data is None:
            self.misses += 1
        return data

    def find(self, upload: str) -> bytes | None:
        """Return the bytes of a version, or None if they are not kept; then the caller asks for them by `get`."""
        data: bytes | None = self._files.get(upload)
        if data is not None:
            self.hits += 1
        return data

    def keep(self, upload: str, data: bytes) -> None:
        """Keep the bytes of a version, and evict others to make room.

        :param data: the whole file, every unit of it checked.
        """
        if entry_size(data) <= self._largest and upload not in self._files:
            self._files[upload] = data


def entry_size(data: bytes) -> int:
    """Return the bytes of memory that the entry of a file takes."""
    return sys.getsizeof(data) + _ALLOCATION + _ENTRY
