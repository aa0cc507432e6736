"""The doomed parts, oldest first, in a queue for each node.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from itertools import chain

import msgspec
from sortedcontainers import SortedDict

from splitd.model.holdings import PartCopy
from splitd.model.records import (
    MOST_GONE,
    PartMoveAborted,
    PartMoveStarted,
    PartsGone,
    Record,
    UploadAborted,
    UploadStarted,
)
from splitd.model.sharded import ShardedDict
from storaged.parts.format import PartId

_BLOCK = 64
"""Entries that share a place in the nodes' queues."""


class DoomedEntry(msgspec.Struct, eq=False, gc=False):
    """Parts of one upload that became doomed in one step.

    There may be millions, so the garbage collector does not track them: its passes would block the reactor.

    :ivar first: the index of the first part.
    :ivar nodes: the node of each part, from the first on; "" for parts that are stored nowhere.
    :ivar is_copy: whether it is a copy of one part of a version that may still be needed.
    :ivar pending: a bit for each part that its node has not confirmed as deleted.
    """

    serial: int
    upload: str
    first: int
    nodes: tuple[str, ...]
    is_copy: bool
    pending: int

    @property
    def is_whole(self) -> bool:
        """Whether no part is confirmed as deleted yet."""
        return self.pending == _stored(self.nodes)

    def places(self) -> tuple[str, ...]:
        """Return the node of each part, "" for parts that are confirmed as deleted."""
        if self.is_whole:
            return self.nodes
        return tuple(node if self.pending >> bit & 1 else "" for bit, node in enumerate(self.nodes))

    def parts_on(self, node: str) -> Iterator[PartId]:
        """Iterate over the parts on a node that are not confirmed as deleted."""
        for bit, other in enumerate(self.nodes):
            if other == node and self.pending >> bit & 1:
                yield PartId(self.upload, self.first + bit)

    def confirmed(self) -> Iterator[tuple[str, PartId]]:
        """Iterate over the parts that are confirmed as deleted, with their nodes."""
        for bit, node in enumerate(self.nodes):
            if node and not self.pending >> bit & 1:
                yield node, PartId(self.upload, self.first + bit)


def _stored(nodes: tuple[str, ...]) -> int:
    """Return a bit for each part that is stored."""
    if "" not in nodes:
        return (1 << len(nodes)) - 1
    return sum(1 << bit for bit, node in enumerate(nodes) if node)


