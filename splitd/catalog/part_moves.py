"""Parts on their way from one node to another, and where they lie afterwards.  Pure."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import msgspec

from splitd.model.holdings import PartCopy
from splitd.model.manifest import Manifest
from splitd.model.records import PartCopyReaped, PartMoveAborted, PartMoved, PartMoveStarted, Record


class PartMoves:
    """What the records about moves of parts come to.

    A manifest says where the parts were when it was committed.  For the few of which one was moved since, it is here
    where they are now; a snapshot writes that down in their manifests.

    :ivar under_way: copies that are being made, and when each was begun, milliseconds since 1970.
    :ivar needless: copies to delete, oldest first.
    """

    def __init__(self) -> None:
        self.under_way: dict[PartCopy, int] = {}
        self.needless: dict[PartCopy, None] = {}
        self._nodes: dict[str, tuple[str, ...]] = {}

    def nodes_of(self, manifest: Manifest) -> tuple[str, ...]:
        """Where the parts of a version lie now, by their index."""
        return self._nodes.get(manifest.upload, manifest.nodes)

    def place(self, manifest: Manifest) -> Manifest:
        """A manifest that says where its parts lie now."""
        nodes = self._nodes.get(manifest.upload)
        return manifest if nodes is None else msgspec.structs.replace(manifest, nodes=nodes)

    def moved(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The uploads of which parts were moved, and where all their parts lie now."""
        return iter(self._nodes.items())

    def forget(self, upload: str) -> None:
        """The version is no more."""
        self._nodes.pop(upload, None)

    def copies(self) -> Iterator[PartCopy]:
        """The copies that lie somewhere beside the parts themselves."""
        yield from self.under_way
        yield from self.needless

    def refuse_copy(self, copy: PartCopy) -> None:
        """Refuse to copy a part to where a copy of it may be already.

        :raise ValueError: there may be one.
        """
        if copy in self.under_way or copy in self.needless:
            raise ValueError(f"a copy of part {copy.part} may be on node {copy.node} already")

    def start(self, record: PartMoveStarted) -> None:
        """Begin a move."""
        copy = PartCopy(record.upload, record.index, sys.intern(record.target))
        self.refuse_copy(copy)
        self.under_way[copy] = record.time_ms

    def commit(self, record: PartMoved, manifest: Manifest) -> None:
        """End a move well.

        :param manifest: of the file that the record names.
        """
        nodes = self.nodes_of(manifest)
        if manifest.upload != record.upload:
            raise ValueError(f"the file is of upload {manifest.upload}")
        if record.index >= len(nodes) or nodes[record.index] != record.source:
            raise ValueError(f"part {record.upload}.{record.index} does not lie on node {record.source}")
        if record.target in nodes:
            raise ValueError(f"a part of upload {record.upload} lies on node {record.target} already")
        self._end(PartCopy(record.upload, record.index, record.target))
        target = sys.intern(record.target)
        self._nodes[record.upload] = (*nodes[: record.index], target, *nodes[record.index + 1 :])
        self.needless[PartCopy(record.upload, record.index, sys.intern(record.source))] = None

    def abort(self, record: PartMoveAborted) -> None:
        """End a move without effect."""
        copy = PartCopy(record.upload, record.index, record.target)
        self._end(copy)
        self.needless[copy] = None

    def _end(self, copy: PartCopy) -> None:
        if self.under_way.pop(copy, None) is None:
            raise ValueError(f"no move of part {copy.part} to node {copy.node} is under way")

    def reaped(self, record: PartCopyReaped) -> None:
        """Take note of a copy that is gone."""
        copy = PartCopy(record.upload, record.index, record.node)
        if copy not in self.needless:
            raise ValueError(f"the copy of part {copy.part} on node {copy.node} was not to be deleted")
        del self.needless[copy]

    def records(self) -> Iterator[Record]:
        """Records that come to the copies there are, but for where the parts lie."""
        for copy in self.needless:
            yield PartMoveStarted(*copy, 0)
            yield PartMoveAborted(*copy, "the copy is to be deleted", 0)
        for copy, time_ms in self.under_way.items():
            yield PartMoveStarted(*copy, time_ms)
