"""The uploads of the journalled catalog."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from splitd.catalog.changes import Changes, printable
from splitd.catalog.continued import Continued
from splitd.catalog.judging import refuse_failed, refuse_locked_file
from splitd.catalog.metering import Meters
from splitd.catalog.state import State
from splitd.errors import SegmentsRefused, UploadAborted, UploadTooLarge, UploadUnknown
from splitd.interfaces.parts import IPartMoves
from splitd.interfaces.uploads import Commit, IUploadLedger, Start
from splitd.model import records
from splitd.model.manifest import Manifest
from splitd.model.media import Media
from splitd.model.packing import KEY, Packed
from splitd.model.paths import check_catalog_path, check_key_path, check_path, folder_of
from splitd.model.records import Record
from splitd.model.segments import MAX_NOTE, MAX_SEGMENTS, MAX_SIZE
from splitd.model.tree import Collection
from storaged.parts.format import PartId


@implementer(IUploadLedger)
class JournalledUploads:
    """Uploads, recorded in a journal.

    :param state: the state that the journal's records result in; only `changes` changes it.
    :param part_moves: the moves of parts, of which abandoned ones are aborted.
    :param front: the id of the front that uses it.
    :param meters: count what is stored.
    """

    def __init__(self, state: State, changes: Changes, part_moves: IPartMoves, front: str, meters: Meters) -> None:
        self._state = state
        self._meters = meters
        self._changes = changes
        self._part_moves = part_moves
        self._front = front

    def begin_all(self, starts: Sequence[Start]) -> Deferred[None]:
        """Record that parts of some uploads may lie on their nodes; see `IUploadLedger.begin_all`."""
        if not starts:
            return succeed(None)
        uploads = [start.upload for start in starts]

        def judge() -> list[Record]:
            state = self._state
            for start in starts:
                check_catalog_path(start.path)
                upload = start.upload
                if upload in state.uploads or upload in state.doomed or state.versions.find(upload) is not None:
                    raise ValueError(f"upload {upload} was begun already")
            if len(set(uploads)) < len(uploads):
                raise ValueError(f"an upload is begun twice: {uploads}")
            now_ms, front = self._changes.now_ms(), self._front
            return [
                records.UploadStarted(start.upload, start.path, tuple(start.nodes), now_ms, front) for start in starts
            ]

        return self._changes.make_all(judge, uploads, durable=False)

    def commit_all(self, commits: Sequence[Commit]) -> list[Deferred[bool]]:
        """Commit some uploads; see `IUploadLedger.commit_all`."""
        if len(commits) == 1:
            return [self._commit_one(commits[0])]
        with self._changes.together():
            return [self._commit_one(commit) for commit in commits]

    def _commit_one(self, commit: Commit) -> Deferred[bool]:
        return self._commit_segment(commit) if commit.number else self._commit(commit)

    def _commit(self, commit: Commit) -> Deferred[bool]:
        path, manifest, condition = commit.path, commit.manifest, commit.condition

        def judge() -> tuple[Record, bool]:
            self._refuse_unready(manifest)
            return self.judge(commit)

        check, claim = check_path, partial(self._meters.claim_file, path, manifest.size)
        if condition.is_key:
            check = check_key_path
        touched, make_at = manifest.upload, self._changes.make_at
        return make_at(path, judge, touched, condition=condition, durable=True, check=check, claim=claim)

    def _refuse_unready(self, manifest: Manifest) -> None:
        upload = self._state.uploads.get(manifest.upload)
        if upload is None:
            raise UploadAborted(f"upload {manifest.upload} is not under way")
        _refuse_misplaced(manifest, upload.nodes)

    def judge(self, commit: Commit) -> tuple[Record, bool]:
        """Judge whether a file may get its path now, when its turn has come.

        :return: the record, and whether nothing has the path.
        :raise SplitdError: what `IUploadLedger.commit_all` raises because of the path.
        """
        path, manifest, condition = commit.path, commit.manifest, commit.condition
        tree, is_key = self._state.tree, condition.is_key
        present: Manifest | Collection | None = tree.version(path, is_key=is_key)
        if is_key:
            present = self._state.find_key(path)
        lock_ms = self._changes.lock_ms()
        refuse_failed(self._state, condition, path, present, lock_ms)
        refuse_locked_file(self._state, condition, path, present, lock_ms)
        if commit.asked is not None:
            _refuse_layout(commit.asked, path, self._state.asked_layout(folder_of(path))[1])
        return records.FileCommitted(path, manifest, tree.implies(path)), present is None

    def _commit_segment(self, commit: Commit) -> Deferred[bool]:
        manifest, number = commit.manifest, commit.number

        def judge() -> tuple[Record, bool]:
            continued = self._state.continued.find(manifest.segment_of)
            if continued is None:
                raise UploadUnknown(f"upload {manifest.segment_of} is not under way")
            refuse_too_large(number, continued.size + manifest.size)
            self._refuse_unready(manifest)
            _refuse_note(manifest.said)
            if commit.replaces is not None:
                _refuse_replacing(continued, number, commit.replaces)
            return records.SegmentCommitted(number, manifest), number not in continued.segments

        claim = partial(self._meters.claim_segment, manifest.segment_of, number, manifest.size)
        # Segments of different numbers do not wait for each other, so that one sync serves those that come together.
        keys = f"{manifest.segment_of}/{number}", manifest.upload
        return self._changes.make(judge, *keys, durable=True, claim=claim)

    def abort(self, upload: str, reason: str) -> Deferred[None]:
        """End an upload that will not be committed; see `IUploadLedger.abort`."""

        def judge() -> tuple[Record | None, None]:
            if upload not in self._state.uploads:
                return None, None
            return records.UploadAborted(upload, printable(reason), self._changes.now_ms()), None

        return self._changes.make(judge, upload, durable=False)

    def abort_abandoned(self) -> Deferred[int]:
        """Abort the uploads and moves of fronts that are gone; see `IUploadLedger.abort_abandoned`.

        All fronts but this one are gone, because only one at a time has the journal open.
        """
        state, reason = self._state, "splitd was restarted"
        uploads = [upload for upload, under_way in state.uploads.items() if under_way.front != self._front]
        copies = [copy for copy, started in state.moves.under_way.items() if started.front != self._front]
        aborted = [self.abort(upload, reason) for upload in uploads]
        aborted += [self._part_moves.abort_move(copy, reason) for copy in copies]
        return all_of(aborted)

    def orphans(self, node: str, parts: Sequence[PartId]) -> Deferred[list[PartId]]:
        """Choose the parts that have no reason to lie on a node; see `IUploadLedger.orphans`."""
        return succeed([part for part in parts if not self._state.knows(part, node)])


def refuse_too_large(number: int, size: int) -> None:
    """Refuse a segment that no file can have.

    :param size: the bytes of the segments together.
    :raise UploadTooLarge: the number is not from 1 to `MAX_SEGMENTS`, or the size is more than `MAX_SIZE`.
    """
    if not 1 <= number <= MAX_SEGMENTS:
        raise UploadTooLarge(f"segments have numbers from 1 to {MAX_SEGMENTS}, not {number}")
    if size > MAX_SIZE:
        raise UploadTooLarge(f"the segments would have {size} bytes; a file with segments has at most {MAX_SIZE}")


def _refuse_note(said: str | Media) -> None:
    """Refuse a note that cannot be kept beside a segment.

    :raise ValueError: it is no text, or has more than `MAX_NOTE` characters.
    """
    if not isinstance(said, str) or len(said) > MAX_NOTE:
        raise ValueError(f"the note of a segment is a text of at most {MAX_NOTE} characters")


def _refuse_replacing(continued: Continued, number: int, expected: str) -> None:
    """Refuse a segment in place of another one than the expected.

    :raise SegmentsRefused: another one has the number, or none.
    """
    packed: Packed | None = continued.segments.get(number)
    found = "" if packed is None else packed[:KEY].hex()
    if found != expected:
        raise SegmentsRefused(f"upload {continued.upload}: another request has stored segment {number} meanwhile")


def _refuse_misplaced(manifest: Manifest, begun: Sequence[str]) -> None:
    """Refuse a version whose parts are not where its upload was begun, or of which too few are stored.

    :raise ValueError: it is so.
    """
    nodes = manifest.nodes
    if not nodes or nodes == begun:
        return
    if len(nodes) != len(begun) or any(node not in ("", there) for node, there in zip(nodes, begun, strict=True)):
        raise ValueError(f"upload {manifest.upload} was begun on {begun}, its manifest names {nodes}")
    if manifest.spare < 0:
        stored = len(nodes) - len(manifest.missing)
        raise ValueError(f"upload {manifest.upload}: {stored} parts are stored, {manifest.data} are needed")


def _refuse_layout(expected: str, path: str, asked: str) -> None:
    """Refuse a file that was cut as its collection does not ask for.

    :raise UploadAborted: it asks for another layout.
    """
    if asked != expected:
        raise UploadAborted(f"{path}: files there get the layout {asked or 'of the server'} by now")


def all_of(changes: Sequence[Deferred[Any]]) -> Deferred[int]:
    """Wait until all changes have ended.  Cancelling it cancels the changes that have not.

    :return: a Deferred that fires with the number of changes, or fails as the first change that failed.
    """
    if len(changes) == 1:  # as for most uploads of a large file, and for small ones that come alone
        return changes[0].addCallback(lambda _: 1)

    def ended(outcomes: list[tuple[bool, Any]]) -> int | Failure:
        failures = [outcome for _, outcome in outcomes if isinstance(outcome, Failure)]
        return failures[0] if failures else len(outcomes)

    return DeferredList(changes, consumeErrors=True).addCallback(ended)
