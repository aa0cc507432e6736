"""Look-ups that are kept with the stamps as long as which they hold.  Pure."""

from __future__ import annotations

from typing import Generic, TypeVar

from splitd.model.manifest import Manifest
from splitd.model.tree import Collection

Found = Manifest | Collection | None
_Key = TypeVar("_Key")
_Stamp = TypeVar("_Stamp")

_MOST = 8192
_MOST_BYTES = 16 * 2**20


class StampedLooks(Generic[_Key, _Stamp]):
    """Keeps what was looked up last, each with a stamp.

    :param most: how many look-ups are kept at most.
    :param most_bytes: how many bytes the segments of the files among them take at most.  Those of one file may take
        280,000, so the number alone would be no bound for memory.
    """

    def __init__(self, most: int = _MOST, most_bytes: int = _MOST_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._bytes = 0
        self._kept: dict[_Key, tuple[_Stamp, Found]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, key: _Key) -> tuple[_Stamp, Found] | None:
        """Return the stamp and what was found; None if it is not kept."""
        return self._kept.get(key)

    def keep(self, key: _Key, stamp: _Stamp, entry: Found) -> None:
        """Keep what was found, in place of what was found before, and drop the oldest ones that are too many."""
        self._drop(key)
        self._kept[key] = stamp, entry
        self._bytes += _weight(entry)
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: _Key) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= _weight(kept[1])


def _weight(entry: Found) -> int:
    manifest = entry.own if isinstance(entry, Collection) else entry
    return 0 if manifest is None else len(manifest.packed_segments)
