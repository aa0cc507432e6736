"""What makes one tree like another.  Pure."""

from __future__ import annotations

import attrs


@attrs.frozen
class Found:
    """A file or collection, on either side.

    :param size: bytes; None for a collection.
    :param modified_ms: when it was changed last, in milliseconds since 1970.
    """

    size: int | None
    modified_ms: int

    @property
    def is_file(self) -> bool:
        """Whether this is a file."""
        return self.size is not None


@attrs.frozen
class Plan:
    """What makes the target like the source.  All paths are below the roots of the two trees.

    :param delete: from the target, each with all that is in it.
    :param make: collections or folders, each before what is in it.
    :param transfer: files.
    :param compare: files of the same size on both sides, whose bytes decide whether they are transferred.
    :param conflicts: paths where one side has a file and the other a collection, and nothing may be deleted.
    """

    delete: list[str] = attrs.field(factory=list)
    make: list[str] = attrs.field(factory=list)
    transfer: list[str] = attrs.field(factory=list)
    compare: list[str] = attrs.field(factory=list)
    conflicts: list[str] = attrs.field(factory=list)


def plan(source: dict[str, Found], target: dict[str, Found], *, delete: bool, checksum: bool) -> Plan:
    """Compare two trees.

    A file is transferred if its size differs from the target's, or if it was changed after the target's.

    :param source: what is in each tree, by its path.
    :param delete: whether what is only in the target, or of another kind there, is deleted.
    :param checksum: whether the bytes of files of the same size decide, not their times.
    """
    steps = Plan()
    gone = _unlike(source, target, steps, delete=delete)
    conflicts = set(steps.conflicts)
    for path in sorted(source, key=_by_names):
        if path in conflicts or _parent(path) in conflicts:
            conflicts.add(path)
            continue
        there = None if path in gone else target.get(path)
        _compare(path, source[path], there, steps, checksum=checksum)
    return steps


def _unlike(source: dict[str, Found], target: dict[str, Found], steps: Plan, *, delete: bool) -> set[str]:
    """Note what is in the way or too much in the target.

    :return: all paths of the target that are deleted, with those below them.
    """
    gone: set[str] = set()
    for path in sorted(target, key=_by_names):
        wanted = source.get(path)
        if _parent(path) in gone:
            gone.add(path)
        elif wanted is not None and wanted.is_file == target[path].is_file:
            continue
        elif delete:
            steps.delete.append(path)
            gone.add(path)
        elif wanted is not None:
            steps.conflicts.append(path)
    return gone


def _compare(path: str, wanted: Found, there: Found | None, steps: Plan, *, checksum: bool) -> None:
    if not wanted.is_file:
        if there is None:
            steps.make.append(path)
    elif there is None or there.size != wanted.size:
        steps.transfer.append(path)
    elif checksum:
        steps.compare.append(path)
    elif wanted.modified_ms > there.modified_ms:
        steps.transfer.append(path)


def _by_names(path: str) -> list[str]:
    """Return a key that sorts each path before those below it, and these before its other neighbours."""
    return path.split("/")


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
