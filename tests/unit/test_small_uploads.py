"""A small file that was stored on an assumption is stored again if the catalog does not share it."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.logger import capturedLogs

from splitd.errors import NotAFile, NotFound, UploadAborted
from splitd.interfaces.store import IUpload
from splitd.model.conditions import ALWAYS
from splitd.model.manifest import largest_part
from splitd.model.media import Media
from splitd.model.traffic import Traffic
from splitd.uploads.lanes import Intent
from splitd.uploads.small import Again, SmallUpload
from tests.unit.test_group_commit import DATA, Service

SAID = Media("text/plain")


@attrs.define
class Uploading:
    """Makes small uploads to `/f`, each of which ends in `ended`."""

    service: Service
    ended: list[bool | None] = attrs.Factory(list)
    traffic: Traffic = attrs.Factory(Traffic)

    def begin(self, again: Again | None = None) -> SmallUpload:
        service = self.service
        largest = largest_part(service.layout, len(DATA))
        asked = None if again is None else ""
        intent = Intent(service.new_id(), "/f", len(DATA), largest, "", ALWAYS, service.layout, asked=asked)

        def ended(_: SmallUpload, committed: bool | None) -> None:
            self.ended.append(committed)

        return SmallUpload(intent, service.group, self.traffic, ended, again)

    async def refused(self, again: Again | None, upload: SmallUpload | None = None) -> Deferred[Any]:
        """Let the catalog refuse an upload."""
        held = self.service.hold()
        upload = upload or self.begin(again)
        upload.write(DATA)
        stored = upload.finish(SAID)
        self.service.clock.advance(0)
        await self.service.catalog.ledger.abort(f"{1:032x}", "the database has lost it")
        held.pop().callback(None)
        return stored


@pytest_twisted.ensureDeferred
async def test_a_refused_upload_is_done_again_with_the_same_bytes_and_headers() -> None:
    service = await Service().start()
    uploading = Uploading(service)
    stored = await uploading.refused(lambda: succeed(uploading.begin()))
    service.nodes.nodes["n0"].held = None
    service.clock.advance(0.1)
    manifest, created = await stored
    assert (manifest.upload, manifest.size, manifest.said, created) == (f"{2:032x}", len(DATA), SAID, True)
    assert await service.catalog.lookup("/f") == manifest
    assert uploading.ended == [True, None]
    assert uploading.traffic.bytes_in == len(DATA)


@pytest_twisted.ensureDeferred
async def test_an_upload_goes_on_until_the_next_one_has_begun_and_is_aborted_with_it() -> None:
    uploading = Uploading(await Service().start())
    next_one: Deferred[IUpload] = Deferred()
    first = uploading.begin(lambda: next_one)
    stored = await uploading.refused(None, first)
    assert uploading.ended == []
    aborted = first.abort("the server stops")
    assert not aborted.called
    next_one.callback(uploading.begin())
    with pytest.raises(UploadAborted, match="the server stops"):
        await stored
    await aborted
    assert uploading.ended == [False, None]
    assert await uploading.service.catalog.lookup("/f") is None


@pytest_twisted.ensureDeferred
async def test_the_next_upload_ends_if_the_client_leaves() -> None:
    uploading = Uploading(await Service().start())
    stored = await uploading.refused(lambda: succeed(uploading.begin()))
    stored.cancel()
    with pytest.raises(CancelledError):
        await stored
    assert uploading.ended == [False, None]


@pytest_twisted.ensureDeferred
async def test_the_upload_ends_if_the_client_leaves_before_the_next_one_begins() -> None:
    uploading = Uploading(await Service().start())
    next_one: Deferred[IUpload] = Deferred()
    stored = await uploading.refused(lambda: next_one)
    stored.cancel()
    with pytest.raises(CancelledError):
        await stored
    assert next_one.called
    assert uploading.ended == [False]


@pytest.mark.parametrize(("again", "expected"), [(None, UploadAborted), (lambda: fail(NotFound("gone")), NotFound)])
@pytest_twisted.ensureDeferred
async def test_the_client_is_told_why_if_it_cannot_be_done_again(
    again: Again | None, expected: type[Exception]
) -> None:
    uploading = Uploading(await Service().start())
    stored = await uploading.refused(again)
    with pytest.raises(expected):
        await stored
    assert uploading.ended == [False]


@pytest.mark.parametrize(
    ("again", "level"), [(lambda: fail(AssertionError("it was done again")), "debug"), (None, "info")]
)
@pytest_twisted.ensureDeferred
async def test_other_refusals_are_final_and_of_no_interest_if_they_would_have_come_before(
    again: Again | None, level: str
) -> None:
    service = await Service().start()
    await service.catalog.make_collection("/f")
    upload = Uploading(service).begin(again)
    upload.write(DATA)
    with capturedLogs() as logged:
        stored = upload.finish(SAID)
        service.clock.advance(0)
        with pytest.raises(NotAFile):
            await stored
    assert [event["log_level"].name for event in logged if "aborted" in event["log_format"]] == [level]


@pytest_twisted.ensureDeferred
async def test_nothing_is_stored_by_an_upload_that_was_aborted_before_its_end() -> None:
    uploading = Uploading(await Service().start())
    upload = uploading.begin()
    upload.write(DATA)
    await upload.abort("the server stops")
    stored = upload.finish(SAID)
    uploading.service.clock.advance(0.1)
    with pytest.raises(UploadAborted, match="the server stops"):
        await stored
    assert uploading.ended == [False]
    assert await uploading.service.catalog.lookup("/f") is None
