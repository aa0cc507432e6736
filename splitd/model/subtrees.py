"""Work on whole subtrees, one name at a time.  Pure.

Each function is a generator that yields once for every name, and once more for a collection that is a file itself, so
that its caller decides how many names to process in one step.  Nothing else may change the subtree until the generator
has ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import attrs

from splitd.errors import BadName
from splitd.model.branch import Branch
from splitd.model.packing import Packed, size_of
from splitd.model.path_faults import MAX_NAME


class Copying:
    """A copy of a file, or of a collection with all that is in it, which is made step by step.

    :param deep: whether the members of a collection are copied, too.
    :param time_ms: when the collections of the copy were made, milliseconds since 1970.
    :ivar copy: the copy, as far as it is made.
    :ivar names: how many names the copy has so far.
    :ivar files: how many files it has so far.
    :ivar size: the bytes of these files.
    """

    def __init__(self, entry: Packed | Branch, time_ms: int, *, deep: bool) -> None:
        self._source = entry
        self._deep = deep
        self._time_ms = time_ms
        self.copy: Packed | Branch = Branch(time_ms) if isinstance(entry, Branch) else entry
        self.names = 0
        self.files = 0
        self.size = 0

    def steps(self) -> Iterator[Packed | None]:
        """Make the copy; yield, for each name, the packed manifest of its file, or None for a collection."""
        yield self._count(self._source)
        if not (self._deep and isinstance(self._source, Branch) and isinstance(self.copy, Branch)):
            return
        self.copy.implied = self._source.implied
        waiting = [(self._source, self.copy)]
        while waiting:
            source, target = waiting.pop()
            if source.own is not None:
                target.own = source.own
                yield self._count(source.own)
            for name, entry in source.members.items():
                if isinstance(entry, Branch):
                    made = Branch(self._time_ms, implied=entry.implied)
                    target.add(name, made)
                    waiting.append((entry, made))
                else:
                    target.add(name, entry)
                properties = source.properties_of(name)
                if properties:
                    target.set_properties(name, properties)
                yield self._count(entry)

    def _count(self, entry: Packed | Branch) -> Packed | None:
        self.names += 1
        if isinstance(entry, Branch):
            return None
        self.files += 1
        self.size += size_of(entry)
        return entry


def dismantle(entry: Packed | Branch) -> Iterator[Packed | None]:
    """Take apart an entry that has no name any more; yield, for each name, the packed manifest of its file, or None for
    a collection.  This frees the memory in small steps, because freeing a large tree at once takes long.
    """
    if not isinstance(entry, Branch):
        yield entry
        return
    waiting = [entry]
    while waiting:
        node = waiting[-1]
        if node.own is not None:
            own, node.own = node.own, None
            yield own
        if not node.members:
            waiting.pop()
            yield None
            continue
        taken = node.take_last()
        if isinstance(taken, Branch):
            waiting.append(taken)
        else:
            yield taken


@attrs.define
class Weight:
    """The files of a subtree, and their bytes, as far as they are counted."""

    bytes: int = 0
    files: int = 0


def weigh(entry: Packed | Branch, weight: Weight) -> Iterator[None]:
    """Count the files of an entry, and their bytes; yield once for each name."""
    waiting = [entry]
    while waiting:
        node = waiting.pop()
        members = chain(node.members.values(), [node.own]) if isinstance(node, Branch) else (node,)
        for member in members:
            if isinstance(member, Branch):
                waiting.append(member)
            elif member is not None:
                weight.files += 1
                weight.bytes += size_of(member)
            yield


def count_names(entry: Packed | Branch, most: int) -> Iterator[int]:
    """Count the names below an entry; yield the count so far for each name, and end as soon as it exceeds `most`."""
    total = 0
    waiting = [entry]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, Branch):
            continue
        own = () if node.own is None else (node.own,)
        for member in chain(own, node.members.values()):
            total += 1
            yield total
            if total > most:
                return
            if isinstance(member, Branch):
                waiting.append(member)


def refuse_longer(entry: Packed | Branch, size: int, message: str) -> Iterator[None]:
    """Refuse an entry with a path below it of more than `size` bytes, counted from the entry on, slashes included.

    :raise BadName: there is such a path; the error's text is `message`.
    """
    if not isinstance(entry, Branch):
        return
    waiting = [(entry, size - 1)]
    while waiting:
        node, left = waiting.pop()
        for name, member in node.members.items():
            # Usually there is room for any name, and only collections need a closer look.
            if isinstance(member, Branch):
                size = len(name.encode())  # with the slash
                if size - (member.own is None) > left:
                    raise BadName(message)
                waiting.append((member, left - size))
            elif left < MAX_NAME and len(name.encode()) > left:
                raise BadName(message)
            yield None
