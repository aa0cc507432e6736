"""Collections that are there only because something is in them: *implied* ones.  Pure.

Keys make them: `a/b` is a key whether `a/` is one or not.  Collections right below the root are never implied.
"""

from __future__ import annotations

from splitd.errors import ParentMissing
from splitd.model.branch import Branch
from splitd.model.finding import folders_of


def make_folders(root: Branch, path: str, time_ms: int) -> int:
    """Make the missing collections that a path lies in.

    :return: how many were made.
    :raise ParentMissing: the path lies in a collection right below the root that does not exist.
    """
    folders, _ = folders_of(path) or ((), "")
    made = 0
    branch = root
    for depth, name in enumerate(folders):
        entry = branch.members.get(name + "/")
        if not isinstance(entry, Branch):
            if depth == 0:
                raise ParentMissing(f"there is no collection /{name}")
            entry = Branch(time_ms, implied=True)
            branch.put(name + "/", entry, time_ms)
            made += 1
        branch = entry
    return made


def first_missing(root: Branch, path: str) -> str | None:
    """Return the path of the first collection that a path lies in and that does not exist; None if all exist."""
    folders, _ = folders_of(path) or ((), "")
    branch, so_far = root, "/"
    for name in folders:
        so_far += name + "/"
        entry = branch.members.get(name + "/")
        if not isinstance(entry, Branch):
            return so_far
        branch = entry
    return None


def is_in_implied(root: Branch, path: str) -> bool:
    """Whether one of the collections that a path lies in is implied, or does not exist."""
    folders, _ = folders_of(path) or ((), "")
    branch = root
    for name in folders:
        entry = branch.members.get(name + "/")
        if not isinstance(entry, Branch) or entry.implied:
            return True
        branch = entry
    return False


def first_pruned(root: Branch, path: str) -> str | None:
    """Return the outermost of the collections that `prune` would remove after the removal of a path; None for none.

    :param path: that of the only entry that is to be removed.
    """
    folders, _ = folders_of(path.removesuffix("/")) or ((), "")
    branch, so_far, first = root, "/", None
    for name in folders:
        entry = branch.members.get(name + "/")
        if not isinstance(entry, Branch):
            return None
        so_far += name + "/"
        goes = entry.implied and len(entry.members) == 1
        first = (first or so_far) if goes else None
        branch = entry
    return first


def prune(root: Branch, path: str, time_ms: int) -> list[str]:
    """Remove the implied collections that have become empty: the one at a path, and those that the path lies in.

    :param path: that of a member that was removed, or of a collection.
    :return: the paths of the collections that were removed, the innermost first.
    """
    folders, _ = folders_of(path) or ((), "")
    chain: list[tuple[Branch, str, str]] = []
    branch, so_far = root, "/"
    for name in folders:
        entry = branch.members.get(name + "/")
        if not isinstance(entry, Branch):
            break
        so_far += name + "/"
        chain.append((branch, name + "/", so_far))
        branch = entry
    removed = []
    for above, name, where in reversed(chain):
        entry = above.members[name]
        if not isinstance(entry, Branch) or not entry.implied or entry.members:
            break
        above.remove(name, time_ms)
        removed.append(where)
    return removed
