"""Keys in their order: a walk through a tree that skips what it need not see.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Set as SetOf

import attrs

from splitd.model.branch import Branch
from splitd.model.packing import Packed
from splitd.model.paths import place_of

_LAST = "\U0010ffff"
_STEP = 100
"""Keys and common prefixes of one step."""


@attrs.frozen
class Wanted:
    """What is to be listed; see `splitd.interfaces.keys.IKeys.list_keys`."""

    collection: str
    prefix: str
    after: str
    delimiter: str
    limit: int
    hidden: SetOf[str] = frozenset()


@attrs.define
class Page:
    """A page, as far as it is made; see `splitd.interfaces.keys.Listing`.

    :ivar keys: each key with its file, or with the collection that it is the key of.
    :ivar last: the last key or common prefix.
    """

    keys: list[tuple[str, Packed | Branch]] = attrs.Factory(list)
    prefixes: list[str] = attrs.Factory(list)
    last: str = ""
    next: str | None = None


def after_all(prefix: str) -> str | None:
    """Return the first text that comes after all that begin with a prefix; None if there is none.

    It may be a lone surrogate: it is to be compared with, and for nothing else.
    """
    rest = prefix.rstrip(_LAST)
    return rest[:-1] + chr(ord(rest[-1]) + 1) if rest else None


def keys_from(wanted: Wanted, root: Branch, least: str) -> Iterator[tuple[str, Packed | Branch]]:
    """Iterate over the keys of a collection that do not come before a text; nothing must be changed meanwhile.

    Each collection below has a key in it.  So whatever is looked at leads to a key soon.
    """
    place, hidden = place_of(wanted.collection), wanted.hidden
    # Each has a collection, what its keys begin with, the least of the keys in it, and its entry names from there on.
    stack = [(root, "", least, root.names_from(_first_name(least)))]
    while stack:
        branch, base, least, names = stack[-1]
        name = next(names, None)
        if name is None:
            stack.pop()
            continue
        if hidden and place_of(f"{place}/{base}{name}") in hidden:
            continue
        entry = branch.members[name]
        key = base + name
        if not isinstance(entry, Branch):
            yield key, entry
            continue
        below = least[len(name) :] if least.startswith(name) else ""
        stack.append((entry, key, below, entry.names_from(_first_name(below))))
        if not below and not entry.implied:
            yield key, entry if entry.own is None else entry.own


def _first_name(least: str) -> str:
    """Return the first entry name that may lead to a key which does not come before a text."""
    name, slash, _ = least.partition("/")
    return name + slash


def list_page(wanted: Wanted, find_root: Callable[[], Branch], page: Page) -> Iterator[None]:
    """Make a page, in steps of some keys: a generator that yields between them.

    :param find_root: returns the collection; other changes may be made between the steps.
    """
    least: str | None = max(wanted.prefix, wanted.after + "\0" if wanted.after else "")
    while least is not None:
        least = list_some(wanted, find_root(), least, page)
        if least is not None:
            yield


def list_some(wanted: Wanted, root: Branch, least: str, page: Page) -> str | None:
    """List some more keys and common prefixes; `page` gets them.

    :param least: list none before this.
    :return: where to go on; None if the page is complete.
    """
    keys = keys_from(wanted, root, least)
    for _ in range(_STEP):
        key, entry = next(keys, (None, None))
        if key is None or entry is None or not key.startswith(wanted.prefix):
            return None
        common = _common_prefix(wanted, key)
        if not common or common > wanted.after:
            if len(page.keys) + len(page.prefixes) >= wanted.limit:
                page.next = page.last
                return None
            page.last = common or key
            if common:
                page.prefixes.append(common)
            else:
                page.keys.append((key, entry))
        if common:
            behind = after_all(common)
            if behind is None:
                return None
            least, keys = behind, keys_from(wanted, root, behind)
        else:
            least = key + "\0"
    return least


def _common_prefix(wanted: Wanted, key: str) -> str:
    """Return what a key has up to the first delimiter behind the prefix; empty if it has none there."""
    place = key.find(wanted.delimiter, len(wanted.prefix)) if wanted.delimiter else -1
    return key[: place + len(wanted.delimiter)] if place >= 0 else ""
