"""Keys in their order: a walk through a tree that skips what it need not see.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as SetOf

import attrs
import msgspec

from splitd.model.branch import Branch
from splitd.model.manifest import Outline
from splitd.model.media import Media
from splitd.model.packing import Packed
from splitd.model.paths import place_of

_LAST = "\U0010ffff"
_STEP = 250
"""Keys and common prefixes of one step."""

Listed = Packed | Outline | Branch
"""A file, in the form in which the catalog has it; or a collection."""


class Key(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One key, with what a list shows of it.

    :param key: the key in its collection, as in the path of the collection, a slash, and the key.
    :param upload: see `Manifest`, as all that follows; empty for a collection that is a key of 0 bytes and has no
        manifest.
    :param created_ms: when the collection was made, if it is one.
    :param said: of a collection, it is `NO_BYTES`.
    """

    key: str
    upload: str
    size: int
    created_ms: int
    said: str | Media


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

    keys: list[tuple[str, Listed]] = attrs.Factory(list)
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
    :param members: from there on, each with its entry name.
    """

    branch: Branch
    base: str
    least: str
    members: Iterator[tuple[str, Listed]]


class Walk:
    """The keys of a collection that do not come before a text; nothing must be changed meanwhile.

    Each collection below has a key in it.  So whatever is looked at leads to a key soon.  And a collection whose keys
    all have one common prefix need not be looked into: it comes with its own key, whether that is a key or not.

    :ivar closed: the key of the collection that came last, if it was not looked into.
    """

    def __init__(self, wanted: Wanted, root: Branch, least: str) -> None:
        self._wanted = wanted
        self._place = place_of(wanted.collection)
        self.closed = ""
        self._levels = [_Level(root, "", least, root.members_from(_first_name(least)))]
        self._skips = False

    @property
    def has_ended(self) -> bool:
        """Whether there are no more keys."""
        return not self._levels

    def __iter__(self) -> Iterator[tuple[str, Listed]]:
        """Iterate over keys, each with what it is the key of."""
        levels, hidden = self._levels, self._wanted.hidden
        while levels:
            level = levels[-1]
            base = level.base
            for name, entry in level.members:
                key = base + name
                if hidden and place_of(f"{self._place}/{key}") in hidden:
                    continue
                if isinstance(entry, Branch):
                    shown = self._enter(level, name, entry)
                    if shown is not None:
                        yield key, shown
                    break
                yield key, entry
                if self._skips:
                    break
            else:
                levels.pop()
            self.closed, self._skips = "", False

    def _enter(self, level: _Level, name: str, branch: Branch) -> Listed | None:
        """Look into a collection, unless that is not needed; return what its key is the key of, if that is to come."""
        key, least = level.base + name, level.least
        below = least[len(name) :] if least.startswith(name) else ""
        if not below and self._stays_closed(key):
            self.closed = key
            return branch
        self._levels.append(_Level(branch, key, below, branch.members_from(_first_name(below))))
        if below or branch.implied:
            return None
        return branch if branch.own is None else branch.own

    def _stays_closed(self, key: str) -> bool:
        """Return whether a collection need not be looked into."""
        wanted = self._wanted
        if not key.startswith(wanted.prefix) and not wanted.prefix.startswith(key):
            return True  # the list ends before it
        return bool(_common_prefix(wanted, key)) and not (wanted.hidden and self._hides_below(key))

    def _hides_below(self, key: str) -> bool:
        place = place_of(f"{self._place}/{key}")
        return any(each.startswith(f"{place}/") for each in self._wanted.hidden)

    def skip(self, common: str, behind: str) -> None:
        """Skip the rest of the keys that begin with a text, as the last one did.

        :param common: the text; not that of a collection that was not looked into, behind which the walk is already.
        :param behind: the first text that comes after all of them.
        """
        levels, left = self._levels, ""
        while not behind.startswith(levels[-1].base):
            left = levels.pop().base
        if left != common:  # else they were the keys of a collection, and its members are behind it
            level = levels[-1]
            level.least = behind[len(level.base) :]
            level.members = level.branch.members_from(_first_name(level.least))
        self._skips = True


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
    prefix, after, delimiter, keys = wanted.prefix, wanted.after, wanted.delimiter, page.keys
    room = wanted.limit - len(keys) - len(page.prefixes)
    walk, key, common = Walk(wanted, root, least), "", ""
    for _, found in zip(turns, walk, strict=False):
        key = found[0]
        if not key.startswith(prefix):
            return None
        common = _common_prefix(wanted, key) if delimiter else ""
        if not common or common > after:
            if not room:
                page.next = page.last
                return None
            room -= 1
            page.last = common or key
            if common:
                page.prefixes.append(common)
            else:
                keys.append(found)
        if common and common != walk.closed:
            behind = after_all(common)
            if behind is None:
                return None
            walk.skip(common, behind)
    if walk.has_ended:
        return None
    return (after_all(common) if common else key + "\0") if key else least


def _common_prefix(wanted: Wanted, key: str) -> str:
    """Return what a key has up to the first delimiter behind the prefix; empty if it has none there."""
    place = key.find(wanted.delimiter, len(wanted.prefix)) if wanted.delimiter else -1
    return key[: place + len(wanted.delimiter)] if place >= 0 else ""
