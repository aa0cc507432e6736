"""Members of a collection, as background work sees them: files, and collections to look into."""

from __future__ import annotations

from collections.abc import Iterable

from splitd.model.manifest import Manifest
from splitd.model.paths import join
from splitd.model.tree import Member


def sort_out(collection: str, members: Iterable[Member]) -> tuple[list[tuple[str, Manifest]], list[str]]:
    """Sort files from collections.

    :param collection: the path of the collection.
    :param members: members of it.
    :return: the files with their paths, those too that collections are themselves; and the paths of the collections,
        with slashes at their ends: files of the same names change nothing about them.
    """
    files, collections = list[tuple[str, Manifest]](), list[str]()
    for member in members:
        path = join(collection, member.name)
        if isinstance(member.entry, Manifest):
            files.append((path, member.entry))
            continue
        path = join(path, "")
        collections.append(path)
        if member.entry.own is not None:
            files.append((path, member.entry.own))
    return files, collections
