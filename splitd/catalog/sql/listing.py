"""The rows of a page of keys: the members of collections, as far as a walk comes, with what a list shows of them.

Nothing but pages of keys is made of them: see `StoredBranch` for what changes and looks load.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from splitd.catalog.sql.rows import array, name_of, outline_of
from splitd.model.branch import Branch
from splitd.model.manifest import Outline

_FEWEST, _FIRST = 8, 64
"""How many members of a collection are loaded at least: among those of others, and alone."""
_MOST_AT_ONCE = 128
"""Of how many collections members are loaded by one statement."""

_LOAD = """SELECT e.parent, e.name, e.id, e.created_ms, e.implied, e.upload, e.size, e.manifest,
        v.created_ms, v.said
    FROM unnest(%s::bigint[], %s::bytea[]) AS wanted(id, first) CROSS JOIN LATERAL (
        SELECT * FROM entry WHERE parent = wanted.id AND name >= wanted.first ORDER BY name LIMIT %s
    ) AS e LEFT JOIN version v ON v.upload = e.upload"""

_Member = tuple[str, "Outline | ListedBranch"]


class ListedBranch(Branch):
    """A collection that a walk may come to.

    :param id_: what its members have as their parent.
    :ivar own: what a list shows of the file that the collection itself is; None if it is none.
    :ivar first: all members from here to the last one of `loaded` are loaded; None if none was asked for.
    :ivar loaded: members with their entry names, in order.
    :ivar is_whole: whether there are none behind these.
    """

    __slots__ = ("_rows", "first", "id", "is_whole", "loaded")

    own: Any

    def __init__(self, rows: ListedRows, id_: int, created_ms: int, own: Outline | None, *, implied: bool) -> None:
        super().__init__(created_ms, implied=implied)
        self._rows = rows
        self.id = id_
        self.own = own
        self.first: str | None = None
        self.loaded: list[_Member] = []
        self.is_whole = False

    def members_from(self, first: str) -> Iterator[tuple[str, Any]]:
        """Iterate over members; see `Branch.members_from`."""
        if not self._has(first):
            self._rows.load(self, first)
        start = bisect_left(self.loaded, (first,))
        while True:
            yield from islice(self.loaded, start, None)
            if self.is_whole:
                return
            start = len(self.loaded)
            self._rows.load_more(self)

    def _has(self, first: str) -> bool:
        if self.first is None or first < self.first:
            return False
        return self.is_whole or (bool(self.loaded) and first <= self.loaded[-1][0])


class ListedRows:
    """Loads the members of collections for a walk, which comes to them in the order of keys.

    Most collections have few members.  So when a walk comes to one, the members of those that it will come to next are
    loaded by the same statement: of four times as many collections each time, unless fewer seem to have the rest of the
    keys.

    :param cursor: of the transaction.
    :param keys: how many keys the walk needs at most.
    :ivar statements: how many statements it took.
    """

    def __init__(self, cursor: Any, keys: int) -> None:
        self._cursor = cursor
        self._left = keys
        self._files = self._opened = 0
        self._at_once = 1
        self._next: deque[ListedBranch] = deque()  # of which nothing is loaded, in the order of the walk
        self.statements = 0

    def load(self, branch: ListedBranch, first: str) -> None:
        """Load members of a collection.

        :param first: the entry name to begin with.  If it is that of a collection, only that one may be wanted.
        """
        branches = [branch]
        if branch.first is None:
            while self._next and self._next.popleft() is not branch:
                pass  # the walk has skipped it
            wanted = min(self._at_once, 1 + self._left * self._opened // max(self._files, 1))
            while self._next and len(branches) < wanted:
                branches.append(self._next.popleft())
            self._opened += len(branches)
            if self._files:  # else the walk may still be on its way to the only collection that is wanted
                self._at_once = min(4 * self._at_once, _MOST_AT_ONCE)
        for each in branches:
            each.first, each.loaded = "", []
        branch.first = first
        self._load(branches, first, _FEWEST if first.endswith("/") else max(self._left, _FIRST))

    def load_more(self, branch: ListedBranch) -> None:
        """Load more members of a collection of which some are loaded."""
        self._load([branch], branch.loaded[-1][0] + "\0", max(self._left, _FIRST))

    def _load(self, branches: Sequence[ListedBranch], first: str, limit: int) -> None:
        # A text to compare with may be a lone surrogate; see `splitd.model.keys.after_all`.
        firsts = [first.encode(errors="surrogatepass"), *[b""] * (len(branches) - 1)]
        limit = max(limit // len(branches), _FEWEST)
        ids = array([each.id for each in branches])
        found = self._cursor.execute(_LOAD, (ids, array(firsts), limit)).fetchall()
        self.statements += 1
        members: dict[int, list[_Member]] = {each.id: [] for each in branches}
        for parent, name, *row in found:
            members[parent].append((name_of(name), self._entry(*row)))
        inner: list[ListedBranch] = []
        for each in branches:
            some = members[each.id]
            some.sort(key=_name)
            each.loaded += some
            each.is_whole = len(some) < limit
            inner += [entry for _, entry in some if isinstance(entry, ListedBranch)]
        self._files += len(found) - len(inner)
        self._left -= len(found) - len(inner)
        self._next.extendleft(reversed(inner))

    def _entry(self, id_: int | None, made_ms: int, implied: bool, *file: Any) -> Outline | ListedBranch:
        outline = None if file[0] is None else outline_of(*file)
        if id_ is None:
            assert outline is not None
            return outline
        return ListedBranch(self, id_, made_ms, outline, implied=implied)


def _name(member: _Member) -> str:
    return member[0]
