"""Uploads that can be continued: a file is made of segments, which are versions without names."""

from __future__ import annotations

import msgspec
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from splitd.errors import (
    BadName,
    ParentMissing,
    PreconditionFailed,
    SegmentsRefused,
    UploadAborted,
    UploadTooLarge,
    UploadUnknown,
)
from splitd.interfaces.continued import Completion, ContinuedUpload, Segment
from splitd.interfaces.uploads import Commit
from splitd.model.conditions import ALWAYS
from splitd.model.holdings import PartCopy
from splitd.model.manifest import Manifest
from splitd.model.media import Media
from splitd.model.segments import MAX_NOTE, MAX_SEGMENTS, MAX_SIZE, SegmentRef
from storaged.parts.format import PartId
from tests.catalogs import NEW, NODES, A, B, C, doomed
from tests.contract.catalogs.front import Front
from tests.ledger import begin
from tests.segments import commit_segment, complete, put_segment, segment

U, V, W, D, E = "0" * 32, "1" * 32, "2" * 32, "d" * 32, "e" * 32
_TYPED = Media(type="text/plain", language="de")


async def begun(front: Front, upload: str = U, path: str = "/f", *segments: str) -> Front:
    """Begin an upload with segments of these ids, which are numbered from 1."""
    await front.continued.begin(upload, path, "")
    for number, each in enumerate(segments, 1):
        assert await put_segment(front.ledger, upload, number, each)
    return front


@pytest_twisted.ensureDeferred
async def test_a_file_is_made_of_its_segments(front: Front) -> None:
    await front.continued.begin(U, "/f", _TYPED)
    assert await put_segment(front.ledger, U, 7, B, size=0)
    assert await put_segment(front.ledger, U, 2, A, size=9)
    assert await put_segment(front.ledger, U, 9, C, size=1)
    assert await front.names() == ["/"]
    assert (await front.statistics()).continued_bytes == 10
    manifest, created = await complete(front.continued, U, "/f", [(2, A), (7, B), (9, C)])
    assert created
    for each in (front, await front.reopen()):
        found = await each.catalog.lookup("/f")
        assert found == manifest
        assert isinstance(found, Manifest)
        assert (found.upload, found.size, found.nodes, found.media) == (U, 10, (), _TYPED)
        assert list(found.segments) == [SegmentRef(A, 9, 2), SegmentRef(B, 0, 7), SegmentRef(C, 1, 9)]
        versions = await each.versions.find_all([A, B, C])
        assert versions == [segment(A, U, size=9), segment(B, U, size=0), segment(C, U, size=1)]
        numbers = await each.statistics()
        assert (numbers.files, numbers.bytes_stored, numbers.continued, numbers.continued_bytes) == (1, 10, 0, 0)
        assert await each.heal_ledger.parts_on() == dict.fromkeys(NODES, 2)
        assert await each.doomed() == doomed(B)  # an empty segment needs no parts
        assert await each.ledger.orphans("a", [PartId(A, 0), PartId(C, 0), PartId(D, 0)]) == [PartId(D, 0)]


@pytest_twisted.ensureDeferred
async def test_a_segment_replaces_the_expected_one_only(front: Front) -> None:
    await begun(front, U, "/f", A)
    for expected in ("", C):
        with pytest.raises(SegmentsRefused, match="another request has stored segment 1"):
            await put_segment(front.ledger, U, 1, B, replaces=expected)
        await front.ledger.abort(B, "refused")
        assert [each.upload for each in await front.continued.list_segments(U, 0, 9)] == [A]
        await front.confirm(doomed(B))
    with pytest.raises(SegmentsRefused):
        await put_segment(front.ledger, U, 2, B, replaces=A)
    await front.ledger.abort(B, "refused")
    await front.confirm(doomed(B))
    assert await put_segment(front.ledger, U, 2, D, replaces="")
    assert not await put_segment(front.ledger, U, 1, C, replaces=A)
    front.place.hold()
    both = [put_segment(front.ledger, U, 3, each, replaces="") for each in (E, V)]
    both_made = [Deferred.fromCoroutine(each) for each in both]
    front.place.release()
    assert await both_made[0]
    with pytest.raises(SegmentsRefused):
        await both_made[1]
    assert [each.upload for each in await front.continued.list_segments(U, 0, 9)] == [C, D, E]


