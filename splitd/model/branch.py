"""A collection as the tree keeps it.  Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from splitd.model.manifest import Manifest

MAX_SEGMENT = 255
"""Bytes of a name."""
NO_PROPERTIES: Mapping[str, str] = MappingProxyType({})


class Branch:
    """A collection in the tree.

    `names` is None until the members are listed for the first time: most collections never are, and a replay
    sorts nothing.  From then on it is kept sorted by bisection.  Moving the pointers behind a new name costs some
    microseconds among 100,000; sorting anew after each change would cost thousands of times as much on every page.

    `properties` are those of the members, by their names: most have none, and shall not pay for it.
    """

    __slots__ = ("created_ms", "members", "modified_ms", "names", "properties")

    def __init__(self, created_ms: int) -> None:
        self.created_ms = created_ms
        self.modified_ms = created_ms
        self.members: dict[str, Manifest | Branch] = {}
        self.names: list[str] | None = None
        self.properties: dict[str, Mapping[str, str]] | None = None

    def put(self, name: str, entry: Manifest | Branch, time_ms: int) -> None:
        """Add a member, or replace it; its properties stay."""
        if self.names is not None and name not in self.members:
            insort(self.names, name)
        self.members[name] = entry
        self.modified_ms = time_ms

    def remove(self, name: str, time_ms: int) -> Manifest | Branch:
        """Take a member out, which must be there, and forget its properties."""
        if self.names is not None:
            del self.names[bisect_left(self.names, name)]
        self.set_properties(name, NO_PROPERTIES)
        self.modified_ms = time_ms
        return self.members.pop(name)

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

    def copy(self, time_ms: int) -> tuple[Branch, list[Manifest]]:
        """A copy with all that is below, and the files that are in it."""
        copied = Branch(time_ms)
        files: list[Manifest] = []
        waiting = [(self, copied)]
        while waiting:
            source, target = waiting.pop()
            target.properties = None if source.properties is None else dict(source.properties)
            for name, entry in source.members.items():
                if isinstance(entry, Branch):
                    target.members[name] = made = Branch(time_ms)
                    waiting.append((entry, made))
                else:
                    target.members[name] = entry
                    files.append(entry)
        return copied, files

    def count(self, most: int) -> int:
        """How many names are in it and below; more than `most` are not counted exactly."""
        total = 0
        waiting = [self]
        while waiting and total <= most:
            members = waiting.pop().members
            total += len(members)
            waiting.extend(entry for entry in members.values() if isinstance(entry, Branch))
        return total

    def reaches(self, size: int) -> bool:
        """Whether something below has a path of more than `size` bytes from here on, slashes and all."""
        waiting = [(self, size - 1)]
        while waiting:
            node, left = waiting.pop()
            # Nearly always there is room for any name at all; then only collections are looked at.
            if left < MAX_SEGMENT and any(len(name.encode()) > left for name in node.members):
                return True
            waiting.extend(
                (entry, left - len(name.encode()) - 1)
                for name, entry in node.members.items()
                if isinstance(entry, Branch)
            )
        return False

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
        if self.names is None:
            self.names = sorted(self.members)
        first = bisect_right(self.names, after)
        return [(name, self.members[name]) for name in self.names[first : first + limit]]
