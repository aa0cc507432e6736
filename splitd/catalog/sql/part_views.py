"""What a transaction sees of versions, uploads and moves: each is loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

from splitd.catalog.part_moves import PartMoves
from splitd.catalog.sql.doomed import StoredDoomed
from splitd.catalog.state import UnderWay
from splitd.model.holdings import PartCopy
from splitd.model.packing import Packed
from splitd.model.records import PartMoveStarted

if TYPE_CHECKING:
    from splitd.catalog.sql.parts import PartRows


class StoredUploads(MutableMapping[str, UnderWay]):
    """Uploads under way, which are loaded when they are asked for."""

    def __init__(self, loaded: dict[str, UnderWay], load: Any) -> None:
        self._loaded = loaded
        self._load = load

    def __getitem__(self, upload: str) -> UnderWay:
        self._load(upload)
        return self._loaded[upload]

    def __setitem__(self, upload: str, under_way: UnderWay) -> None:
        self._load(upload)
        self._loaded[upload] = under_way

    def __delitem__(self, upload: str) -> None:
        self._load(upload)
        del self._loaded[upload]

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded)

    def __len__(self) -> int:
        return len(self._loaded)


class StoredNames(MutableMapping[bytes, int]):
    """How many names versions with several names have, by their keys."""

    def __init__(self, loaded: dict[str, int], load: Any) -> None:
        self._loaded = loaded
        self._load = load

    def __getitem__(self, key: bytes) -> int:
        self._load(key.hex())
        return self._loaded[key.hex()]

    def __setitem__(self, key: bytes, names: int) -> None:
        self._load(key.hex())
        self._loaded[key.hex()] = names

    def __delitem__(self, key: bytes) -> None:
        self._load(key.hex())
        del self._loaded[key.hex()]

    def __iter__(self) -> Iterator[bytes]:
        return (bytes.fromhex(upload) for upload in self._loaded)

    def __len__(self) -> int:
        return len(self._loaded)


class StoredVersions:
    """Versions by their uploads; see `splitd.catalog.versions.Versions`."""

    def __init__(self, parts: PartRows) -> None:
        self._parts = parts

    def add(self, packed: Packed) -> None:
        """Add a version, once its file has a name."""
        self._parts.add(packed)

    def find(self, upload: str) -> Packed | None:
        """Return the packed manifest of an upload; None if there is none."""
        found = self._parts.known(upload)
        return None if found is None else self._parts.pack(found)

    def find_key(self, key: bytes) -> Packed | None:
        """Return what `find` does, by the 16 bytes of the upload's id."""
        return self.find(key.hex())

    def remove(self, upload: str) -> None:
        """Remove the version of an upload; do nothing if there is none."""
        self._parts.remove(upload)


class StoredMoves(PartMoves):
    """Moves of parts; those of an upload are loaded when they are asked for."""

    def __init__(self, doomed: StoredDoomed, load: Any) -> None:
        self.under_way = {}  # see `StoredDoomed`
        self._doomed = doomed
        self._nodes = {}
        self._of_upload = {}
        self._load = load

    def know(self, record: PartMoveStarted) -> None:
        """Take note of a move that is under way."""
        copy = PartCopy(record.upload, record.index, record.target)
        self.under_way[copy] = record
        self._of_upload.setdefault(copy.upload, set()).add(copy)

    def refuse_start(self, copy: PartCopy) -> None:
        """Refuse a move that must not begin; see `PartMoves.refuse_start`."""
        self._load(copy.upload)
        super().refuse_start(copy)
