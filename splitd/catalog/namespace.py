"""Moves, copies and properties in the journalled catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from twisted.internet.defer import Deferred, execute, fail
from zope.interface import implementer

from splitd.catalog.changes import Changes, Judge, Prepare
from splitd.catalog.judging import refuse_failed, refuse_locked_content, refuse_locked_name, refuse_locked_removal
from splitd.catalog.metering import Claim, Meters
from splitd.catalog.state import State
from splitd.errors import BadName, Entangled, NotFound, PreconditionFailed, QuotaExceeded, SplitdError
from splitd.interfaces.names import AskedLayout, Details, INamespace
from splitd.model import properties, records
from splitd.model.conditions import Condition
from splitd.model.path_faults import catalog_fault_of, is_own
from splitd.model.paths import check_catalog_path, check_path
from splitd.model.records import Record
from splitd.model.tree import Collection


@implementer(INamespace)
class JournalledNamespace:
    """Moves, copies and properties, recorded in a journal.

    :param state: the state that the journal's records result in; only `changes` changes it.
    :param meters: count what is stored.
    """

    def __init__(self, state: State, changes: Changes, meters: Meters) -> None:
        self._state = state
        self._changes = changes
        self._meters = meters

    def move(self, source: str, target: str, condition: Condition, *, overwrite: bool) -> Deferred[bool]:
        """Move a file or collection; see `INamespace.move`."""

        def judge() -> tuple[Record, bool]:
            lock_ms = self._changes.lock_ms()
            self._state.tree.refuse_move(source, target)
            refuse_failed(self._state, condition, source, self._state.tree.lookup(source), lock_ms)
            refuse_locked_removal(self._state, condition, source, lock_ms)
            is_new = self._judge_target(target, condition, overwrite, lock_ms)
            implies = self._state.tree.is_in_implied(target)
            return records.EntryMoved(source, target, self._changes.now_ms(), implies), is_new

        claim = Claim(self._meters)

        def prepare(_: Record) -> Iterator[None]:
            yield from self._state.tree.refuse_too_long(source, target)
            if self._meters:
                yield from self._meters.transfer(source, target, claim, moves=True, deep=True)

        return self._change(judge, prepare, claim.take, source, target, condition)

    def copy(self, source: str, target: str, condition: Condition, *, deep: bool, overwrite: bool) -> Deferred[bool]:
        """Copy a file or a collection; see `INamespace.copy`."""

        def judge() -> tuple[Record, bool]:
            lock_ms = self._changes.lock_ms()
            self._state.tree.refuse_copy(source, target, deep=deep)
            refuse_failed(self._state, condition, source, self._state.tree.lookup(source), lock_ms)
            is_new = self._judge_target(target, condition, overwrite, lock_ms)
            depth: Literal["0", "infinity"] = "infinity" if deep else "0"
            implies = self._state.tree.is_in_implied(target)
            return records.EntryCopied(source, target, depth, self._changes.now_ms(), implies), is_new

        claim = Claim(self._meters)

        def prepare(record: Record) -> Iterator[None]:
            assert isinstance(record, records.EntryCopied)
            if deep:
                yield from self._state.tree.refuse_too_long(source, target)
                yield from self._state.tree.refuse_too_many(source)
            if self._meters:
                yield from self._meters.transfer(source, target, claim, moves=False, deep=deep)
                claim.check()  # before so many names are made in vain
            yield from self._state.copy(source, target, record.time_ms, deep=deep)

        def take() -> Callable[[], object]:
            try:
                return claim.take()
            except QuotaExceeded:  # what was free when it was weighed has been used since
                self._state.drop_copy(target)
                raise

        return self._change(judge, prepare, take, source, target, condition)

    def _change(
        self,
        judge: Judge[bool],
        prepare: Prepare,
        claim: Callable[[], Callable[[], object]],
        source: str,
        target: str,
        condition: Condition,
    ) -> Deferred[bool]:
        try:
            check_catalog_path(source)
            check_path(target)
            if "/" in (source, target):
                raise Entangled("all lies inside the root: it cannot be moved, copied or replaced")
        except SplitdError:
            return fail()
        keys = source, target, *condition.paths()
        return self._changes.make(judge, *keys, durable=True, prepare=prepare, claim=claim)

    def _judge_target(self, target: str, condition: Condition, overwrite: bool, lock_ms: int) -> bool:
        is_new = self._state.tree.lookup(target) is None
        if not (is_new or overwrite):
            raise PreconditionFailed(f"{target} is there already, and is not to be overwritten")
        refuse_locked_name(self._state, condition, target, lock_ms)
        return is_new

    def change_properties(self, path: str, changes: properties.PropertyChanges, condition: Condition) -> Deferred[None]:
        """Change the properties of a file or collection; see `INamespace.change_properties`."""

        def judge() -> tuple[Record, None]:
            lock_ms = self._changes.lock_ms()
            present = self._state.tree.lookup(path)
            if present is None:
                raise NotFound(f"there is no {path}")
            refuse_failed(self._state, condition, path, present, lock_ms)
            refuse_locked_content(self._state, condition, path, lock_ms)
            properties.refuse_too_large(self._state.tree.properties(path), changes)
            # An implied collection would go with its last member, and take the properties along.
            keeps = isinstance(present, Collection) and present.implied
            return records.PropertiesChanged(path, dict(changes.set), tuple(changes.removed), keeps), None

        if is_own(path):
            return fail(BadName(f"{path[:200]!r}: {catalog_fault_of(path)}"))
        return self._changes.make(judge, path, *condition.paths(), durable=True)

    def details(self, paths: Sequence[str]) -> Deferred[list[Details]]:
        """Look up the properties and locks of some files and collections; see `INamespace.details`."""
        return execute(self._details, paths)

    def _details(self, paths: Sequence[str]) -> list[Details]:
        tree, locks, lock_ms = self._state.tree, self._state.locks, self._changes.lock_ms()
        return [Details(tree.properties(path), locks.covering(path, lock_ms)) for path in paths]

    def asked_layout(self, path: str) -> Deferred[AskedLayout]:
        """Look up the layout that a collection asks for; see `INamespace.asked_layout`."""
        return execute(self._asked_layout, path)

    def _asked_layout(self, path: str) -> AskedLayout:
        self._state.tree.collection(path)  # it refuses all else
        source, layout = self._state.asked_layout(path)
        return AskedLayout(layout, source)
