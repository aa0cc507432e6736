"""A collection as a node of the tree: its members and their properties.  Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, MutableMapping
from itertools import islice
from types import MappingProxyType

from sortedcontainers import SortedList

from splitd.model.packing import Packed
from splitd.model.sharded import ShardedDict

MAX_SEGMENT = 255
"""The most bytes of a name."""
LARGE = 2000
"""With more members than this, a collection keeps its names sorted."""
NO_PROPERTIES: Mapping[str, str] = MappingProxyType({})


class Branch:
    """A collection in the tree.

    `members` holds the packed manifest of each file, and the branch of each collection in it.

    `names` is the sorted list of the members' names.  It is None in collections of at most `LARGE` members: sorting so
    few names for each page takes less than a millisecond, and most collections are never listed.  Larger collections
    keep their names sorted, because sorting a million names at the first listing would block all other work for most of
    a second.

    `properties` holds the properties of the members by name.  It is None if no member has any, which saves memory.
    """

    __slots__ = ("created_ms", "members", "modified_ms", "names", "properties")

    def __init__(self, created_ms: int) -> None:
        self.created_ms = created_ms
        self.modified_ms = created_ms
        self.members: MutableMapping[str, Packed | Branch] = {}
        self.names: SortedList | None = None
        self.properties: dict[str, Mapping[str, str]] | None = None

    def put(self, name: str, entry: Packed | Branch, time_ms: int) -> None:
        """Add or replace a member, and set when the collection was modified; the member's properties stay."""
        self.add(name, entry)
        self.modified_ms = time_ms

    def add(self, name: str, entry: Packed | Branch) -> None:
        """Add or replace a member without setting when the collection was modified."""
        if self.names is not None:
            if name not in self.members:
                self.names.add(name)
            self.members[name] = entry
            return
        self.members[name] = entry
        if len(self.members) > LARGE:
            self.names = SortedList(self.members)
            self.members = ShardedDict(self.members)

    def fill(self, names: list[str], entries: list[Packed | Branch]) -> None:
        """Add many members to a new collection quickly; `end_filling` must follow the last call."""
        if len(self.members) + len(names) <= LARGE:
            self.members.update(zip(names, entries, strict=True))
            return
        if not isinstance(self.members, ShardedDict):
            self.members = ShardedDict(self.members)
        self.members.fill(names, entries)

    def end_filling(self, names: list[str]) -> None:
        """Keep the names of all members sorted if they are many.

        :param names: the names of all members; it is faster if they are ascending.
        """
        if len(names) > LARGE:
            self.names = SortedList(names)

    def remove(self, name: str, time_ms: int) -> Packed | Branch:
        """Remove and return a member, which must exist, and drop its properties."""
        removed = self.members.pop(name)
        if self.names is not None:
            self.names.remove(name)
            if len(self.names) <= LARGE // 2:
                self.names = None
                self.members = dict(self.members)
        self.set_properties(name, NO_PROPERTIES)
        self.modified_ms = time_ms
        return removed

    def take_last(self) -> Packed | Branch:
        """Remove and return any member; there must be one.  Only for a branch that is no longer part of a tree."""
        if self.names is None:
            name, entry = self.members.popitem()
        else:
            name = self.names.pop()
            entry = self.members.pop(name)
        if self.properties is not None:
            self.properties.pop(name, None)
        return entry

    def properties_of(self, name: str) -> Mapping[str, str]:
        """Return the properties of a member; empty if it has none."""
        return NO_PROPERTIES if self.properties is None else self.properties.get(name, NO_PROPERTIES)

    def set_properties(self, name: str, properties: Mapping[str, str]) -> None:
        """Replace all properties of a member."""
        if properties:
            self.properties = self.properties or {}
            self.properties[name] = properties
        elif self.properties is not None:
            self.properties.pop(name, None)
            self.properties = self.properties or None

    def files(self) -> Iterator[Packed]:
        """Iterate over all files in the collection and below."""
        waiting = [self]
        while waiting:
            for entry in waiting.pop().members.values():
                if isinstance(entry, Branch):
                    waiting.append(entry)
                else:
                    yield entry

    def page(self, after: str, limit: int) -> list[tuple[str, Packed | Branch]]:
        """Return at most `limit` members with names greater than `after`, in the order of the names."""
        if self.names is not None:
            names = list(islice(self.names.irange(after, inclusive=(False, True)), limit))
        else:
            every = sorted(self.members)
            first = bisect_right(every, after)
            names = every[first : first + limit]
        return [(name, self.members[name]) for name in names]


def find(root: Branch, path: str) -> Packed | Branch | None:
    """Return what has a path; None if nothing has it."""
    if path == "/":
        return root
    first, *segments = path.split("/")
    entry: Packed | Branch | None = root if segments and not first else None
    for segment in segments:
        if not isinstance(entry, Branch):
            return None
        entry = entry.members.get(segment)
    return entry


def all_properties(above: Branch) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Iterate over all paths that have properties, with them.

    :param above: has the root as its only member, under an empty name.
    """
    waiting = [("", above)]
    while waiting:
        folder, node = waiting.pop()
        for name, properties in (node.properties or {}).items():
            yield f"{folder}/{name}", properties
        below = folder if node is above else f"{folder}/"
        waiting.extend((below + name, entry) for name, entry in node.members.items() if isinstance(entry, Branch))


def nearest(above: Branch, path: str, name: str) -> tuple[str, str]:
    """Find the nearest collection that has a property: the one at a path, or one that the path lies in.

    :param above: has the root as its only member, under an empty name.
    :param path: a path that may not exist.
    :param name: the name of the property.
    :return: the collection's path, and its value of the property; two empty texts if there is none.
    """
    found = "", ""
    folder = above
    segments = path.split("/") if path != "/" else [""]
    for depth, segment in enumerate(segments, 1):
        entry = folder.members.get(segment)
        if not isinstance(entry, Branch):
            break
        if folder.properties is not None:
            value = folder.properties_of(segment).get(name)
            if value is not None:
                found = "/".join(segments[:depth]) or "/", value
        folder = entry
    return found
