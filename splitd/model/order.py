"""Members of a collection in the order of their names, which differs from that of their entry names.  Pure.

In the order of entry names, which is that of keys, `a-b` comes before `a/`.  By their names, `a` comes before `a-b`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from splitd.model.branch import Branch
from splitd.model.packing import Packed

_BEFORE_SLASH = re.compile(r"[\x00-.]")
_UP_TO_SLASH = re.compile(r"[\x00-/]")


def page(branch: Branch, after: str, limit: int) -> list[tuple[str, Packed | Branch]]:
    """Return at most `limit` members after `after`, in ascending order of their names by code point.

    A collection beside a file of the same name comes after the file, and is called by its entry name.

    :param after: the name of a member, as this function gave it; or any text; or empty for the first page.
    """
    entries = islice(_entry_names(branch, after), limit)
    return [(branch.shown(entry), branch.members[entry]) for entry in entries]


def _entry_names(branch: Branch, after: str) -> Iterator[str]:
    """Iterate over the entry names of members in the order of their names."""
    behind = (after[:-1], True) if after.endswith("/") else (after, bool(after) and after not in branch.members)
    before = ""  # the entry name before, in the order of entry names
    for entry in branch.names_from(behind[0]):
        # A collection comes as soon as its name does: before the first entry between its name and its entry name.
        if _UP_TO_SLASH.search(entry) is not None:
            for name in _collections_at(entry):
                if not name < before < name + "/" and (name, True) > behind and name + "/" in branch.members:
                    yield name + "/"
        if entry[-1] != "/" and (entry, False) > behind:
            yield entry
        before = entry


def _collections_at(entry: str) -> Iterator[str]:
    """Iterate over the names that collections would have which come right before an entry, or are that entry."""
    for match in _BEFORE_SLASH.finditer(entry):
        yield entry[: match.start()]
    if entry.endswith("/"):
        yield entry[:-1]