@pytest_twisted.ensureDeferred
async def test_an_upload_is_told_of_as_it_is(front: Front) -> None:
    front.clock.advance(1.0)
    await front.continued.begin(U, "/f", _TYPED)
    assert await front.continued.find(U) == ContinuedUpload(U, "/f", _TYPED, 2000, 2000, 0, 0, 0)
    await put_segment(front.ledger, U, 3, A)
    await put_segment(front.ledger, U, 1, B, size=4)
    for each in (front, await front.restart()):
        assert await each.continued.find(U) == ContinuedUpload(U, "/f", _TYPED, 2000, 5000, 2, 3, 14)
        assert await each.continued.find(V) is None
        both = [Segment(1, B, 4, "note", 5000), Segment(3, A, 10, "note", 5000)]
        assert await each.continued.list_segments(U, 0, 10) == both
        assert await each.continued.list_segments(U, 0, 1) == both[:1]
        assert await each.continued.list_segments(U, 1, 1) == both[1:]
        assert await each.continued.list_segments(U, 3, 1) == []
        with pytest.raises(UploadUnknown):
            await each.continued.list_segments(V, 0, 1)


@pytest_twisted.ensureDeferred
async def test_uploads_are_listed_by_path_and_then_by_age(front: Front) -> None:
    # The digits behind the first two are the time at which an upload began.
    old, new = "ff" + "0" * 30, "00" + "1" * 30
    for upload, path in ((new, "/b/x"), (A, "/b/é"), (old, "/b/x"), (B, "/b"), (C, "/c/x"), (D, "/b/x/y"), (E, "/ba")):
        await front.continued.begin(upload, path, "")
    listed = [("/b", B), ("/b/x", old), ("/b/x", new), ("/b/x/y", D), ("/b/é", A), ("/ba", E), ("/c/x", C)]
    for each in (front, await front.restart()):

        async def pages(prefix: str, limit: int, front: Front = each) -> list[tuple[str, str]]:
            found: list[tuple[str, str]] = []
            after = "", ""
            while page := await front.continued.list_uploads(prefix, after, limit):
                assert len(page) <= limit
                found += [(upload.path, upload.upload) for upload in page]
                after = found[-1]
            return found

        for limit in (1, 2, 100):
            assert await pages("/", limit) == listed
            assert await pages("/b", limit) == listed[:6]
            assert await pages("/b/", limit) == listed[1:5]
            assert await pages("/b/x", limit) == listed[1:4]
            assert await pages("/d", limit) == []
        [after_x] = await each.continued.list_uploads("/b/", ("/b/x\U0010ffff", ""), 10)
        assert after_x.upload == A


@pytest_twisted.ensureDeferred
async def test_a_segment_replaces_the_one_of_its_number(front: Front) -> None:
    await begun(front, U, "/f", A)
    assert not await put_segment(front.ledger, U, 1, B, size=3)
    assert await front.doomed() == doomed(A)
    assert (await front.statistics()).continued_bytes == 3
    with pytest.raises(SegmentsRefused):
        await complete(front.continued, U, "/f", [(1, A)])
    await complete(front.continued, U, "/f", [(1, B)])
    assert await (await front.restart()).doomed() == doomed(A)


@pytest_twisted.ensureDeferred
async def test_of_two_segments_at_once_the_last_committed_stays(front: Front) -> None:
    await begun(front)
    for upload in (A, B):
        await begin(front.ledger, upload, "/f", NODES)
    commits = [Commit("/f", segment(each, U), ALWAYS, 1) for each in (A, B)]
    first, second = front.ledger.commit_all(commits)
    assert (await first, await second) == (True, False)
    assert [each.upload for each in await front.continued.list_segments(U, 0, 9)] == [B]
    assert await front.doomed() == doomed(A)


