"""Names: paths, collections and their members.  Pure."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

import attrs

from splitd.errors import BadName, NameTaken, NotACollection, NotAFile, NotFound, ParentMissing
from splitd.model.manifest import Manifest

MAX_SEGMENT = 255
MAX_PATH = 4096

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@attrs.frozen
class Collection:
    """What a collection says of itself; its members are listed, not kept here.

    :param created_ms: when it was made, milliseconds since 1970.
    :param modified_ms: when a member was last added, replaced or removed.
    """

    created_ms: int
    modified_ms: int


@attrs.frozen
class Member:
    """One name in a collection."""

    name: str
    entry: Manifest | Collection


def check_path(path: str) -> None:
    """Refuse what is not a path.

    :raise BadName: it is relative, ends with a slash, has an empty, "." or ".." segment, a control character or a
        lone surrogate, a segment of more than MAX_SEGMENT bytes in UTF-8, or more than MAX_PATH bytes in all.
    """
    reason = _fault(path)
    if reason:
        raise BadName(f"{path[:200]!r}: {reason}")


def _fault(path: str) -> str:
    try:
        size = len(path.encode())
    except UnicodeEncodeError as problem:
        return f"a lone surrogate at character {problem.start}"
    control = _CONTROL.search(path)
    if size > MAX_PATH:
        return f"{size} bytes, {MAX_PATH} are allowed"
    if control is not None:
        return f"the control character U+{ord(control[0]):04X} at character {control.start()}"
    if not path.startswith("/"):
        return "does not begin with a slash"
    return "" if path == "/" else _segment_fault(path)


def _segment_fault(path: str) -> str:
    for segment in path.split("/")[1:]:
        if segment in ("", ".", ".."):
            return f'a segment that is "{segment}"' if segment else "an empty segment, or a slash at the end"
        size = len(segment.encode())
        if size > MAX_SEGMENT:
            return f"a segment of {size} bytes, {MAX_SEGMENT} are allowed"
    return ""


def parent(path: str) -> str:
    """The collection that a path lies in; the root lies in itself."""
    return path.rpartition("/")[0] or "/"


def basename(path: str) -> str:
    """The last segment of a path; empty for the root."""
    return path.rpartition("/")[2]


class _Node:
    """A collection in the tree.

    `names` is None until the members are listed for the first time: most collections never are, and a replay
    sorts nothing.  From then on it is kept sorted by bisection.  Moving the pointers behind a new name costs some
    microseconds among 100,000; sorting anew after each change would cost thousands of times as much on every page.
    """

    __slots__ = ("created_ms", "members", "modified_ms", "names")

    def __init__(self, created_ms: int) -> None:
        self.created_ms = created_ms
        self.modified_ms = created_ms
        self.members: dict[str, Manifest | _Node] = {}
        self.names: list[str] | None = None

    def put(self, name: str, entry: Manifest | _Node, time_ms: int) -> None:
        if self.names is not None and name not in self.members:
            insort(self.names, name)
        self.members[name] = entry
        self.modified_ms = time_ms

    def remove(self, name: str, time_ms: int) -> Manifest | _Node:
        if self.names is not None:
            del self.names[bisect_left(self.names, name)]
        self.modified_ms = time_ms
        return self.members.pop(name)

    def page(self, after: str, limit: int) -> list[Member]:
        if self.names is None:
            self.names = sorted(self.members)
        first = bisect_right(self.names, after)
        return [Member(name, _shown(self.members[name])) for name in self.names[first : first + limit]]


def _shown(entry: Manifest | _Node) -> Manifest | Collection:
    return Collection(entry.created_ms, entry.modified_ms) if isinstance(entry, _Node) else entry


class Tree:
    """All names and what they mean.

    A change that is refused has changed nothing.  A file costs its manifest, its name and a slot in a dict.
    Paths are taken as they are: what `check_path` refuses must not be put.

    :param created_ms: when the root was made, milliseconds since 1970.
    """

    def __init__(self, created_ms: int) -> None:
        self._root = _Node(created_ms)

    def lookup(self, path: str) -> Manifest | Collection | None:
        """What there is of this name; None where there is nothing."""
        entry = self._find(path)
        return None if entry is None else _shown(entry)

    def list_members(self, path: str, after: str, limit: int) -> list[Member]:
        """A page of a collection, in ascending order of the names by code point.

        :param after: list only names greater than this; empty for the first page.
        :param limit: how many at most.
        :raise NotFound: there is nothing of this name.
        :raise NotACollection: it is a file.
        """
        return self._collection(path).page(after, limit)

    def walk(self) -> Iterator[tuple[str, Manifest | Collection]]:
        """All paths but the root's and what they mean, each collection before its members.

        The tree must not be changed until all were taken.
        """
        waiting = [("", self._root)]
        while waiting:
            folder, node = waiting.pop()
            for name, entry in node.members.items():
                path = f"{folder}/{name}"
                yield path, _shown(entry)
                if isinstance(entry, _Node):
                    waiting.append((path, entry))

    def files(self) -> Iterator[Manifest]:
        """All files.  The tree must not be changed until all were taken."""
        waiting = [self._root]
        while waiting:
            for entry in waiting.pop().members.values():
                if isinstance(entry, _Node):
                    waiting.append(entry)
                else:
                    yield entry

    def collection(self, path: str) -> Collection:
        """A collection.

        :raise NotFound, NotACollection: there is none of this name.
        """
        node = self._collection(path)
        return Collection(node.created_ms, node.modified_ms)

    def touch(self, path: str, time_ms: int) -> None:
        """Set when a collection was modified last.

        :raise NotFound, NotACollection: there is none of this name.
        """
        self._collection(path).modified_ms = time_ms

    def version(self, path: str) -> Manifest | None:
        """The file that a file put there would replace.

        :raise ParentMissing: the collection it should lie in is not there.
        :raise NotAFile: there is a collection of this name.
        """
        return self._place_of_file(path)[2]

    def refuse_taken(self, path: str) -> None:
        """Refuse a path that no collection can be made of.

        :raise NameTaken: something of this name is there.
        :raise ParentMissing: the collection it should lie in is not there.
        """
        if path == "/":
            raise NameTaken("the root is there always")
        node, name = self._place(path)
        if name in node.members:
            raise NameTaken(f"{path} is there already")

    def put_file(self, path: str, manifest: Manifest, time_ms: int) -> Manifest | None:
        """Give a file its name.

        :return: the version it replaces, if any.
        :raise ParentMissing, NotAFile: as `version` does.
        """
        node, name, replaced = self._place_of_file(path)
        node.put(name, manifest, time_ms)
        return replaced

    def make_collection(self, path: str, time_ms: int) -> None:
        """Make an empty collection.

        :raise NameTaken, ParentMissing: as `refuse_taken` does.
        """
        self.refuse_taken(path)
        node, name = self._place(path)
        node.put(name, _Node(time_ms), time_ms)

    def delete(self, path: str, time_ms: int) -> list[Manifest]:
        """Delete a file, or a collection with all that is in it.

        :return: the manifests of all files that are gone with it.
        :raise NotFound: there is nothing of this name.
        :raise BadName: it is the root.
        """
        if path == "/":
            raise BadName("the root cannot be deleted")
        if self._find(path) is None:
            raise NotFound(f"there is no {path}")
        node, name = self._place(path)
        files: list[Manifest] = []
        waiting = [node.remove(name, time_ms)]
        while waiting:
            entry = waiting.pop()
            if isinstance(entry, _Node):
                waiting.extend(entry.members.values())
            else:
                files.append(entry)
        return files

    def _find(self, path: str) -> Manifest | _Node | None:
        if path == "/":
            return self._root
        first, *segments = path.split("/")
        entry: Manifest | _Node | None = self._root if segments and not first else None
        for segment in segments:
            if not isinstance(entry, _Node):
                return None
            entry = entry.members.get(segment)
        return entry

    def _collection(self, path: str) -> _Node:
        entry = self._find(path)
        if entry is None:
            raise NotFound(f"there is no {path}")
        if not isinstance(entry, _Node):
            raise NotACollection(f"{path} is a file")
        return entry

    def _place(self, path: str) -> tuple[_Node, str]:
        """The collection that a path lies in, and its name there."""
        folder, _, name = path.rpartition("/")
        node = self._find(folder or "/")
        if not isinstance(node, _Node):
            raise ParentMissing(f"there is no collection {folder}")
        return node, name

    def _place_of_file(self, path: str) -> tuple[_Node, str, Manifest | None]:
        if path == "/":
            raise NotAFile("the root is a collection")
        node, name = self._place(path)
        entry = node.members.get(name)
        if isinstance(entry, _Node):
            raise NotAFile(f"{path} is a collection")
        return node, name, entry
