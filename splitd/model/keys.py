"""Keys in their order: a walk through a tree that skips what it need not see.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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


@attrs.define
class _Level:
    """A collection on the way to the next key.

    :param base: what its keys begin with.
    :param least: the least of the keys in it.
    :param names: its entry names from there on.
    """

    branch: Branch
    base: str
    least: str
    names: Iterator[str]


class Walk:
    """An iterator over the keys of a collection that do not come before a text; nothing must be changed meanwhile.

    Each collection below has a key in it.  So whatever is looked at leads to a key soon.  And a collection whose keys
    all have one common prefix need not be looked into: it comes with its own key, whether that is a key or not.
    """

    def __init__(self, wanted: Wanted, root: Branch, least: str) -> None:
        self._wanted = wanted
        self._place = place_of(wanted.collection)
        self._hidden = wanted.hidden
        self._closed = ""  # the key of the collection that came last, if it was not looked into
        self._levels = [_Level(root, "", least, root.names_from(_first_name(least)))]

    def __iter__(self) -> Walk:
        return self

    def __next__(self) -> tuple[str, Packed | Branch]:
        levels, self._closed = self._levels, ""
        while levels:
            level = levels[-1]
            name = next(level.names, None)
            if name is None:
                levels.pop()
                continue
            key = level.base + name
            if self._hidden and place_of(f"{self._place}/{key}") in self._hidden:
                continue
            entry = level.branch.members[name]
            if not isinstance(entry, Branch):
                return key, entry
            below = level.least[len(name) :] if level.least.startswith(name) else ""
            if not below and _common_prefix(self._wanted, key) and not self._hides_below(key):
                self._closed = key
                return key, entry
            levels.append(_Level(entry, key, below, entry.names_from(_first_name(below))))
            if not below and not entry.implied:
                return key, entry if entry.own is None else entry.own
        raise StopIteration

    def _hides_below(self, key: str) -> bool:
        place = place_of(f"{self._place}/{key}")
        return any(each.startswith(f"{place}/") for each in self._hidden)

    def skip(self, common: str, behind: str) -> None:
        """Skip the rest of the keys that begin with a text, as the last one did.

        :param behind: the first text that comes after all of them.
        """
        levels, left = self._levels, self._closed
        while not behind.startswith(levels[-1].base):
            left = levels.pop().base
        if left != common:  # else they were the keys of a collection, and its names are behind it
            level = levels[-1]
            level.least = behind[len(level.base) :]
            level.names = level.branch.names_from(_first_name(level.least))


def _first_name(least: str) -> str:
    """Return the first entry name that may lead to a key which does not come before a text."""
    name, slash, _ = least.partition("/")
    return name + slash


def list_page(wanted: Wanted, find_root: Callable[[], Branch], page: Page) -> Iterator[None]:
    """Make a page, in steps of some keys: a generator that yields between them.

    :param find_root: returns the collection; other changes may be made between the steps.
    """
    least: str | None = first_of(wanted)
    while least is not None:
        least = list_some(wanted, find_root(), least, page, range(_STEP))
        if least is not None:
            yield


def first_of(wanted: Wanted) -> str:
    """Return where a page begins: no key or common prefix before this belongs to it."""
    return max(wanted.prefix, wanted.after + "\0" if wanted.after else "")


def list_some(wanted: Wanted, root: Branch, least: str, page: Page, turns: Iterable[object]) -> str | None:
    """List some more keys and common prefixes; `page` gets them.

    :param least: list none before this.
    :param turns: one thing for each key and common prefix that may be looked at.
    :return: where to go on; None if the page is complete.
    """
    keys = Walk(wanted, root, least)
    for _ in turns:
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
            least = behind
            keys.skip(common, behind)
        else:
            least = key + "\0"
    return least


def _common_prefix(wanted: Wanted, key: str) -> str:
    """Return what a key has up to the first delimiter behind the prefix; empty if it has none there."""
    place = key.find(wanted.delimiter, len(wanted.prefix)) if wanted.delimiter else -1
    return key[: place + len(wanted.delimiter)] if place >= 0 else ""
