"""Moves of parts from one node to another, and the nodes of parts that were moved or lost.  Pure."""

from __future__ import annotations

import sys
from collections.abc import Iterator, MutableMapping

import msgspec

from splitd.catalog.doomed import DoomedParts
from splitd.model.holdings import PartCopy
from splitd.model.manifest import Manifest
from splitd.model.records import PartCopyReaped, PartMoveAborted, PartMoved, PartMoveStarted, Record
from splitd.model.sharded import ShardedDict


class PartMoves:
    """The state that the records of moves and losses of parts result in.

    A manifest names the nodes of its parts at its commit.  For the versions with parts that were moved, lost, added or
    dropped since, their present nodes are kept here; a snapshot writes them into the manifests.

    :param doomed: takes the copies to delete.
    :ivar under_way: copies that are being made, and the record with which each was begun.
    """

    def __init__(self, doomed: DoomedParts) -> None:
        self.under_way: dict[PartCopy, PartMoveStarted] = {}
        self._doomed = doomed
        self._nodes: MutableMapping[str, tuple[str, ...]] = ShardedDict()
        self._of_upload: dict[str, set[PartCopy]] = {}  # the moves in progress

    def nodes_of(self, manifest: Manifest) -> tuple[str, ...]:
        """Return the nodes where the parts of a version lie now, by the parts' index; "" for parts that are missing."""
        return self._nodes.get(manifest.upload, manifest.nodes)

    def place(self, manifest: Manifest) -> Manifest:
        """Return the manifest with the parity parts that it has now, and the nodes where its parts lie now."""
        nodes = self._nodes.get(manifest.upload)
        if nodes is None:
            return manifest
        return msgspec.structs.replace(manifest, nodes=nodes, parity=len(nodes) - manifest.data)

    def moved(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Iterate over the uploads with parts that were moved or lost, and the nodes where all their parts lie now."""
        return iter(self._nodes.items())

    def forget(self, upload: str) -> None:
        """Forget the nodes of a version that has no name any more."""
        self._nodes.pop(upload, None)

    def copies(self) -> Iterator[PartCopy]:
        """Iterate over the copies that may exist in addition to the parts themselves."""
        yield from self.under_way
        yield from self._doomed.copies()

    def refuse_start(self, copy: PartCopy) -> None:
        """Refuse a move that must not begin.

        :raise ValueError: a copy of the part may be on that node already, a part of the same upload is being moved
            there, or the part is being moved already.
        """
        if copy in self._doomed:
            raise ValueError(f"a copy of part {copy.part} may be on node {copy.node} already")
        for other in self._of_upload.get(copy.upload, ()):
            if copy.node == other.node or copy.index == other.index:
                raise ValueError(f"part {other.part} is being moved to node {other.node}")

    def start(self, record: PartMoveStarted) -> None:
        """Begin a move."""
        copy = PartCopy(record.upload, record.index, sys.intern(record.target))
        self.refuse_start(copy)
        self.under_way[copy] = record
        self._of_upload.setdefault(copy.upload, set()).add(copy)

    def refuse_commit(self, copy: PartCopy, source: str, manifest: Manifest) -> None:
        """Refuse a commit that would not be right.

        :param source: the node where the part should lie; "" if it should be missing.
        :param manifest: the version that the part belongs to.
        :raise ValueError: the part does not lie on `source`, a part of the version lies on the copy's node already, or
            no such copy is being made.
        """
        nodes = self.nodes_of(manifest)
        if copy.index >= len(nodes) or nodes[copy.index] != source:
            raise ValueError(f"part {copy.part} does not lie on node {source}")
        if copy.node in nodes:
            raise ValueError(f"a part of upload {copy.upload} lies on node {copy.node} already")
        self._refuse_unknown(copy)

    def commit(self, record: PartMoved, manifest: Manifest) -> None:
        """End a move: the copy is the part from now on, and the old part, if there is one, is doomed.

        :param manifest: the version that the part belongs to.
        """
        copy = PartCopy(record.upload, record.index, record.target)
        self.refuse_commit(copy, record.source, manifest)
        self._end(copy)
        self._set_node(manifest, record.index, sys.intern(record.target))
        if record.source:
            self._doomed.add_copy(PartCopy(record.upload, record.index, sys.intern(record.source)))

    def lose(self, manifest: Manifest, index: int) -> None:
        """Take note that a part of a version is missing."""
        self._set_node(manifest, index, "")

    def _set_node(self, manifest: Manifest, index: int, node: str) -> None:
        nodes = self.nodes_of(manifest)
        self.set_nodes(manifest, (*nodes[:index], node, *nodes[index + 1 :]))

    def set_nodes(self, manifest: Manifest, nodes: tuple[str, ...]) -> None:
        """Replace the nodes of a version; there are as many as it has parts from now on."""
        self._nodes[manifest.upload] = nodes

    def abort(self, record: PartMoveAborted | PartMoved) -> None:
        """End a move without effect; its copy is doomed."""
        copy = PartCopy(record.upload, record.index, sys.intern(record.target))
        self._end(copy)
        self._doomed.add_copy(copy)

    def _refuse_unknown(self, copy: PartCopy) -> None:
        if copy not in self.under_way:
            raise ValueError(f"no move of part {copy.part} to node {copy.node} is under way")

    def _end(self, copy: PartCopy) -> None:
        self._refuse_unknown(copy)
        del self.under_way[copy]
        others = self._of_upload[copy.upload]
        others.discard(copy)
        if not others:
            del self._of_upload[copy.upload]

    def reaped(self, record: PartCopyReaped) -> None:
        """Note that a doomed copy is deleted."""
        copy = PartCopy(record.upload, record.index, record.node)
        if copy not in self._doomed:
            raise ValueError(f"the copy of part {copy.part} on node {copy.node} was not to be deleted")
        self._doomed.drop(copy)

    def records(self) -> Iterator[Record]:
        """Iterate over records of the moves in progress."""
        yield from self.under_way.values()
