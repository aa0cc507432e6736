"""Names: paths, collections and their members.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from splitd.errors import BadName, Entangled, NameTaken, NotAFile, NotFound, ParentMissing, TooManyNames
from splitd.model.binned import was_at
from splitd.model.branch import Branch
from splitd.model.entries import Collection, Member
from splitd.model.finding import descend, find, folders_of
from splitd.model.implied import make_folders, prune
from splitd.model.look_ups import LookUps
from splitd.model.manifest import Manifest
from splitd.model.packing import Packed, Packing
from splitd.model.path_faults import MAX_PATH
from splitd.model.paths import ancestors, basename, check_path, is_below, parent, place_of
from splitd.model.subtrees import Copying, count_names, dismantle, refuse_longer

__all__ = ["MAX_PATH", "Collection", "Member", "Tree", "ancestors", "basename", "check_path", "parent"]

MAX_COPIED = 1_000_000
"""The most names that one copy may make, because the copied tree cannot be changed while they are made."""
MAX_NAMES = 10_000_000
"""The most names that may exist after a tree was copied."""


class Tree(LookUps):
    """All names, with their files and collections.

    A change that is refused has changed nothing.  A file takes memory for its packed manifest, its name and a slot in a
    dict.  Paths are not checked here: a caller must not put a path that `check_catalog_path` refuses.

    :param created_ms: when the root was made, milliseconds since 1970.
    :param packing: has packed the manifests.
    :param root: the root with all its members; an empty one if None.
    :param names: how many names there are below `root`.
    """

    def __init__(self, created_ms: int, packing: Packing, root: Branch | None = None, names: int = 0) -> None:
        super().__init__(Branch(created_ms) if root is None else root, packing)
        self._length = names  # how many names there are, without the root's

    def __len__(self) -> int:
        """Count all names except the root's.  Those of what was deleted or replaced count until it is dismantled."""
        return self._length

    def set_properties(self, path: str, properties: Mapping[str, str]) -> None:
        """Replace all properties of a file or collection.

        :raise NotFound: nothing has this path.
        """
        node, name = self._named(path)
        if node is None:
            raise NotFound(f"there is no {path}")
        node.set_properties(name, properties)

    def touch(self, path: str, time_ms: int) -> None:
        """Set when a collection was last modified.

        :raise NotFound: nothing has this path.
        :raise NotACollection: a file has this path.
        """
        self._collection(path).modified_ms = time_ms

    def version(self, path: str, *, is_key: bool = False) -> Manifest | None:
        """Return the version that a new file at this path would replace; None if there is none.

        :param is_key: whether the path is a key: then missing collections are no hindrance, nor is a collection of this
            name; and with a slash at its end it is that of a file that the collection itself is.
        :raise ParentMissing: the collection that the path lies in does not exist, or is a file.
        :raise NotAFile: a collection has this path.
        """
        packed = self._key_version(path) if is_key else self._place_of_file(path)[2]
        return None if packed is None else self._packing.unpack(packed)

    def _key_version(self, path: str) -> Packed | None:
        folders, _ = folders_of(path) or ((), "")
        # The other ones are made, and nothing is in those that are missing.
        if folders and not isinstance(self._root.members.get(folders[0] + "/"), Branch):
            raise ParentMissing(f"there is no collection /{folders[0]}")
        entry = find(self._root, path)
        if path.endswith("/"):
            return entry.own if isinstance(entry, Branch) else None
        return None if isinstance(entry, Branch) else entry

    def refuse_taken(self, path: str) -> None:
        """Refuse a path at which no collection can be made.

        :raise NameTaken: a file or collection has this path already.
        :raise ParentMissing: the collection that the path lies in does not exist, or is a file.
        """
        if path == "/":
            raise NameTaken("the root is there always")
        node, name = self._place(path)
        if node.find(name) is not None:
            raise NameTaken(f"{path} is there already")

    def put(self, path: str, file: Packed, time_ms: int, *, is_key: bool = False) -> Packed | None:
        """Put a file at a path.

        :param file: its packed manifest.
        :param is_key: as for `version`; missing collections are made, as implied ones.
        :return: that of the version that it replaces, for `dismantle`; None if there was none.
        :raise ParentMissing, NotAFile: as `version` does.
        """
        if is_key:
            return self._put_key(path, file, time_ms)
        node, name, replaced = self._place_of_file(path)
        self._length += 1  # that of the replaced version counts until it is dismantled
        node.put(name, file, time_ms)
        return replaced

    def _put_key(self, path: str, file: Packed, time_ms: int) -> Packed | None:
        replaced = self._key_version(path)
        self._length += make_folders(self._root, path, time_ms)  # with a slash at the end of the path: itself, too
        folders, name = folders_of(path) or ((), "")
        self._length += 1
        if name:
            node = descend(self._root, folders)
            assert node is not None
            node.put(name, file, time_ms)
            return replaced
        above, itself = descend(self._root, folders[:-1]), descend(self._root, folders)
        assert above is not None
        assert itself is not None
        itself.own, itself.implied = file, False
        above.modified_ms = max(above.modified_ms, time_ms)  # a file that is only given other labels keeps its time
        return replaced

    def make_folders(self, path: str, time_ms: int) -> None:
        """Make the missing collections that a path lies in, as implied ones; see `implied.make_folders`."""
        self._length += make_folders(self._root, place_of(path), time_ms)

    def prune(self, path: str, time_ms: int) -> list[str]:
        """Remove implied collections that have become empty; see `implied.prune`."""
        removed = prune(self._root, path, time_ms)
        self._length -= len(removed)
        return removed

    def make_collection(self, path: str, time_ms: int, *, implied: bool = False) -> None:
        """Make an empty collection.

        :raise NameTaken, ParentMissing: as `refuse_taken` does.
        """
        self.refuse_taken(path)
        node, name = self._place(path)
        self._length += 1
        node.put(_of_collection(name), Branch(time_ms, implied=implied), time_ms)

    def keep(self, path: str) -> None:
        """Let a collection be more than implied.

        :raise NotFound, NotACollection: as `collection` does.
        """
        self._collection(path).implied = False

    def unkeep(self, path: str) -> Packed | None:
        """Let a collection be no file itself any more, and only implied.

        :return: what it was itself, for `dismantle`; None if that was nothing.
        :raise NotFound, NotACollection: as `collection` does.
        """
        node = self._collection(path)
        own, node.own, node.implied = node.own, None, True
        return own

    def delete(self, path: str, time_ms: int) -> Packed | Branch:
        """Delete a file, or a collection with all that is in it.

        :return: the deleted entry; pass it to `dismantle`.
        :raise NotFound: nothing has this path.
        :raise BadName: the path is the root's.
        """
        if path == "/":
            raise BadName("the root cannot be deleted")
        node, name = self._named(path)
        if node is None:
            raise NotFound(f"there is no {path}")
        return node.remove(name, time_ms)

    def dismantle(self, entry: Packed | Branch) -> Iterator[Packed | None]:
        """Take apart an entry that has no name any more, and count its names no longer; see `subtrees.dismantle`."""
        for file in dismantle(entry):
            self._length -= 1
            yield file

    def refuse_move(self, source: str, target: str) -> None:
        """Refuse an impossible move.

        :raise NotFound: nothing has the path `source`.
        :raise Entangled: `source` and `target` are the same, or one lies inside the other.
        :raise NameTaken: `source` is a collection, and `target` is a file beside another collection of this name.
        :raise ParentMissing: the collection that `target` lies in does not exist, or is a file.
        """
        self._refuse_entangled(source, target, deep=True)

    def refuse_copy(self, source: str, target: str, *, deep: bool) -> None:
        """Refuse an impossible copy, as `refuse_move` does; but a copy that is not deep may lie inside its source."""
        self._refuse_entangled(source, target, deep=deep)

    def refuse_too_many(
        self, source: str, most_copied: int = MAX_COPIED, most_names: int = MAX_NAMES
    ) -> Iterator[None]:
        """Refuse to copy a tree that is too large; a generator that yields once for each name.

        It is not part of a replay: a copy that was made once is always made again.

        Copies of copies double the names with each request, and each name takes memory.  Without limits, a few requests
        would make so many names that the front could not be started again.

        :param most_copied: how many names the copy may make.
        :param most_names: how many names there may be afterwards.
        :raise TooManyNames: there would be more names.
        """
        entry = self.find(source)
        if not isinstance(entry, Branch):
            return
        count = 0
        for count in count_names(entry, most_copied):  # noqa: B007 - the last one is the sum
            yield
        if count > most_copied:
            raise TooManyNames(f"{source} has more than {most_copied:,} names in it: copy parts of it")
        if self._length + count > most_names:
            raise TooManyNames(f"there are {self._length:,} names; trees are copied up to {most_names:,} in all")

    def refuse_too_long(self, source: str, target: str) -> Iterator[None]:
        """Refuse to move or copy a tree to a place where paths in it would be too long; a generator that yields once
        for each name.

        :raise BadName: something below `source` would have a path of more than MAX_PATH bytes.
        """
        entry, size = self.find(source), len(target.encode())
        if size > len(place_of(was_at(source) or source).encode()) and entry is not None:
            message = f"{source}: something in it would have a path of more than {MAX_PATH} bytes below {target}"
            yield from refuse_longer(entry, MAX_PATH - size, message)

    def _refuse_entangled(self, source: str, target: str, *, deep: bool) -> None:
        entry, present = self.find(source), self.find(target)
        if entry is None:
            raise NotFound(f"there is no {source}")
        if place_of(source) == place_of(target):
            raise Entangled(f"{source} is there already: source and target are the same")
        # What lies in a collection does not lie in a file of the same name.
        in_source = is_below(target, source) and not self._is_beside(source, entry)
        in_target = is_below(source, target) and not self._is_beside(target, present)
        if (deep and in_source) or in_target:
            raise Entangled(f"{source} and {target}: one lies inside the other")
        if isinstance(entry, Branch) and self._is_beside(target, present):
            raise NameTaken(f"{target} is a file beside a collection, which has this name already")
        self._place(target)

    def _is_beside(self, path: str, entry: Packed | Branch | None) -> bool:
        """Whether what has a path is a file beside a collection of its name."""
        return entry is not None and not isinstance(entry, Branch) and self.find(path + "/") is not None

    def move(self, source: str, target: str, time_ms: int) -> Packed | Branch | None:
        """Move a file or collection, replacing what is at `target`.

        :return: the replaced entry, if any; pass it to `dismantle`.
        :raise NotFound, Entangled, NameTaken, ParentMissing: as `refuse_move` does.
        """
        self.refuse_move(source, target)
        replaced = self._clear(target, time_ms)
        node, name = self._named(source)
        assert node is not None
        properties = node.properties_of(name)
        entry = node.remove(name, time_ms)
        self._put(target, entry, properties, time_ms)
        return replaced

    def begin_copy(self, source: str, time_ms: int, *, deep: bool) -> Copying:
        """Begin a copy of a file or a collection, for `put_copy`.

        :param deep: whether the members of a collection are copied, too; if not, its copy is empty.
        :raise NotFound: nothing has the path `source`.
        """
        entry = self.find(source)
        if entry is None:
            raise NotFound(f"there is no {source}")
        return Copying(entry, time_ms, deep=deep)

    def put_copy(self, source: str, target: str, copying: Copying, time_ms: int) -> Packed | Branch | None:
        """Put a complete copy of `source` at `target`, replacing what is there.

        :return: the replaced entry, if any; pass it to `dismantle`.
        """
        properties = self.properties(source)
        replaced = self._clear(target, time_ms)
        self._put(target, copying.copy, properties, time_ms)
        self._length += copying.names
        return replaced

    def adopt(self, copying: Copying) -> Packed | Branch:
        """Count the names of a copy that is not needed, because `dismantle` will subtract them.

        :return: the copy; pass it to `dismantle`.
        """
        self._length += copying.names
        return copying.copy

    def _clear(self, path: str, time_ms: int) -> Packed | Branch | None:
        node, name = self._named(path)
        return None if node is None else node.remove(name, time_ms)

    def _put(self, path: str, entry: Packed | Branch, properties: Mapping[str, str], time_ms: int) -> None:
        node, name = self._place(path)
        if isinstance(entry, Branch):
            name = _of_collection(name)
            entry.implied = entry.implied and node is not self._root
        node.put(name, entry, time_ms)
        node.set_properties(name, properties)

    def _place(self, path: str) -> tuple[Branch, str]:
        """Return the collection that a path lies in, and the path's last name, with the slash of the path."""
        folders, name = folders_of(place_of(path)) or ((), "")
        node = descend(self._root, folders)
        if node is None:
            raise ParentMissing(f"there is no collection {parent(path)}")
        return node, name + "/" if path.endswith("/") else name

    def _place_of_file(self, path: str) -> tuple[Branch, str, Packed | None]:
        if path == "/":
            raise NotAFile("the root is a collection")
        node, name = self._place(path)
        found = node.find(name)
        entry = None if found is None else node.members[found]
        if isinstance(entry, Branch) or path.endswith("/"):
            raise NotAFile(f"{path} is a collection")
        return node, name, entry


def _of_collection(name: str) -> str:
    return name if name.endswith("/") else name + "/"
