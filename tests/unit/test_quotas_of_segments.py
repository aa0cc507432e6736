"""Quotas of uploads in segments: they count from their commit to the end of their upload."""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from splitd.errors import CatalogReadOnly, QuotaExceeded
from splitd.model.quotas import Quota
from tests.catalogs import NODES
from tests.ledger import begin
from tests.segments import commit_segment, complete, put_segment, segment
from tests.unit.test_quotas import Tried, tried

U = "f" * 32


@pytest_twisted.ensureDeferred
async def test_segments_count_from_their_commit_to_the_end_of_their_upload() -> None:
    made = await tried(Quota("/a", ("/a",), 100, 1), Quota("user anna", ("/a/x", "/b"), 60))
    for path in ("/a", "/a/x"):
        await made.make("mkcol", path)
    catalog = made.catalog
    await catalog.continued.begin(U, "/a/x/f", "")
    await put_segment(catalog.ledger, U, 1, "1" * 32, size=40)
    assert await made.told() == [("/a", 40, 0), ("user anna", 40, 0)]
    with pytest.raises(QuotaExceeded, match="the quota of user anna is 60 B, 40 B are used, 21 B more are needed"):
        await put_segment(catalog.ledger, U, 2, "2" * 32, size=21)
    await put_segment(catalog.ledger, U, 1, "3" * 32, size=50)  # in place of the first
    assert await catalog.quotas.refuse("/a/x/f", None, 50) == 60
    assert await catalog.quotas.refuse("/a/x/f", None, 0) == 10
    with pytest.raises(QuotaExceeded):
        await catalog.quotas.refuse("/a/y", 51)
    await made.make("move", "/a/x", "/c")  # the file would not lie there
    assert await made.told() == [("/a", 50, 0), ("user anna", 50, 0)]
    await made.make("mkcol", "/a/x")
    await put_segment(catalog.ledger, U, 2, "4" * 32, size=10)
    await complete(catalog.continued, U, "/a/x/f", [(1, "3" * 32)])  # which fits, though both quotas are full
    assert await made.told() == [("/a", 50, 1), ("user anna", 50, 1)]


@pytest_twisted.ensureDeferred
async def test_an_abort_gives_back_what_segments_took() -> None:
    made = await tried(Quota("/", ("/",), 50))
    await made.catalog.continued.begin(U, "/f", "")
    await put_segment(made.catalog.ledger, U, 1, "1" * 32, size=50)
    with pytest.raises(QuotaExceeded):
        await made.make("put", "/g", 1)
    await made.catalog.continued.abort(U, "a test")
    assert await made.told() == [("/", 0, 0)]
    await made.make("put", "/g", 50)


@pytest_twisted.ensureDeferred
async def test_a_completion_that_is_refused_leaves_the_segments_counted() -> None:
    made = await tried(Quota("/", ("/",), 100, 1))
    await made.make("put", "/g", 10)
    await made.catalog.continued.begin(U, "/f", "")
    await put_segment(made.catalog.ledger, U, 1, "1" * 32, size=50)
    with pytest.raises(QuotaExceeded, match="1 files"):
        await complete(made.catalog.continued, U, "/f", [(1, "1" * 32)])
    assert await made.told() == [("/", 60, 1)]
    made.front.journal.fail_next("the disk is gone")
    with pytest.raises(CatalogReadOnly):
        await complete(made.catalog.continued, U, "/g", [(1, "1" * 32)])
    assert await made.told() == [("/", 60, 1)]


@pytest_twisted.ensureDeferred
async def test_of_segments_that_race_only_those_that_fit_are_committed() -> None:
    """A quota that is set meanwhile counts those that are being written."""
    made = await tried(Quota("/", ("/",), 100))
    ledger = made.catalog.ledger
    await made.catalog.continued.begin(U, "/f", "")
    uploads = [f"{number:032x}" for number in range(1, 5)]
    for upload in uploads:
        await begin(ledger, upload, "/f", NODES)
    made.front.journal.hold()
    racing = [
        Deferred.fromCoroutine(commit_segment(ledger, number, segment(upload, U, size=40)))
        for number, upload in enumerate(uploads, 1)
    ]
    refused = [each for each in racing if each.called]
    for each in refused:
        with pytest.raises(QuotaExceeded):
            await each
    assert len(refused) == 2
    await made.catalog.quotas.set_quotas([Quota("/f", ("/f",), 1000)])
    assert await made.told() == [("/f", 80, 0)]
    made.front.journal.release()
    assert [await each for each in racing if each not in refused] == [True, True]
    assert await made.told() == [("/f", 80, 0)]


@pytest_twisted.ensureDeferred
async def test_unfinished_uploads_are_no_way_around_a_quota_of_files() -> None:
    made = await tried(Quota("/a", ("/a",), None, 3), Quota("user anna", ("/a/x", "/b"), None, 2))
    continued = made.catalog.continued
    uploads = [f"{number:032x}" for number in range(6)]
    for upload in uploads[:2]:
        await continued.begin(upload, "/a/x/f", "")
    with pytest.raises(QuotaExceeded, match="the quota of user anna is 2 files, 2 uploads are unfinished"):
        await continued.begin(uploads[2], "/b", "")
    await continued.begin(uploads[3], "/a/f", "")
    with pytest.raises(QuotaExceeded, match="the quota of /a is 3 files, 3 uploads are unfinished"):
        await continued.begin(uploads[4], "/a/g", "")
    await continued.begin(uploads[4], "/c", "")
    await continued.abort(uploads[0], "a test")
    await continued.begin(uploads[5], "/b", "")
    assert await made.told() == [("/a", 0, 0), ("user anna", 0, 0)]
    full = await tried(Quota("/", ("/",), None, 0))
    await full.catalog.continued.begin(uploads[0], "/f", "")  # one is possible, as for an empty place


@pytest_twisted.ensureDeferred
async def test_segments_of_before_a_restart_count() -> None:
    made = await tried()
    await made.catalog.continued.begin(U, "/a/f", "")
    await put_segment(made.catalog.ledger, U, 1, "1" * 32, size=30)
    again = Tried(await made.front.restart())
    await again.catalog.quotas.set_quotas([Quota("/a", ("/a",), 50)])
    assert await again.told() == [("/a", 30, 0)]
    with pytest.raises(QuotaExceeded):
        await put_segment(again.catalog.ledger, U, 2, "2" * 32, size=21)
    await again.catalog.continued.abort(U, "a test")
    assert await again.told() == [("/a", 0, 0)]
