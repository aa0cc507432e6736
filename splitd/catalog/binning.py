"""The bin of the journalled catalog: collections of the tree that no client can name; see `splitd.model.binned`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from uuid import uuid4

import attrs
import msgspec
from twisted.internet.defer import Deferred, execute, fail
from zope.interface import implementer

from splitd.catalog.changes import Changes
from splitd.catalog.judging import refuse_locked_name, refuse_removal
from splitd.catalog.metering import Claim, Meters
from splitd.catalog.state import State
from splitd.errors import BadName, NameTaken, NotFound, SplitdError
from splitd.interfaces.bin import IBin
from splitd.model import records
from splitd.model.binned import BIN, BINNED, Binned, make_key, read_note
from splitd.model.branch import Branch
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.paths import ancestors, check_catalog_path, check_path
from splitd.model.records import Record
from splitd.model.subtrees import Weight

_UNIQUE = 12


@implementer(IBin)
class JournalledBin:
    """The bin, recorded in a journal.

    :param state: the state that the journal's records result in; only `changes` changes it.
    :param meters: count what is stored.
    :param new_id: makes texts that are never the same twice.
    """

    def __init__(
        self, state: State, changes: Changes, meters: Meters, new_id: Callable[[], str] = lambda: uuid4().hex
    ) -> None:
        self._state = state
        self._changes = changes
        self._new_id = new_id
        self._meters = meters

    def put(self, path: str, condition: Condition, user: str) -> Deferred[Binned]:
        """Delete something so that it can be restored; see `IBin.put`."""
        try:
            check_catalog_path(path)
            if path == "/":
                raise BadName("the root cannot be deleted")
        except SplitdError:
            return fail()
        key = make_key(self._changes.now_ms(), self._new_id()[:_UNIQUE])
        target, weight, claim = Binned(key, path).lies_at, Weight(), Claim(self._meters)

        def judge() -> tuple[Record, tuple[Binned, Weight]]:
            refuse_removal(self._state, condition, path, self._changes.lock_ms())
            binned = Binned(key, path, user, self._state.tree.has_collection(path))
            return records.EntryBinned(path, target, self._changes.now_ms(), {BINNED: binned.note()}), (binned, weight)

        def prepare(record: Record) -> Iterator[None]:
            assert isinstance(record, records.EntryBinned)
            weight.bytes = weight.files = 0  # a database tries a change again that others were in the way of
            yield from self._meters.weigh_entry(path, weight)
            noted = _weighed(read_note(key, record.properties[BINNED]), weight)
            record.properties[BINNED] = noted.note()  # the record is not written before this
            if self._meters:
                yield from self._meters.transfer(path, target, claim, moves=True, deep=True)

        keys = path, target, *condition.paths()
        put = self._changes.make(judge, *keys, durable=True, prepare=prepare, claim=claim.take)
        return put.addCallback(lambda result: _weighed(*result))

    def restore(self, binned: Binned, target: str) -> Deferred[None]:
        """Put something from the bin back; see `IBin.restore`."""
        source, claim = binned.lies_at, Claim(self._meters)
        try:
            check_catalog_path(binned.path)
            if target != binned.path:
                check_path(target)  # keys of S3 may have been where no URL leads
            if target == "/":
                raise NameTaken("the root is there always")
        except SplitdError:
            return fail()

        def judge() -> tuple[Record, None]:
            if self._state.tree.find(source) is None:
                raise NotFound(f"{binned.path}: it is not in the bin any more")
            self._refuse_target(target)
            return records.EntryRestored(source, target, self._changes.now_ms()), None

        def prepare(_: Record) -> Iterator[None]:
            yield from self._state.tree.refuse_too_long(source, target)
            if self._meters:
                yield from self._meters.transfer(source, target, claim, moves=True, deep=True)

        return self._changes.make(judge, source, target, durable=True, prepare=prepare, claim=claim.take)

    def purge(self, binned: Binned) -> Deferred[bool]:
        """Delete something in the bin for good; see `IBin.purge`."""
        source, claim = binned.lies_at, Claim(self._meters)

        def judge() -> tuple[Record | None, bool]:
            if self._state.tree.find(source) is None:
                return None, False
            return records.EntryDeleted(source, self._changes.now_ms()), True

        def prepare(_: Record) -> Iterator[None] | None:
            return self._meters.deletion(source, claim) if self._meters else None

        return self._changes.make(judge, source, durable=True, prepare=prepare, claim=claim.take)

    def _refuse_target(self, target: str) -> None:
        """Refuse to put something at a path; the collections that it lies in may be missing."""
        tree, lock_ms = self._state.tree, self._changes.lock_ms()
        if tree.has(target):
            raise NameTaken(f"{target} is there already")
        for place in ancestors(target):
            if place != "/" and tree.has_file(place) and not tree.has_collection(place + "/"):
                raise NameTaken(f"{place} is a file, and {target} would lie in it")
        if self._state.locks:
            refuse_locked_name(self._state, ALWAYS, target, lock_ms)
            missing = tree.first_missing(target)
            if missing is not None:
                refuse_locked_name(self._state, ALWAYS, missing, lock_ms)

    def find(self, key: str) -> Deferred[Binned | None]:
        """Look up something in the bin; see `IBin.find`."""
        return execute(self._find, key)

    def _find(self, key: str) -> Binned | None:
        path = f"{BIN}/{key}"
        found = key and "/" not in key and self._state.tree.find(path + "/") is not None
        return self._read(key, self._state.tree.properties(path).get(BINNED)) if found else None

    def page(self, after: str, limit: int) -> Deferred[list[Binned]]:
        """List a page of what is in the bin; see `IBin.page`."""
        return execute(self._page, after, limit)

    def _page(self, after: str, limit: int) -> list[Binned]:
        branch = self._state.tree.find(BIN + "/")
        if not isinstance(branch, Branch):
            return []
        # "0" comes right after the slash of an entry name, and before what follows the time in a key.
        names = branch.names_from(f"{after}0" if after else "")
        found = (self._read(name[:-1], branch.properties_of(name).get(BINNED)) for name in names)
        return list(islice((binned for binned in found if binned is not None), limit))

    @staticmethod
    def _read(key: str, note: str | None) -> Binned | None:
        try:
            return None if note is None else read_note(key, note)
        except (msgspec.DecodeError, ValueError):
            return None


def _weighed(binned: Binned, weight: Weight) -> Binned:
    return attrs.evolve(binned, bytes=weight.bytes, files=weight.files)
