"""The state that the records of a journal result in: `state = fold(apply, records)`.  Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import attrs
import msgspec

from splitd.catalog.continued import ContinuedUploads
from splitd.catalog.doomed import DoomedParts
from splitd.catalog.hurt import HurtVersions
from splitd.catalog.part_moves import PartMoves
from splitd.catalog.versions import Versions
from splitd.model.binned import was_at
from splitd.model.branch import Branch
from splitd.model.documents import Documents
from splitd.model.holdings import PartCopy
from splitd.model.locks import Locks
from splitd.model.manifest import Manifest
from splitd.model.media import Media
from splitd.model.packing import KEY, Packed, Packing, size_of
from splitd.model.path_faults import is_own
from splitd.model.paths import folder_of, place_of
from splitd.model.properties import LAYOUT, read_layout
from splitd.model.records import JournalRestored
from splitd.model.segments import Segments
from splitd.model.sharded import ShardedDict
from splitd.model.sharing import Shared
from splitd.model.subtrees import Copying
from splitd.model.tree import Collection, Tree
from storaged.parts.format import PartId


@attrs.frozen
class UnderWay:
    """An upload that has neither been committed nor aborted.

    :param nodes: the nodes where its parts may lie, by the parts' index; "" for a part that no node takes.
    :param time_ms: when it was begun, milliseconds since 1970.
    :param front: the id of the front that began it; empty if unknown.
    """

    path: str
    nodes: tuple[str, ...]
    time_ms: int
    front: str = ""


class State:
    """Names, uploads under way and doomed parts.

    Only `splitd.catalog.effects` changes it.  A subtree is unlinked in one step, and a copy is made before its record
    is written.  Generators do the long work, one name at a time (`copy`, `work`).

    :ivar cluster: the cluster's id; empty before the first record.
    :ivar uploads: uploads under way, by their ids.
    :ivar continued: uploads that can be continued, with their segments.
    :ivar doomed: the doomed parts, oldest first.
    :ivar moves: moves of parts, and the nodes of parts that were moved or lost.
    :ivar hurt: the versions of which parts are missing.
    :ivar lost: the nodes that are lost for good, in the order in which they were lost.
    :ivar disks: the disk of each node on which all its parts were last looked for, by the nodes' ids.
    :ivar documents: small documents that are no files.
    :ivar restored: the last restoration from a backup; None if there was none.
    :ivar versions: the versions that have a name, and all segments, by their uploads.
    :ivar names: how many names each version with several names has, by their keys; see `packing.key_of`.
    :ivar parts_on: how many parts of versions lie on each node; 0 for a node that had some.
    :ivar packing: packs the manifests in `tree` and `versions`.
    :ivar shared_texts: texts of clients that many files have in common: names of properties.
    :ivar files: how many files there are; a copy is one more.
    :ivar bytes_stored: the bytes of all files, as their clients count them.
    :ivar widest: the most parts that a file has had, or a collection has asked for, so far.
    :ivar copies: copies whose records are not written yet, by their targets.
    :ivar released: how many entries were released.
    :ivar forgotten: how many of the released entries have all their files forgotten.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Return to the state before the first record."""
        self.cluster = ""
        self.packing = Packing()
        self.tree = Tree(0, self.packing)
        self.uploads: dict[str, UnderWay] = {}
        self.continued = ContinuedUploads()
        self.doomed = DoomedParts()
        self.moves = PartMoves(self.doomed)
        self.hurt = HurtVersions()
        self.lost: dict[str, None] = {}
        self.disks: dict[str, str] = {}
        self.restored: JournalRestored | None = None
        self.versions = Versions()
        self.names: ShardedDict[bytes, int] = ShardedDict()
        self.parts_on: dict[str, int] = {}
        self.locks = Locks()
        self.documents = Documents()
        self.shared_texts = Shared()
        self.files = 0
        self.bytes_stored = 0
        self.widest = 0
        self.copies: dict[str, Copying] = {}
        self._released: deque[Packed | Branch | tuple[Packed, ...]] = deque()
        self._work: Iterator[None] = self._forget_released()
        self.released = 0
        self.forgotten = 0

    def find(self, path: str) -> Manifest | Collection | None:
        """Look up a path; a file's manifest names the nodes where its parts lie now.  None if nothing has the path."""
        found = self.tree.find(path)
        if isinstance(found, Branch):
            return self.collection_of(found)
        return None if found is None else self.shown(found)

    def find_key(self, path: str) -> Manifest | Collection | None:
        """Look up a key: a file, or a collection that is more than implied, if the path ends with a slash.

        :return: its manifest; the collection if it is no file itself; None if there is no such key.
        """
        found = self.find(path)
        if not isinstance(found, Collection):
            return found
        if not path.endswith("/") or found.implied:
            return None
        return found.own or found

    def asked_layout(self, path: str) -> tuple[str, str]:
        """Return the nearest collection that asks for a layout, and that layout; two empty texts if none does.

        :param path: the path of a collection, or of a file that may not exist yet.
        """
        source, element = self.tree.nearest(path, LAYOUT)
        before = was_at(path)
        if before is not None and not is_own(source):
            source, element = self.tree.nearest(before, LAYOUT)  # a file in the bin keeps the layout that it had
        layout = read_layout(element) if element else ""
        return (source, layout) if layout else ("", "")

    @property
    def shared(self) -> dict[str, int]:
        """How many names each version with several names has, by uploads; its parts are doomed with the last one."""
        return {key.hex(): names for key, names in self.names.items()}

    def count(self, manifest: Manifest, packed: Packed) -> None:
        """Count a file that has got its first name in the tree."""
        self.files += 1
        self.bytes_stored += manifest.size
        if manifest.nodes:
            self.add_version(manifest, packed)

    def add_version(self, manifest: Manifest, packed: Packed) -> None:
        """Add a version that has got its first name, or a segment."""
        self.widest = max(self.widest, len(manifest.nodes))
        self.versions.add(packed)
        for node in filter(None, manifest.nodes):
            self.parts_on[node] = self.parts_on.get(node, 0) + 1
        if "" in manifest.nodes:
            self.hurt.weigh(manifest)

    def copy(self, source: str, target: str, time_ms: int, *, deep: bool) -> Iterator[None]:
        """Make, one name at a time, the copy that `entry-copied` puts at its target.

        A generator; nothing may change `source` or a path below it until it has ended.  If it is closed before its end,
        the unfinished copy is released.
        """
        copying = self.tree.begin_copy(source, time_ms, deep=deep)
        try:
            for packed in copying.steps():
                if packed is not None:
                    self._count_name(packed)
                yield
        except BaseException:
            self._count_copy(copying)
            self.release(self.tree.adopt(copying))
            raise
        self.copies[target] = copying

    def _count_name(self, packed: Packed) -> None:
        """Count one more name of a version."""
        if self.packing.has_parts(packed):
            key = packed[:KEY]
            self.names[key] = self.names.get(key, 1) + 1

    def copy_key(self, source: str, target: str, time_ms: int, said: str | Media | None) -> None:
        """Give the version of a key another one.

        :param time_ms: when the copy was made, milliseconds since 1970.
        :param said: the headers of the copy, as `Media.compact` returns them; None for those of the source.
        :raise NotFound, ParentMissing: as `Tree.key` and `Tree.put` do.
        """
        found = self.tree.key(source)
        manifest = self.packing.unpack(found)
        said = manifest.said if said is None else said
        packed = self.packing.pack(msgspec.structs.replace(manifest, created_ms=time_ms, said=said))
        above = folder_of(place_of(target)) if source == target else ""
        before = self.tree.lookup(above) if above else None
        replaced = self.tree.put(target, packed, time_ms, is_key=True)
        if isinstance(before, Collection) and before.modified_ms > time_ms:
            self.tree.touch(above, before.modified_ms)  # the object has kept its time
        self._count_name(found)
        self.files += 1
        self.bytes_stored += manifest.size
        self.release(replaced)

    def put_copy(self, source: str, target: str, time_ms: int) -> None:
        """Put a copy that `copy` has made at its target."""
        copying = self.copies.pop(target)
        self._count_copy(copying)
        self.release(self.tree.put_copy(source, target, copying, time_ms))

    def drop_copy(self, target: str) -> None:
        """Release a copy that `copy` has made, and that gets no name."""
        copying = self.copies.pop(target)
        self._count_copy(copying)
        self.release(self.tree.adopt(copying))

    def _count_copy(self, copying: Copying) -> None:
        self.files += copying.files
        self.bytes_stored += copying.size

    def release(self, entry: Packed | Branch | None) -> None:
        """Take an entry that has no name any more; `work` forgets its files later.

        Names are counted in the order of the records: if a copy adds a name to a version, and a later record removes
        another name of it, its parts must not be doomed in between.  So all released entries wait in one queue.
        """
        if entry is not None:
            self.released += 1
            self._released.append(entry)

    def drop(self, segments: Sequence[Packed]) -> None:
        """Take segments that no file and no upload has any more; `work` dooms their parts later."""
        if segments:
            self.released += 1
            self._released.append(tuple(segments))

    @property
    def has_work(self) -> bool:
        """Whether there are released entries whose files are not forgotten yet."""
        return bool(self._released)

    def work(self) -> Iterator[None]:
        """Forget the files of released entries, one name at a time.

        All calls share one iteration, which may stop between any two names.
        """
        while self._released:
            yield next(self._work)

    def settle(self) -> None:
        """Do at once everything that `work` would do."""
        while self._released:
            next(self._work)

    def _forget_released(self) -> Iterator[None]:
        """Forget files, one a step.  A generator without end; it must be advanced only while entries are released."""
        while True:
            released = self._released[0]
            if isinstance(released, tuple):
                for packed in released:
                    self._drop(packed)
                    yield
            else:
                for file in self.tree.dismantle(released):
                    if file is not None:
                        yield from self._forget(file)
                    yield
            self._released.popleft()
            self.forgotten += 1
            while not self._released:
                yield

    def _forget(self, packed: Packed) -> Iterable[None]:
        """Count one name of a version less; if it was the last one, doom its parts.

        :return: the steps that are left to do, one for each of its segments.
        """
        self.files -= 1
        self.bytes_stored -= size_of(packed)
        key = packed[:KEY]
        names = self.names.get(key, 1) - 1
        if names > 1:
            self.names[key] = names
        elif names:
            del self.names[key]
        elif self.packing.parts_of(packed):
            self._drop(packed)
        else:
            segments = self.packing.segments_of(packed)
            return () if segments is None else self._drop_all(segments)
        return ()

    def _drop_all(self, segments: Segments) -> Iterator[None]:
        for key in segments.ids():
            packed = self.versions.find_key(key)
            if packed is not None:
                self._drop(packed)
            yield

    def _drop(self, packed: Packed) -> None:
        """Remove a version, and doom its parts."""
        manifest = self.packing.unpack(packed)
        nodes = self.moves.nodes_of(manifest)
        self.doomed.add(manifest.upload, nodes)
        for node in filter(None, nodes):
            self.parts_on[node] -= 1
        self.moves.forget(manifest.upload)
        self.versions.remove(manifest.upload)
        self.hurt.forget(manifest.upload)

    def committed(self, upload: str) -> Manifest | None:
        """Return a version, with the nodes of its parts at the commit; None if there is none."""
        packed = self.versions.find(upload)
        return None if packed is None else self.packing.unpack(packed)

    def version(self, upload: str) -> Manifest | None:
        """Return a version, with the nodes where its parts lie now; None if there is none."""
        packed = self.versions.find(upload)
        return None if packed is None else self.shown(packed)

    def shown(self, packed: Packed) -> Manifest:
        """Unpack a manifest, and let it name the nodes where its parts lie now."""
        return self.moves.place(self.packing.unpack(packed))

    def collection_of(self, branch: Branch) -> Collection:
        """Return the attributes of a collection."""
        own = None if branch.own is None else self.shown(branch.own)
        return Collection(branch.created_ms, branch.modified_ms, branch.implied, own)

    def count_move(self, manifest: Manifest, source: str, target: str) -> None:
        """Count a part of a version that has moved to another node.

        :param source: the node where it was; "" if it was missing.
        :param target: the node where it is; "" if it is missing.
        """
        if source:
            self.parts_on[source] -= 1
        if target:
            self.parts_on[target] = self.parts_on.get(target, 0) + 1
        self.hurt.weigh(self.moves.place(manifest))

    def change_parity(self, manifest: Manifest, parity: int) -> None:
        """Give a version more parity parts, which are missing at first, or fewer, and doom those that are too many."""
        nodes, width = self.moves.nodes_of(manifest), manifest.data + parity
        for index, node in enumerate(nodes[width:], width):
            if node:
                self.parts_on[node] -= 1
                if node not in self.lost:
                    self.doomed.add_copy(PartCopy(manifest.upload, index, node))
        self.moves.set_nodes(manifest, (*nodes[:width], *[""] * (width - len(nodes))))
        self.widest = max(self.widest, width)
        self.hurt.weigh(self.moves.place(manifest))

    def knows(self, part: PartId, node: str) -> bool:
        """Whether a part has a reason to lie on a node: it is no orphan there."""
        if self.doomed.has(node, part) or PartCopy(part.upload, part.index, node) in self.moves.under_way:
            return True
        manifest, upload = self.committed(part.upload), self.uploads.get(part.upload)
        places = [] if manifest is None else [self.moves.nodes_of(manifest)]
        places += [] if upload is None else [upload.nodes]
        return any(part.index < len(nodes) and nodes[part.index] == node for nodes in places)

    def nodes(self) -> set[str]:
        """Return the ids of all nodes that parts may lie on."""
        named = {
            *(node for node, count in self.parts_on.items() if count),
            *(node for upload in self.uploads.values() for node in upload.nodes),
            *self.doomed.nodes(),
            *(copy.node for copy in self.moves.under_way),
        }
        return named - {""}
