"""The keys of the journalled catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as SetOf
from functools import partial
from typing import TypeVar

import attrs
import msgspec
from twisted.internet.defer import Deferred, execute, fail
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from splitd.catalog.changes import Changes, Claim
from splitd.catalog.judging import (
    refuse_failed,
    refuse_locked_content,
    refuse_locked_file,
    refuse_locked_removal,
)
from splitd.catalog.metering import Meters
from splitd.catalog.slices import Slices
from splitd.catalog.state import State
from splitd.errors import BadName, NotACollection, NotEmpty, NotFound
from splitd.interfaces.keys import MOST_LISTED, IKeys, KeyCopy, Listing
from splitd.model import records
from splitd.model.branch import Branch
from splitd.model.conditions import Condition
from splitd.model.keys import Key, Page, Wanted, list_page
from splitd.model.manifest import Manifest
from splitd.model.media import NO_BYTES
from splitd.model.paths import check_key_path
from splitd.model.records import Record
from splitd.model.tree import Collection

_Result = TypeVar("_Result")


@implementer(IKeys)
class JournalledKeys:
    """Keys, recorded in a journal.

    :param state: the state that the journal's records result in; only `changes` changes it.
    :param clock: calls later.
    :param new_id: makes the id of an upload of no bytes.
    :param meters: count what is stored.
    """

    def __init__(
        self, state: State, changes: Changes, clock: IReactorTime, new_id: Callable[[], str], meters: Meters
    ) -> None:
        self._state = state
        self._meters = meters
        self._changes = changes
        self._new_id = new_id
        self._slices = Slices(clock, 1)

    def stop(self) -> None:
        """Cancel the pages that are being made.  May be called more than once."""
        self._slices.stop()

    def list_keys(
        self, collection: str, prefix: str, after: str, delimiter: str, limit: int, hidden: SetOf[str] = frozenset()
    ) -> Deferred[Listing]:
        """List a page of keys; see `IKeys.list_keys`."""
        wanted, page, keys = Wanted(collection, prefix, after, delimiter, limit, hidden), Page(), list[Key]()
        if not 0 <= limit <= MOST_LISTED:
            raise ValueError(f"a page of {limit} keys, up to {MOST_LISTED} can be listed")

        def steps() -> Iterator[None]:
            self._branch(collection)  # it refuses all else, even if nothing is to be listed
            if limit:
                for _ in list_page(wanted, lambda: self._branch(collection), page):
                    self._show(page, keys)
                    yield
                self._show(page, keys)

        return self._slices.do(steps()).addCallback(lambda _: Listing(keys, page.prefixes, page.next))

    def _branch(self, path: str) -> Branch:
        found = self._state.tree.find(path)
        if found is None:
            raise NotFound(f"there is no {path}")
        if not isinstance(found, Branch):
            raise NotACollection(f"{path} is a file")
        return found

    def _show(self, page: Page, keys: list[Key]) -> None:
        """Move keys of a page to a list."""
        outline = self._state.packing.outline
        for key, entry in page.keys[len(keys) :]:
            if isinstance(entry, Branch):
                keys.append(Key(key, "", 0, entry.created_ms, NO_BYTES))
            else:
                upload, size, created_ms, said = outline(entry) if isinstance(entry, bytes) else entry
                keys.append(Key(key, upload, size, created_ms, said))

    def find_key(self, path: str) -> Deferred[Manifest | Collection | None]:
        """Look up a key; see `IKeys.find_key`."""
        return execute(self._find_key, path)

    def _find_key(self, path: str) -> Manifest | Collection | None:
        check_key_path(path)
        return self._state.find_key(path)

    def delete_key(self, path: str, condition: Condition) -> Deferred[bool]:
        """Delete one key; see `IKeys.delete_key`."""

        def judge() -> tuple[Record | None, bool]:
            state, lock_ms = self._state, self._changes.lock_ms()
            present = state.find_key(path)
            refuse_failed(state, condition, path, present, lock_ms)
            if present is None:
                return None, False
            if not path.endswith("/"):
                refuse_locked_removal(state, condition, path, lock_ms)
                return records.EntryDeleted(path, self._changes.now_ms()), True
            if self._branch(path).members:
                refuse_locked_content(state, condition, path, lock_ms)
            else:
                refuse_locked_removal(state, condition, path, lock_ms)
            return records.KeyDeleted(path, self._changes.now_ms()), True

        return self._make(judge, [path], partial(self._meters.claim_removal, path), condition)

    def copy_key(self, copy: KeyCopy) -> Deferred[tuple[Manifest, bool]]:
        """Copy one key; see `IKeys.copy_key`."""
        copied: list[int] = []

        def judge() -> tuple[Record, tuple[Manifest, bool]]:
            state, lock_ms = self._state, self._changes.lock_ms()
            found = state.find_key(copy.source)
            if found is None:
                raise NotFound(f"there is no {copy.source}")
            refuse_failed(state, copy.source_condition, copy.source, found, lock_ms)
            present = state.find_key(copy.target)
            refuse_failed(state, copy.condition, copy.target, present, lock_ms)
            refuse_locked_file(state, attrs.evolve(copy.condition, is_key=True), copy.target, present, lock_ms)
            state.tree.version(copy.target, is_key=True)  # it refuses a bucket that is not there
            record, manifest = self._copied(copy, found)
            copied.append(manifest.size)
            return record, (manifest, present is None)

        def claim() -> Callable[[], object]:
            return self._meters.claim_file(copy.target, copied[-1])

        return self._make(judge, [copy.source, copy.target], claim, copy.source_condition, copy.condition)

    def _copied(self, copy: KeyCopy, found: Manifest | Collection) -> tuple[Record, Manifest]:
        """Return the record of a copy, and the manifest of the copy."""
        time_ms = found.created_ms if copy.relabels else self._changes.now_ms()
        if isinstance(found, Manifest):
            said = copy.labels.over(found.media).compact()
            record = records.KeyCopied(copy.source, copy.target, time_ms, None if said == found.said else said)
            return record, msgspec.structs.replace(found, created_ms=time_ms, said=said)
        nothing = Manifest(self._new_id(), 0, time_ms, 1, 0, 1, (), copy.labels.over(NO_BYTES).compact())
        return records.FileCommitted(copy.target, nothing, self._state.tree.implies(copy.target)), nothing

    def delete_empty(self, path: str, condition: Condition) -> Deferred[None]:
        """Delete a collection that has nothing in it; see `IKeys.delete_empty`."""

        def judge() -> tuple[Record, None]:
            if path == "/":
                raise BadName("the root cannot be deleted")
            state, lock_ms = self._state, self._changes.lock_ms()
            branch = self._branch(path)
            refuse_failed(state, condition, path, state.find(path), lock_ms)
            if branch.members:
                raise NotEmpty(f"{path} is not empty")
            refuse_locked_removal(state, condition, path, lock_ms)
            return records.EntryDeleted(path, self._changes.now_ms()), None

        claim = partial(self._meters.claim_removal, path)
        return self._changes.make_at(path, judge, condition=condition, durable=True, claim=claim)

    def _make(
        self,
        judge: Callable[[], tuple[Record | None, _Result]],
        paths: Sequence[str],
        claim: Claim,
        *conditions: Condition,
    ) -> Deferred[_Result]:
        try:
            for path in paths:
                check_key_path(path)
        except BadName:
            return fail()
        about = [path for condition in conditions for path in condition.paths()]
        return self._changes.make(judge, *paths, *about, durable=True, claim=claim)