@pytest_twisted.ensureDeferred
async def test_segments_that_are_not_chosen_are_dropped(front: Front) -> None:
    await begun(front, U, "/f", A, B, C)
    await complete(front.continued, U, "/f", [(2, B)])
    for each in (front, await front.restart()):
        assert await each.doomed() == doomed(A, C)
        assert await each.versions.find_all([A, C]) == [None, None]


@pytest_twisted.ensureDeferred
async def test_a_file_may_have_no_segments(front: Front) -> None:
    await begun(front, U, "/f", A)
    manifest, created = await complete(front.continued, U, "/f", [])
    assert (manifest.size, list(manifest.segments), created) == (0, [], True)
    assert await front.catalog.lookup("/f") == manifest
    assert await complete(front.continued, U, "/f", []) == (manifest, False)
    assert await front.doomed() == doomed(A)


@pytest_twisted.ensureDeferred
async def test_the_last_name_takes_the_segments_along(front: Front) -> None:
    await begun(front, U, "/f", A, B)
    await complete(front.continued, U, "/f", [(1, A), (2, B)])
    await front.namespace.copy("/f", "/g", ALWAYS, deep=True, overwrite=False)
    await front.namespace.copy("/f", "/h", ALWAYS, deep=True, overwrite=False)
    await front.catalog.delete("/f", ALWAYS)
    front = await front.restart()
    assert (await front.statistics()).bytes_stored == 40
    await front.namespace.move("/g", "/i", ALWAYS, overwrite=False)
    await front.catalog.delete("/h", ALWAYS)
    assert await front.doomed() == {}
    assert None not in await front.versions.find_all([A, B])
    await front.put("/i", C)
    for each in (front, await front.restart()):
        assert await each.doomed() == doomed(A, B)
        assert await each.versions.find_all([A, B, U]) == [None, None, None]
        assert await each.heal_ledger.parts_on() == dict.fromkeys(NODES, 1)


@pytest_twisted.ensureDeferred
async def test_an_aborted_upload_leaves_nothing(front: Front) -> None:
    await begun(front, U, "/f", A, B)
    assert await front.continued.abort(U, "no longer wanted")
    assert not await front.continued.abort(U, "no longer wanted")
    assert await front.doomed() == doomed(A, B)
    for each in (front, await front.restart()):
        assert await each.continued.find(U) is None
        assert (await each.statistics()).continued_bytes == 0
        with pytest.raises(UploadUnknown):
            await complete(each.continued, U, "/f", [(1, A), (2, B)])
    assert await front.names() == ["/"]


@pytest.mark.parametrize("ending", ["complete", "abort"])
@pytest_twisted.ensureDeferred
async def test_a_segment_that_comes_after_the_end_is_refused(front: Front, ending: str) -> None:
    await begun(front, U, "/f", A)
    await begin(front.ledger, B, "/f", NODES)
    ended = complete(front.continued, U, "/f", [(1, A)]) if ending == "complete" else front.continued.abort(U, "")
    await ended
    with pytest.raises(UploadUnknown):
        await commit_segment(front.ledger, 2, segment(B, U))
    await front.ledger.abort(B, "refused")
    assert await front.doomed() == doomed(*([B] if ending == "complete" else [A, B]))


@pytest_twisted.ensureDeferred
async def test_to_complete_it_again_is_no_change(front: Front) -> None:
    await begun(front, U, "/f", A, B)
    done = await complete(front.continued, U, "/f", [(1, A), (2, B)], said="text/x")
    for each in (front, await front.restart()):
        assert await complete(each.continued, U, "/f", [(1, A), (2, B)]) == (done[0], False)
        assert await complete(each.continued, U, "/f", [(1, A), (2, B)], condition=NEW) == (done[0], False)
        for chosen, path in (([(1, A)], "/f"), ([(1, A), (2, B)], "/g")):
            with pytest.raises(UploadUnknown):
                await complete(each.continued, U, path, chosen)
    assert await front.doomed() == {}


