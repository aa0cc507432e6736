"""A collection as a node of the tree: its members and their properties.  Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, MutableMapping
from types import MappingProxyType

from sortedcontainers import SortedList

from splitd.model.packing import Packed
from splitd.model.sharded import ShardedDict

SORTED = 200
"""With more members than this, a collection keeps its names sorted."""
LARGE = 2000
"""With more members than this, a collection keeps its members in a `ShardedDict`."""
NO_PROPERTIES: Mapping[str, str] = MappingProxyType({})


class Branch:
    """A collection in the tree.

    `members` holds, by their entry names (see `splitd.model.paths`), the packed manifest of each file and the branch of
    each collection in it.

    `names` is the sorted list of the members' entry names.  It is None in collections of at most `SORTED` members:
    sorting so few names for each page takes some microseconds, and most collections are never listed.  Larger
    collections keep their names sorted, because sorting a million names at the first listing would block all other work
    for most of a second.

    `properties` holds the properties of the members by entry name.  It is None if no member has any, which saves
    memory.

    `implied` says that the collection is there only because something is in it; `own` is the packed manifest of a file
    that the collection itself is, or None.
    """

    __slots__ = ("created_ms", "implied", "members", "modified_ms", "names", "own", "properties")

    def __init__(self, created_ms: int, *, implied: bool = False) -> None:
        self.created_ms = created_ms
        self.modified_ms = created_ms
        self.members: MutableMapping[str, Packed | Branch] = {}
        self.names: SortedList | None = None
        self.properties: dict[str, Mapping[str, str]] | None = None
        self.implied = implied
        self.own: Packed | None = None

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
        else:
            self.members[name] = entry
            if len(self.members) > SORTED:
                self.names = SortedList(self.members)
        if len(self.members) > LARGE and not isinstance(self.members, ShardedDict):
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

        :param names: the entry names of all members; it is faster if they are ascending.
        """
        if len(names) > SORTED:
            self.names = SortedList(names)

    def remove(self, name: str, time_ms: int) -> Packed | Branch:
        """Remove and return a member, which must exist, and drop its properties."""
        removed = self.members.pop(name)
        if self.names is not None:
            self.names.remove(name)
            if len(self.names) <= SORTED // 2:
                self.names = None
        if isinstance(self.members, ShardedDict) and len(self.members) <= LARGE // 2:
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
        """Iterate over all files in the collection and below, and over what collections are themselves."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            if node.own is not None:
                yield node.own
            for entry in node.members.values():
                if isinstance(entry, Branch):
                    waiting.append(entry)
                else:
                    yield entry

    def names_from(self, first: str) -> Iterator[str]:
        """Iterate over the entry names from `first` on, in ascending order; the branch must not be changed meanwhile.

        :param first: need not be a member's.
        """
        if self.names is not None:
            yield from self.names.irange(first)
        else:
            every = sorted(self.members)
            yield from every[bisect_left(every, first) :]

    def members_from(self, first: str) -> Iterator[tuple[str, Packed | Branch]]:
        """Iterate over members, each with its entry name, as `names_from` does over their names."""
        members = self.members
        return ((name, members[name]) for name in self.names_from(first))

    def shown(self, name: str) -> str:
        """Return the shortest name for a member that no other member has: without a slash if it is not needed.

        :param name: the member's entry name.
        """
        plain = name.removesuffix("/")
        return plain if plain and (plain is name or plain not in self.members) else name

    def find(self, name: str) -> str | None:
        """Return the entry name of a member; None if there is none.

        :param name: an entry name, or the name of a collection if no file has it.
        """
        if name in self.members:
            return name
        collection = name + "/"
        return collection if collection in self.members else None
