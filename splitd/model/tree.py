"""Names: paths, collections and their members.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import attrs
import msgspec

from splitd.errors import BadName, Entangled, NameTaken, NotACollection, NotAFile, NotFound, ParentMissing, TooManyNames
from splitd.model.branch import NO_PROPERTIES, Branch, all_properties, find, nearest
from splitd.model.manifest import Manifest
from splitd.model.packing import Packed, Packing
from splitd.model.path_faults import MAX_PATH, fault_of
from splitd.model.subtrees import Copying, count_names, dismantle, refuse_longer

MAX_COPIED = 1_000_000
"""The most names that one copy may make, because the copied tree cannot be changed while they are made."""
MAX_NAMES = 10_000_000
"""The most names that may exist after a tree was copied."""


@attrs.frozen
class Collection:
    """The attributes of a collection, without its members.

    :param created_ms: when it was made, milliseconds since 1970.
    :param modified_ms: when a member was last added, replaced or removed.
    """

    created_ms: int
    modified_ms: int


class Member(msgspec.Struct, frozen=True, gc=False):
    """One name in a collection."""

    name: str
    entry: Manifest | Collection


def check_path(path: str) -> None:
    """Refuse a text that is not a path.

    :raise BadName: the text is relative, ends with a slash, has an empty, "." or ".." segment, a control character or
        a lone surrogate, a segment of more than MAX_SEGMENT bytes in UTF-8, or more than MAX_PATH bytes in all.
    """
    reason = fault_of(path)
    if reason:
        raise BadName(f"{path[:200]!r}: {reason}")


def parent(path: str) -> str:
    """Return the collection that a path lies in; the root lies in itself."""
    return path.rpartition("/")[0] or "/"


def basename(path: str) -> str:
    """Return the last segment of a path; empty for the root."""
    return path.rpartition("/")[2]


def ancestors(path: str) -> Iterable[str]:
    """Iterate over all collections that a path lies in, the root first; none for the root or a relative path."""
    if not path.startswith("/") or path == "/":
        return
    yield "/"
    slash = path.find("/", 1)
    while slash > 0:
        yield path[:slash]
        slash = path.find("/", slash + 1)


class Tree:
    """All names, with their files and collections.

    A change that is refused has changed nothing.  A file takes memory for its packed manifest, its name and a slot in a
    dict.  Paths are not checked here: a caller must not put a path that `check_path` refuses.

    :param created_ms: when the root was made, milliseconds since 1970.
    :param packing: has packed the manifests.
    :param root: the root with all its members; an empty one if None.
    :param names: how many names there are below `root`.
    """

    def __init__(self, created_ms: int, packing: Packing, root: Branch | None = None, names: int = 0) -> None:
        self._packing = packing
        self._root = Branch(created_ms) if root is None else root
        self._above = Branch(created_ms)  # its only member is the root, whose name is empty
        self._above.members[""] = self._root
        self._length = names  # how many names there are, without the root's

    def __len__(self) -> int:
        """Count all names except the root's.  Those of what was deleted or replaced count until it is dismantled."""
        return self._length

    @property
    def root(self) -> Branch:
        """The root.  The caller must not change it."""
        return self._root

    def lookup(self, path: str) -> Manifest | Collection | None:
        """Look up a path; None if nothing has it."""
        entry = self._find(path)
        return None if entry is None else self._shown(entry)

    def _shown(self, entry: Packed | Branch) -> Manifest | Collection:
        if isinstance(entry, Branch):
            return Collection(entry.created_ms, entry.modified_ms)
        return self._packing.unpack(entry)

    def page(self, path: str, after: str, limit: int) -> list[tuple[str, Packed | Branch]]:
        """List a page of a collection's members, in ascending order of their names by code point.

        The packed manifests and branches are those of the tree: the caller must not change them.

        :param after: list only names greater than this; empty for the first page.
        :param limit: how many members at most.
        :raise NotFound: nothing has this path.
        :raise NotACollection: a file has this path.
        """
        return self._collection(path).page(after, limit)

    def walk(self) -> Iterator[tuple[str, Manifest | Collection]]:
        """Iterate over all paths except the root's, with their entries, each collection before its members.

        The tree must not be changed until the iteration has ended.
        """
        return ((path, self._shown(entry)) for path, entry in self.entries())

    def entries(self) -> Iterator[tuple[str, Packed | Branch]]:
        """Iterate as `walk` does, but over packed manifests and branches, which the caller must not change."""
        waiting = [("", self._root)]
        while waiting:
            folder, node = waiting.pop()
            for name, entry in node.members.items():
                path = f"{folder}/{name}"
                yield path, entry
                if isinstance(entry, Branch):
                    waiting.append((path, entry))

    def files(self) -> Iterator[Manifest]:
        """Iterate over all files, once for each of their names.  The tree must not be changed meanwhile."""
        return map(self._packing.unpack, self._root.files())

    def properties(self, path: str) -> Mapping[str, str]:
        """Return the properties of a file or collection; empty if nothing has this path."""
        node, name = self._parent_branch(path)
        return NO_PROPERTIES if node is None else node.properties_of(name)

    def nearest(self, path: str, name: str) -> tuple[str, str]:
        """Find the nearest collection, at a path or above it, that has a property; see `branch.nearest`."""
        return nearest(self._above, path, name)

    def all_properties(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Iterate over all paths that have properties, with them.  The tree must not be changed meanwhile."""
        return all_properties(self._above)

    def set_properties(self, path: str, properties: Mapping[str, str]) -> None:
        """Replace all properties of a file or collection.

        :raise NotFound: nothing has this path.
        """
        node, name = self._parent_branch(path)
        if node is None or name not in node.members:
            raise NotFound(f"there is no {path}")
        node.set_properties(name, properties)

    def collection(self, path: str) -> Collection:
        """Return the attributes of a collection.

        :raise NotFound: nothing has this path.
        :raise NotACollection: a file has this path.
        """
        node = self._collection(path)
        return Collection(node.created_ms, node.modified_ms)

    def touch(self, path: str, time_ms: int) -> None:
        """Set when a collection was last modified.

        :raise NotFound: nothing has this path.
        :raise NotACollection: a file has this path.
        """
        self._collection(path).modified_ms = time_ms

    def version(self, path: str) -> Manifest | None:
        """Return the version that a new file at this path would replace; None if nothing has the path.

        :raise ParentMissing: the collection that the path lies in does not exist, or is a file.
        :raise NotAFile: a collection has this path.
        """
        packed = self._place_of_file(path)[2]
        return None if packed is None else self._packing.unpack(packed)

    def refuse_taken(self, path: str) -> None:
        """Refuse a path at which no collection can be made.

        :raise NameTaken: a file or collection has this path already.
        :raise ParentMissing: the collection that the path lies in does not exist, or is a file.
        """
        if path == "/":
            raise NameTaken("the root is there always")
        node, name = self._place(path)
        if name in node.members:
            raise NameTaken(f"{path} is there already")

    def put(self, path: str, file: Packed, time_ms: int) -> Packed | None:
        """Put a file at a path.

        :param file: its packed manifest.
        :return: that of the version that it replaces, for `dismantle`; None if nothing had the path.
        :raise ParentMissing, NotAFile: as `version` does.
        """
        node, name, replaced = self._place_of_file(path)
        self._length += 1  # that of the replaced version counts until it is dismantled
        node.put(name, file, time_ms)
        return replaced

    def make_collection(self, path: str, time_ms: int) -> None:
        """Make an empty collection.

        :raise NameTaken, ParentMissing: as `refuse_taken` does.
        """
        self.refuse_taken(path)
        node, name = self._place(path)
        self._length += 1
        node.put(name, Branch(time_ms), time_ms)

    def delete(self, path: str, time_ms: int) -> Packed | Branch:
        """Delete a file, or a collection with all that is in it.

        :return: the deleted entry; pass it to `dismantle`.
        :raise NotFound: nothing has this path.
        :raise BadName: the path is the root's.
        """
        if path == "/":
            raise BadName("the root cannot be deleted")
        if self._find(path) is None:
            raise NotFound(f"there is no {path}")
        node, name = self._place(path)
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
        :raise ParentMissing: the collection that `target` lies in does not exist, or is a file.
        """
        self._refuse_entangled(source, target, (source in ancestors(target)) or target in ancestors(source))

    def refuse_copy(self, source: str, target: str, *, deep: bool) -> None:
        """Refuse an impossible copy, as `refuse_move` does; but a copy that is not deep may lie inside its source."""
        self._refuse_entangled(source, target, (deep and source in ancestors(target)) or target in ancestors(source))

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
        entry = self._find(source)
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
        entry, size = self._find(source), len(target.encode())
        if size > len(source.encode()) and entry is not None:
            message = f"{source}: something in it would have a path of more than {MAX_PATH} bytes below {target}"
            yield from refuse_longer(entry, MAX_PATH - size, message)

    def _refuse_entangled(self, source: str, target: str, inside: bool) -> None:
        if self._find(source) is None:
            raise NotFound(f"there is no {source}")
        if source == target:
            raise Entangled(f"{source} is there already: source and target are the same")
        if inside:
            raise Entangled(f"{source} and {target}: one lies inside the other")
        self._place(target)

    def move(self, source: str, target: str, time_ms: int) -> Packed | Branch | None:
        """Move a file or collection, replacing what is at `target`.

        :return: the replaced entry, if any; pass it to `dismantle`.
        :raise NotFound, Entangled, ParentMissing: as `refuse_move` does.
        """
        self.refuse_move(source, target)
        replaced = self._clear(target, time_ms)
        node, name = self._place(source)
        properties = node.properties_of(name)
        entry = node.remove(name, time_ms)
        self._put(target, entry, properties, time_ms)
        return replaced

    def begin_copy(self, source: str, time_ms: int, *, deep: bool) -> Copying:
        """Begin a copy of a file or a collection, for `put_copy`.

        :param deep: whether the members of a collection are copied, too; if not, its copy is empty.
        :raise NotFound: nothing has the path `source`.
        """
        entry = self._find(source)
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
        if self._find(path) is None:
            return None
        node, name = self._place(path)
        return node.remove(name, time_ms)

    def _put(self, path: str, entry: Packed | Branch, properties: Mapping[str, str], time_ms: int) -> None:
        node, name = self._place(path)
        node.put(name, entry, time_ms)
        node.set_properties(name, properties)

    def _parent_branch(self, path: str) -> tuple[Branch | None, str]:
        if path == "/":
            return self._above, ""
        folder, _, name = path.rpartition("/")
        node = self._find(folder or "/")
        return (node if isinstance(node, Branch) else None), name

    def _find(self, path: str) -> Packed | Branch | None:
        return find(self._root, path)

    def _collection(self, path: str) -> Branch:
        entry = self._find(path)
        if entry is None:
            raise NotFound(f"there is no {path}")
        if not isinstance(entry, Branch):
            raise NotACollection(f"{path} is a file")
        return entry

    def _place(self, path: str) -> tuple[Branch, str]:
        """Return the collection that a path lies in, and the path's last segment."""
        folder, _, name = path.rpartition("/")
        node = self._find(folder or "/")
        if not isinstance(node, Branch):
            raise ParentMissing(f"there is no collection {folder}")
        return node, name

    def _place_of_file(self, path: str) -> tuple[Branch, str, Packed | None]:
        if path == "/":
            raise NotAFile("the root is a collection")
        node, name = self._place(path)
        entry = node.members.get(name)
        if isinstance(entry, Branch):
            raise NotAFile(f"{path} is a collection")
        return node, name, entry
