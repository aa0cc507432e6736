"""What can be asked about names.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from splitd.errors import NotACollection, NotFound
from splitd.model.branch import NO_PROPERTIES, Branch
from splitd.model.entries import Collection
from splitd.model.finding import all_entries, all_properties, find, folders_of, nearest
from splitd.model.implied import first_missing, first_pruned, is_in_implied
from splitd.model.manifest import Manifest
from splitd.model.order import page
from splitd.model.packing import Packed, Packing
from splitd.model.paths import folder_of, place_of


class LookUps:
    """All names with their files and collections, without the means to change them.

    :param root: the root with all its members.
    :param packing: has packed the manifests.
    """

    def __init__(self, root: Branch, packing: Packing) -> None:
        self._packing = packing
        self._root = root
        self._above = Branch(root.created_ms)  # its only member is the root, whose name is empty
        self._above.members[""] = root

    @property
    def root(self) -> Branch:
        """The root.  The caller must not change it."""
        return self._root

    def find(self, path: str) -> Packed | Branch | None:
        """Look up a path as `lookup` does, but return what is in the tree, which the caller must not change."""
        return find(self._root, path)

    def has(self, path: str) -> bool:
        """Whether something has this path."""
        return self.find(path) is not None

    def has_file(self, path: str) -> bool:
        """Whether a file has this path."""
        entry = self.find(path)
        return entry is not None and not isinstance(entry, Branch)

    def has_collection(self, path: str) -> bool:
        """Whether a collection has this path."""
        return isinstance(self.find(path), Branch)

    def key(self, path: str) -> Packed:
        """Return the packed manifest of a key: of a file, or of one that a collection itself is.

        :raise NotFound: there is no such key.
        """
        entry = self.find(path)
        found = entry if not isinstance(entry, Branch) else entry.own if path.endswith("/") else None
        if found is None:
            raise NotFound(f"there is no {path}")
        return found

    def lookup(self, path: str) -> Manifest | Collection | None:
        """Look up a path; None if nothing has it."""
        entry = self.find(path)
        return None if entry is None else self._shown(entry)

    def _shown(self, entry: Packed | Branch) -> Manifest | Collection:
        if isinstance(entry, Branch):
            own = None if entry.own is None else self._packing.unpack(entry.own)
            return Collection(entry.created_ms, entry.modified_ms, entry.implied, own)
        return self._packing.unpack(entry)

    def page(self, path: str, after: str, limit: int) -> list[tuple[str, Packed | Branch]]:
        """List a page of a collection's members; see `order.page`.

        The packed manifests and branches are those of the tree: the caller must not change them.

        :raise NotFound: nothing has this path.
        :raise NotACollection: a file has this path.
        """
        return page(self._collection(path), after, limit)

    def walk(self) -> Iterator[tuple[str, Manifest | Collection]]:
        """Iterate over all paths except the root's, with their entries, each collection before its members.

        A file that a collection itself is has the collection's path with a slash at its end.  The tree must not be
        changed until the iteration has ended.
        """
        return ((path, self._shown(entry)) for path, entry in self.entries())

    def entries(self) -> Iterator[tuple[str, Packed | Branch]]:
        """Iterate as `walk` does, but over packed manifests and branches, which the caller must not change."""
        return all_entries(self._root)

    def files(self) -> Iterator[Manifest]:
        """Iterate over all files, once for each of their names.  The tree must not be changed meanwhile."""
        return map(self._packing.unpack, self._root.files())

    def properties(self, path: str) -> Mapping[str, str]:
        """Return the properties of a file or collection; empty if nothing has this path."""
        node, name = self._named(path)
        return NO_PROPERTIES if node is None else node.properties_of(name)

    def nearest(self, path: str, name: str) -> tuple[str, str]:
        """Find the nearest collection, at a path or above it, that has a property; see `branch.nearest`."""
        return nearest(self._above, path, name)

    def all_properties(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Iterate over all paths that have properties, with them.  The tree must not be changed meanwhile."""
        return all_properties(self._above)

    def collection(self, path: str) -> Collection:
        """Return the attributes of a collection.

        :raise NotFound: nothing has this path.
        :raise NotACollection: a file has this path.
        """
        found = self._shown(self._collection(path))
        assert isinstance(found, Collection)
        return found

    def first_missing(self, path: str) -> str | None:
        """Return the first collection that a path lies in and that does not exist; see `implied.first_missing`."""
        return first_missing(self._root, path)

    def first_pruned(self, path: str) -> str | None:
        """Return the outermost collection that goes with the removal of a path; see `implied.first_pruned`."""
        return first_pruned(self._root, path)

    def implies(self, path: str) -> bool:
        """Whether a record of a new entry at this path must be applied as that of a key (see `put`): a collection that
        the path lies in is implied or missing, or a collection has the same name.
        """
        if path.endswith("/"):
            return True
        folders, name = folders_of(path) or ((), "")
        branch = self._root
        for folder in folders:
            entry = branch.members.get(folder + "/")
            if not isinstance(entry, Branch) or entry.implied:
                return True
            branch = entry
        return name + "/" in branch.members

    def is_in_implied(self, path: str) -> bool:
        """Whether one of the collections that a path lies in is implied, or does not exist."""
        return is_in_implied(self._root, place_of(path))

    def _named(self, path: str) -> tuple[Branch | None, str]:
        """Return the collection that something lies in, and its entry name there; None if nothing has the path."""
        if path == "/":
            return self._above, ""
        node = self.find(folder_of(path)) if path.startswith("/") else None
        found = node.find(last_name(path)) if isinstance(node, Branch) else None
        return (None, "") if found is None or not isinstance(node, Branch) else (node, found)

    def _collection(self, path: str) -> Branch:
        entry = self.find(path)
        if entry is None:
            raise NotFound(f"there is no {path}")
        if not isinstance(entry, Branch):
            raise NotACollection(f"{path} is a file")
        return entry


def last_name(path: str) -> str:
    """Return the last name of a path, with the slash at its end if there is one."""
    return path[path.rfind("/", 0, -1) + 1 :]