@pytest_twisted.ensureDeferred
async def test_two_that_complete_at_once_make_one_file(front: Front) -> None:
    await begun(front, U, "/f", A, B)
    ones = [front.continued.complete(each) for each in _completions()]
    outcomes = [await each for each in ones]
    assert [created for _, created in outcomes] == [True, False]
    assert outcomes[0][0] == outcomes[1][0] == await front.catalog.lookup("/f")


def _completions() -> list[Completion]:
    made = Manifest(U, 0, 6000, 6, 0, 4, ())
    return [Completion("/f", [(1, A), (2, B)], ALWAYS, None, made) for _ in range(2)]


@pytest_twisted.ensureDeferred
async def test_a_file_is_refused_whose_segments_or_conditions_are_not_right(front: Front) -> None:
    await begun(front, U, "/f", A, B)
    await begun(front, V, "/no/f", C)
    for chosen in ([(2, B), (1, A)], [(1, A), (1, A)], [(1, B)], [(3, B)], [(1, C)], [(1, "x")], [(0, A)]):
        with pytest.raises(SegmentsRefused):
            await complete(front.continued, U, "/f", chosen)
    with pytest.raises(ParentMissing):
        await complete(front.continued, V, "/no/f", [(1, C)])
    await front.put("/f", D)
    with pytest.raises(PreconditionFailed):
        await complete(front.continued, U, "/f", [(1, A)], condition=NEW)
    assert (await front.statistics()).continued == 2
    assert await front.doomed() == {}
    assert not (await complete(front.continued, U, "/f", [(1, A)]))[1]
    assert await front.doomed() == doomed(B, D)


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_is_refused(front: Front) -> None:
    with pytest.raises(BadName):
        await front.continued.begin(U, "a", "")
    await begun(front, U, "/f", A)
    for upload in (U, A):
        with pytest.raises(ValueError, match="begun already"):
            await front.continued.begin(upload, "/g", "")
    with pytest.raises(UploadAborted):
        await commit_segment(front.ledger, 1, segment(B, U))
    await begin(front.ledger, B, "/f", NODES)
    for number, size in ((MAX_SEGMENTS + 1, 1), (-1, 1), (1, MAX_SIZE)):
        with pytest.raises(UploadTooLarge):
            await commit_segment(front.ledger, number, segment(B, U, size=size))
    for note in ("x" * (MAX_NOTE + 1), Media(language="de")):
        with pytest.raises(ValueError, match="note of a segment"):
            await commit_segment(front.ledger, 2, msgspec.structs.replace(segment(B, U), said=note))
    with pytest.raises(UploadUnknown):
        await commit_segment(front.ledger, 1, segment(B, W))
    assert await commit_segment(front.ledger, MAX_SEGMENTS, segment(B, U, size=MAX_SIZE - 10))


@pytest_twisted.ensureDeferred
async def test_segments_are_moved_lost_and_rebuilt_as_other_versions_are(front: Front) -> None:
    await begun(front, U, "/f", A)
    await begun(front, V, "/g", B)
    await complete(front.continued, U, "/f", [(1, A)])
    for upload in (A, B):
        await front.part_moves.begin_move(PartCopy(upload, 2, "x"))
        await front.part_moves.commit_move(PartCopy(upload, 2, "x"))
        assert await front.heal_ledger.lose("b", [PartId(upload, 1)], "gone") == 1
    for each in (front, await front.restart()):
        versions = await each.versions.find_all([A, B])
        assert [version.nodes for version in versions if version] == [("a", "", "x", "d", "e", "f")] * 2
        assert [version.upload for version in (await each.heal_ledger.hurt("", 9)).versions] == [A, B]
        assert [version.upload for version in (await each.heal_ledger.placed_on("x", "", 9)).versions] == [A, B]
    front = each
    for upload in (A, B):
        await front.part_moves.begin_move(PartCopy(upload, 1, "y"))
        await front.part_moves.commit_move(PartCopy(upload, 1, "y"))
    assert (await front.heal_ledger.hurt_counts()).parts == 0
    await front.continued.abort(V, "")
    doomed_on = await front.doomed()
    assert (doomed_on["x"], doomed_on["y"]) == ([f"{B}.2"], [f"{B}.1"])
