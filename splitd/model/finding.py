"""Finds what has a path, and walks through all that has one.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from splitd.model.branch import Branch
from splitd.model.packing import Packed

_LONGEST_KEPT = 255
"""Characters.  The names of a long path take twenty times its size, and whoever asks for paths chooses them."""


def folders_of(path: str) -> tuple[tuple[str, ...], str] | None:
    """Return the names of the collections that a path leads through, and its last name, which is empty if the path
    ends with a slash; None for a text that does not begin with a slash.
    """
    return _kept_split(path) if len(path) <= _LONGEST_KEPT else _split(path)


def _split(path: str) -> tuple[tuple[str, ...], str] | None:
    first, *names = path.split("/")
    return (tuple(names[:-1]), names[-1]) if names and not first else None


_kept_split = lru_cache(maxsize=512)(_split)  # a path is looked up at each of the steps that a change of it takes


def descend(root: Branch, folders: Sequence[str]) -> Branch | None:
    """Return the collection that some collections' names lead to; None if one of them is missing."""
    branch = root
    for name in folders:
        entry = branch.members.get(name + "/")
        if not isinstance(entry, Branch):
            return None
        branch = entry
    return branch


def find(root: Branch, path: str) -> Packed | Branch | None:
    """Return what has a path; None if nothing has it."""
    if path == "/":
        return root
    found = folders_of(path)
    branch = None if found is None else descend(root, found[0])
    if found is None or branch is None or not found[1]:
        return branch
    entry = branch.members.get(found[1])
    return branch.members.get(found[1] + "/") if entry is None else entry


def all_entries(root: Branch) -> Iterator[tuple[str, Packed | Branch]]:
    """Iterate over all paths except the root's with what has them: each collection before its members, and after the
    file of the same name.

    A file that a collection itself is comes right after it, with the slash at the end of its path.
    """
    waiting = [("/", root)]
    while waiting:
        folder, node = waiting.pop()
        collections = []
        for name, entry in node.members.items():
            if isinstance(entry, Branch):
                collections.append((name, entry))
            else:
                yield folder + name, entry
        for name, branch in collections:
            yield folder + node.shown(name), branch
            if branch.own is not None:
                yield folder + name, branch.own
            waiting.append((folder + name, branch))


def all_properties(above: Branch) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Iterate over all paths that have properties, with them.

    :param above: has the root as its only member, under an empty name.
    """
    for properties in (above.properties or {}).values():
        yield "/", properties
    root = above.members[""]
    assert isinstance(root, Branch)
    waiting = [("/", root)]
    while waiting:
        folder, node = waiting.pop()
        for name, properties in (node.properties or {}).items():
            yield folder + node.shown(name), properties
        waiting.extend((folder + name, entry) for name, entry in node.members.items() if isinstance(entry, Branch))


def nearest(above: Branch, path: str, name: str) -> tuple[str, str]:
    """Find the nearest collection that has a property: the one at a path, or one that the path lies in.

    :param above: has the root as its only member, under an empty name.
    :param path: a path that may not exist.
    :param name: the name of the property.
    :return: the collection's path, and its value of the property; two empty texts if there is none.
    """
    folders, last = folders_of(path) or ((), "")
    value = above.properties_of("").get(name)
    found = ("", "") if value is None else ("/", value)
    branch, so_far = above.members[""], "/"
    for entry_name in [*(folder + "/" for folder in folders), last]:
        if not entry_name or not isinstance(branch, Branch):
            break
        here = branch.find(entry_name)
        entry = None if here is None else branch.members[here]
        if here is None or not isinstance(entry, Branch):
            break
        value = branch.properties_of(here).get(name)
        if value is not None:
            found = so_far + branch.shown(here), value
        so_far += here
        branch = entry
    return found
