"""Collections whose members are rows, which are loaded when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Protocol

from splitd.model.branch import NO_PROPERTIES, Branch
from splitd.model.packing import Packed

FIRST_PAGE, LARGEST_PAGE = 64, 1024
"""How many members are loaded at once, at first and at most."""


class MemberRows(Protocol):
    """The rows of one transaction from which the members of collections are loaded."""

    def page_after(self, limit: int) -> int:
        """Return how many members `names_from` should load at once.

        :param limit: how many it has just loaded; 0 if these are the first.
        """

    def load(self, branch: StoredBranch, name: str) -> None:
        """Load a member of a collection; it is known afterwards, also if nothing has its name."""

    def load_some(self, branch: StoredBranch, limit: int) -> None:
        """Load the first members of a collection, at most `limit`."""

    def load_page(self, branch: StoredBranch, first: str, limit: int) -> list[str]:
        """Load members of a collection in the order of their names, and return the names.

        :param first: the name to begin with.
        :param limit: the most members to load; fewer come only at the collection's end.
        """

    def changed(self, branch: StoredBranch, name: str) -> None:
        """Take note that the transaction has put, changed or removed a member."""


class StoredMembers(MutableMapping[str, Packed | Branch]):
    """The members of a collection, as far as they were asked for; and those that the transaction has put or removed."""

    def __init__(self, names: MemberRows, branch: StoredBranch) -> None:
        self._names = names
        self._branch = branch
        self._known: dict[str, Packed | Branch | None] = {}
        self._from: str | None = None  # all members from here to there are known
        self._to = ""

    def know(self, name: str, entry: Packed | Branch | None) -> None:
        """Take note of what the rows say; what the transaction has changed counts for more."""
        self._known.setdefault(name, entry)

    def know_all(self, first: str, last: str) -> None:
        """Take note that the members between two names, both included, are known."""
        if self._from is not None and self._from <= first <= self._to + "\0":
            self._to = max(self._to, last)
        else:
            self._from, self._to = first, last

    def known(self, name: str) -> Packed | Branch | None:
        """Return a member that the transaction has loaded or put."""
        return self._known.get(name)

    def _find(self, name: str) -> Packed | Branch | None:
        if name not in self._known and not (self._from is not None and self._from <= name <= self._to):
            self._names.load(self._branch, name)
        return self._known.get(name)

    def __getitem__(self, name: str) -> Packed | Branch:
        found = self._find(name)
        if found is None:
            raise KeyError(name)
        return found

    def __setitem__(self, name: str, entry: Packed | Branch) -> None:
        self._find(name)
        self._known[name] = entry
        self._names.changed(self._branch, name)

    def __delitem__(self, name: str) -> None:
        if self._find(name) is None:
            raise KeyError(name)
        self._known[name] = None
        self._names.changed(self._branch, name)

    def __len__(self) -> int:
        """Count the members if they are none or one; two stand for any higher number."""
        removed = sum(1 for entry in self._known.values() if entry is None)
        self._names.load_some(self._branch, removed + 2)
        return min(2, sum(1 for entry in self._known.values() if entry is not None))

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of all members that have rows."""
        return (name for name in self._branch.names_from("") if self._find(name) is not None)


class StoredBranch(Branch):
    """A collection that has a row.

    :param id_: what its members have as their parent.
    :param where: the id of the collection that its row lies in, and its entry name there.
    :ivar labels: the properties of members, as far as they are loaded.
    :ivar row: what its row says of it; see `state`.
    """

    __slots__ = ("_stored", "id", "labels", "row", "where")

    def __init__(
        self, names: MemberRows, id_: int, where: tuple[int, str], created_ms: int, modified_ms: int, *, implied: bool
    ) -> None:
        super().__init__(created_ms, implied=implied)
        self.modified_ms = modified_ms
        self._stored = names
        self.id = id_
        self.where = where
        self.members: MutableMapping[str, Packed | Branch] = StoredMembers(names, self)
        self.labels: dict[str, Mapping[str, str]] = {}
        self.row = self.state()

    def state(self) -> tuple[int, bool, Packed | None]:
        """Return what the row of the collection says, to compare it with `row`."""
        return self.modified_ms, self.implied, self.own

    def add(self, name: str, entry: Packed | Branch) -> None:
        """Add or replace a member; see `Branch.add`."""
        self.members[name] = entry

    def remove(self, name: str, time_ms: int) -> Packed | Branch:
        """Remove and return a member; see `Branch.remove`."""
        removed = self.members.pop(name)
        self.labels[name] = NO_PROPERTIES
        self.modified_ms = time_ms
        return removed

    def properties_of(self, name: str) -> Mapping[str, str]:
        """Return the properties of a member; see `Branch.properties_of`."""
        return self.labels.get(name, NO_PROPERTIES) if name in self.members else NO_PROPERTIES

    def set_properties(self, name: str, properties: Mapping[str, str]) -> None:
        """Replace all properties of a member; see `Branch.set_properties`."""
        if properties or self.labels.get(name):
            self.labels[name] = properties
            self._stored.changed(self, name)

    def names_from(self, first: str) -> Iterator[str]:
        """Iterate over entry names; see `Branch.names_from`.  What the transaction has changed is not looked at."""
        limit = 0
        while True:
            limit = self._stored.page_after(limit)
            names = self._stored.load_page(self, first, limit)
            yield from names
            if len(names) < limit:
                return
            first = names[-1] + "\0"
