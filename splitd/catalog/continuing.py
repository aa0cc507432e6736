"""The uploads of the journalled catalog that can be continued."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from twisted.internet.defer import Deferred, execute, succeed
from zope.interface import implementer

from splitd.catalog.changes import Changes, printable
from splitd.catalog.continued import Continued
from splitd.catalog.ledger import JournalledUploads, refuse_too_large
from splitd.catalog.metering import Meters
from splitd.catalog.state import State
from splitd.errors import TOO_LARGE, FileTooLarge, SegmentsRefused, UploadUnknown
from splitd.interfaces.continued import Completion, ContinuedUpload, IContinuedLedger, Segment
from splitd.interfaces.uploads import Commit
from splitd.model import records
from splitd.model.manifest import Manifest
from splitd.model.media import Media
from splitd.model.packing import KEY, Packed, size_of
from splitd.model.paths import check_catalog_path, check_key_path, check_path
from splitd.model.records import Record
from splitd.model.segments import SegmentRef, pack_segments


@implementer(IContinuedLedger)
class JournalledContinuedUploads:
    """Uploads that can be continued, recorded in a journal.

    :param state: the state that the journal's records result in; only `changes` changes it.
    :param uploads: judges the commit of a file.
    :param meters: count what is stored below the paths of quotas.
    """

    def __init__(self, state: State, changes: Changes, uploads: JournalledUploads, meters: Meters) -> None:
        self._state = state
        self._changes = changes
        self._uploads = uploads
        self._meters = meters

    def begin(self, upload: str, path: str, said: str | Media) -> Deferred[None]:
        """Record that an upload was begun; see `IContinuedLedger.begin`."""

        def judge() -> tuple[Record, None]:
            check_catalog_path(path)
            if upload in self._state.continued or self._state.versions.find(upload) is not None:
                raise ValueError(f"upload {upload} was begun already")
            self._meters.refuse_upload(path)
            return records.ContinuedUploadBegun(upload, path, self._changes.now_ms(), said), None

        return self._changes.make(judge, upload, durable=True)

    def find(self, upload: str) -> Deferred[ContinuedUpload | None]:
        """Look up an upload; see `IContinuedLedger.find`."""
        found = self._state.continued.find(upload)
        return succeed(None if found is None else self._show(found))

    def _show(self, continued: Continued) -> ContinuedUpload:
        said = continued.said
        segments, last = self._numbers_of(continued)
        return ContinuedUpload(
            continued.upload,
            continued.path,
            Media(said) if isinstance(said, str) else said,
            continued.began_ms,
            continued.touched_ms,
            segments,
            last,
            continued.size,
            self._state.asked_layout(continued.path)[1],
        )

    def _numbers_of(self, continued: Continued) -> tuple[int, int]:
        """Return how many segments an upload has, and the highest number of one; 0 if it has none."""
        segments = continued.segments
        return len(segments), segments.peekitem()[0] if segments else 0

    def list_segments(self, upload: str, after: int, limit: int) -> Deferred[list[Segment]]:
        """List segments of an upload; see `IContinuedLedger.list_segments`."""
        return execute(self._list_segments, upload, after, limit)

    def _list_segments(self, upload: str, after: int, limit: int) -> list[Segment]:
        segments, unpack = self._find(upload).segments, self._state.packing.unpack
        numbers = list(segments.irange(after, inclusive=(False, True)))[:limit]
        return [Segment.of(number, unpack(segments[number])) for number in numbers]

    def _find(self, upload: str) -> Continued:
        found = self._state.continued.find(upload)
        if found is None:
            raise UploadUnknown(f"upload {upload} is not under way")
        return found

    def list_uploads(self, prefix: str, after: tuple[str, str], limit: int) -> Deferred[list[ContinuedUpload]]:
        """List uploads; see `IContinuedLedger.list_uploads`."""
        return succeed([self._show(each) for each in self._state.continued.page(prefix, after, limit)])

    def complete(self, completion: Completion) -> Deferred[tuple[Manifest, bool]]:
        """Make a file of segments; see `IContinuedLedger.complete`."""
        path, upload = completion.path, completion.made.upload
        size = 0

        def judge() -> tuple[Record | None, tuple[Manifest, bool]]:
            nonlocal size
            continued = self._state.continued.find(upload)
            if continued is None:
                return None, (self._completed(completion), False)
            refs = _choose(continued, completion.chosen)
            size = sum(ref.size for ref in refs)
            refuse_too_large(1, size)
            manifest = msgspec.structs.replace(
                completion.made,
                size=size,
                said=continued.said if completion.said is None else completion.said,
                packed_segments=pack_segments(refs),
            )
            if completion.largest is not None and size > completion.largest:
                raise FileTooLarge(TOO_LARGE.format(completion.largest))
            record, created = self._uploads.judge(Commit(path, manifest, completion.condition))
            return record, (manifest, created)

        condition = completion.condition
        check = check_key_path if condition.is_key else check_path
        return self._changes.make_at(
            path,
            judge,
            upload,
            condition=condition,
            durable=True,
            check=check,
            claim=lambda: self._meters.claim_completion(path, upload, size),
        )

    def _completed(self, completion: Completion) -> Manifest:
        """Return the file of an upload that was completed in the same way before.

        :raise UploadUnknown: it was not, or the file is not at its path any more.
        """
        upload = completion.made.upload
        find = self._state.find_key if completion.condition.is_key else self._state.find
        found = find(completion.path)
        if not isinstance(found, Manifest) or found.upload != upload:
            raise UploadUnknown(f"upload {upload} is not under way")
        if [(ref.number, ref.upload) for ref in found.segments] == list(completion.chosen):
            return found
        raise UploadUnknown(f"upload {upload} is not under way")

    def abort(self, upload: str, reason: str) -> Deferred[bool]:
        """End an upload without a file; see `IContinuedLedger.abort`."""

        def judge() -> tuple[Record | None, bool]:
            if upload not in self._state.continued:
                return None, False
            return records.ContinuedUploadAborted(upload, printable(reason), self._changes.now_ms()), True

        return self._changes.make(judge, upload, durable=True)


def _choose(continued: Continued, chosen: Sequence[tuple[int, str]]) -> list[SegmentRef]:
    """Return the chosen segments of an upload.

    :raise SegmentsRefused: one is not a segment of the upload, or the order of their numbers is not ascending.
    """
    refs = []
    before = 0
    for number, upload in chosen:
        packed: Packed | None = continued.segments.get(number)
        if number <= before:
            raise SegmentsRefused(f"upload {continued.upload}: segment {number} comes after segment {before}")
        if packed is None or packed[:KEY].hex() != upload:
            raise SegmentsRefused(f"upload {continued.upload} has no segment {number} with the id {upload[:40]}")
        refs.append(SegmentRef(upload, size_of(packed), number))
        before = number
    return refs
