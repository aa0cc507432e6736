"""A collection as the tree keeps it.  Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import islice
from types import MappingProxyType

from sortedcontainers import SortedList

from splitd.model.manifest import Manifest

MAX_SEGMENT = 255
"""Bytes of a name."""
LARGE = 2000
"""With more members than this, a collection keeps its names sorted."""
NO_PROPERTIES: Mapping[str, str] = MappingProxyType({})


class Branch:
    """A collection in the tree.

    `names` is the sorted list of the members' names, or None while there are at most `LARGE`: sorting so few for each
    page takes less than a millisecond, and most collections are never listed.  In larger ones each new name is put in
    its place, for sorting a million names at the first listing would stop everybody else for most of a second.

    `properties` are those of the members, by their names; None where no member has any, which saves memory.
    """

    __slots__ = ("created_ms", "members", "modified_ms", "names", "properties")

    def __init__(self, created_ms: int) -> None:
        self.created_ms = created_ms
        self.modified_ms = created_ms
        self.members: dict[str, Manifest | Branch] = {}
        self.names: SortedList | None = None
        self.properties: dict[str, Mapping[str, str]] | None = None

    def put(self, name: str, entry: Manifest | Branch, time_ms: int) -> None:
        """Add a member, or replace it; its properties stay."""
        self.add(name, entry)
        self.modified_ms = time_ms

    def add(self, name: str, entry: Manifest | Branch) -> None:
        """Add a member, or replace it, as if it had always been there."""
        if self.names is not None:
            if name not in self.members:
                self.names.add(name)
            self.members[name] = entry
            return
        self.members[name] = entry
        if len(self.members) > LARGE:
            self.names = SortedList(self.members)

    def remove(self, name: str, time_ms: int) -> Manifest | Branch:
        """Take a member out, which must be there, and forget its properties."""
        if self.names is not None:
            self.names.remove(name)
            if len(self.names) <= LARGE // 2:
                self.names = None
        self.set_properties(name, NO_PROPERTIES)
        self.modified_ms = time_ms
        return self.members.pop(name)

    def take_last(self) -> Manifest | Branch:
        """Take any member out; there must be one.  The branch itself is no longer part of a tree."""
        if self.names is None:
            name, entry = self.members.popitem()
        else:
            name = self.names.pop()
            entry = self.members.pop(name)
        if self.properties is not None:
            self.properties.pop(name, None)
        return entry

    def properties_of(self, name: str) -> Mapping[str, str]:
        """The properties of a member."""
        return NO_PROPERTIES if self.properties is None else self.properties.get(name, NO_PROPERTIES)

    def set_properties(self, name: str, properties: Mapping[str, str]) -> None:
        """Keep properties of a member, in place of those before."""
        if properties:
            self.properties = self.properties or {}
            self.properties[name] = properties
        elif self.properties is not None:
            self.properties.pop(name, None)
            self.properties = self.properties or None

    def files(self) -> Iterator[Manifest]:
        """All files in it and below."""
        waiting = [self]
        while waiting:
            for entry in waiting.pop().members.values():
                if isinstance(entry, Branch):
                    waiting.append(entry)
                else:
                    yield entry

    def page(self, after: str, limit: int) -> list[tuple[str, Manifest | Branch]]:
        """Members with names greater than `after`, in the order of the names, `limit` at most."""
        if self.names is not None:
            names = list(islice(self.names.irange(after, inclusive=(False, True)), limit))
        else:
            every = sorted(self.members)
            first = bisect_right(every, after)
            names = every[first : first + limit]
        return [(name, self.members[name]) for name in names]