class DoomedParts:
    """The doomed parts: those of whole uploads, and single copies of parts.

    Entries lie in blocks, in the order in which they became doomed.  Each node's queue has the numbers of the blocks
    with parts on that node, and how many parts each has there.  So a page of a node's parts reads only these blocks.

    :ivar ended: how many uploads and copies have no part left to delete.
    """

    def __init__(self) -> None:
        self._entries: MutableMapping[str | PartCopy, DoomedEntry] = ShardedDict()
        self._blocks: dict[int, list[DoomedEntry]] = {}
        self._queues: dict[str, SortedDict] = {}  # by node: how many parts each block has there, by its number
        self._counts: dict[str, int] = {}  # by node: how many parts it has in all blocks
        self._serial = 0
        self._parts = 0
        self.ended = 0
        self._copies = 0

    def __len__(self) -> int:
        """Count the uploads and copies that have parts to delete."""
        return len(self._entries)

    def __contains__(self, key: str | PartCopy) -> bool:
        """Whether an upload as a whole, or a copy, has parts to delete."""
        return key in self._entries

    def __iter__(self) -> Iterator[DoomedEntry]:
        """Iterate over all entries, oldest first.  They must not be changed until the iteration has ended."""
        return chain.from_iterable(self._blocks.values())

    @property
    def parts(self) -> int:
        """How many parts are to be deleted, on all nodes together."""
        return self._parts

    def uploads(self) -> dict[str, tuple[str, ...]]:
        """Return the nodes of each upload's parts, by the parts' index, oldest first; "" for deleted parts."""
        return {entry.upload: entry.places() for entry in self if not entry.is_copy}

    def copies(self) -> list[PartCopy]:
        """Return the copies, oldest first."""
        return [PartCopy(entry.upload, entry.first, entry.nodes[0]) for entry in self if entry.is_copy]

    def add(self, upload: str, nodes: tuple[str, ...]) -> None:
        """Doom the parts of an upload; do nothing if none are stored.

        :param nodes: the node of each part; "" for parts that are stored nowhere.
        """
        if any(nodes):
            self._add(upload, upload, 0, nodes, is_copy=False)

    def add_copy(self, copy: PartCopy) -> None:
        """Doom a copy of a part."""
        self._add(copy, copy.upload, copy.index, (copy.node,), is_copy=True)

    def _add(self, key: str | PartCopy, upload: str, first: int, nodes: tuple[str, ...], *, is_copy: bool) -> None:
        if key in self._entries:
            self.drop(key)
        self._serial += 1
        block = self._serial // _BLOCK
        entry = DoomedEntry(self._serial, upload, first, nodes, is_copy, pending := _stored(nodes))
        self._entries[key] = entry
        self._blocks.setdefault(block, []).append(entry)
        self._parts += pending.bit_count()
        for node in filter(None, nodes):
            queue = self._queues.get(node)
            if queue is None:
                queue = self._queues[node] = SortedDict()
            queue[block] = queue.get(block, 0) + 1
            self._counts[node] = self._counts.get(node, 0) + 1

    def has(self, node: str, part: PartId) -> bool:
        """Whether a part is to be deleted from a node."""
        return self._find(node, part) is not None

    def _find(self, node: str, part: PartId) -> tuple[str | PartCopy, DoomedEntry, int] | None:
        """Find the key and the entry of a part, and its bit in the entry; None if the part is not doomed."""
        entry = self._entries.get(part.upload)
        if entry is not None and part.index < len(entry.nodes) and entry.nodes[part.index] == node:
            return (part.upload, entry, part.index) if entry.pending >> part.index & 1 else None
        copy = PartCopy(part.upload, part.index, node)
        entry = self._entries.get(copy)
        return None if entry is None else (copy, entry, 0)

    def confirm(self, node: str, part: PartId) -> None:
        """Note that a part is deleted from a node.  Does nothing if it is not doomed there."""
        found = self._find(node, part)
        if found is None:
            return
        key, entry, bit = found
        entry.pending &= ~(1 << bit)
        self._leave_queue(node, entry.serial // _BLOCK)
        if not entry.pending:
            self._drop(key, entry)

    def drop(self, key: str | PartCopy) -> None:
        """Note that all parts of an upload, or a copy, are deleted from their nodes.  They must be doomed."""
        entry = self._entries[key]
        for bit, node in enumerate(entry.nodes):
            if entry.pending >> bit & 1:
                self._leave_queue(node, entry.serial // _BLOCK)
        self._drop(key, entry)

    def _leave_queue(self, node: str, block: int) -> None:
        self._parts -= 1
        self._counts[node] -= 1
        queue = self._queues[node]
        queue[block] -= 1
        if not queue[block]:
            del queue[block]
            if not queue:
                del self._queues[node], self._counts[node]

    def _drop(self, key: str | PartCopy, entry: DoomedEntry) -> None:
        del self._entries[key]
        self.ended += 1
        number = entry.serial // _BLOCK
        block = self._blocks[number]
        block.remove(entry)
        if not block:
            del self._blocks[number]

    def nodes(self) -> dict[str, int]:
        """Count the parts to delete on each node that has any, in the order of the nodes' ids."""
        return dict(sorted(self._counts.items()))

    def records(self) -> Iterator[Record]:
        """Iterate over records that result in these parts; they must not be changed until the iteration has ended."""
        gone: dict[str, list[str]] = {}
        for entry in self:
            if entry.is_copy:
                yield PartMoveStarted(entry.upload, entry.first, entry.nodes[0], 0)
                yield PartMoveAborted(entry.upload, entry.first, entry.nodes[0], "the copy is to be deleted", 0)
                continue
            yield UploadStarted(entry.upload, "/", entry.nodes, 0)
            yield UploadAborted(entry.upload, "its parts are to be deleted", 0)
            for node, part in entry.confirmed():
                gone.setdefault(node, []).append(str(part))
                if len(gone[node]) == MOST_GONE:
                    yield PartsGone(node, tuple(gone.pop(node)))
        for node, parts in gone.items():
            yield PartsGone(node, tuple(parts))

    def page(self, node: str, after: str, limit: int) -> tuple[Sequence[PartId], str]:
        """List a page of the parts to delete on a node, oldest first.

        :param after: the cursor that the page before returned; "" for the first page.
        :param limit: how many parts at most.
        :return: the parts, and the cursor for the next page; "" if this is the last one.
        """
        seen = tuple(map(int, after.split("."))) if after else (0, 0)
        parts: list[PartId] = []
        last = ""
        for block in self._queues.get(node, SortedDict()).irange(seen[0] // _BLOCK):
            for entry in self._blocks[block]:
                for part in entry.parts_on(node):
                    if (entry.serial, part.index) <= seen:
                        continue
                    if len(parts) == limit:
                        return parts, last
                    parts.append(part)
                    last = f"{entry.serial}.{part.index}"
        return parts, ""
