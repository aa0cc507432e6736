"""Files of segments at keys: what multipart uploads of S3 make."""

from __future__ import annotations

import pytest_twisted

from splitd.interfaces.keys import KeyCopy
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.manifest import Manifest
from splitd.model.media import Labels, Media
from splitd.model.segments import SegmentRef
from tests.catalogs import A, B, doomed
from tests.segments import complete, put_segment
from tests.unit.catalogs import started

KEY = Condition(is_key=True)
U, V = "0" * 32, "1" * 32


@pytest_twisted.ensureDeferred
async def test_a_file_of_segments_may_be_any_key() -> None:
    front = await started()
    await front.catalog.make_collection("/b")
    for upload, path, segment in ((U, "/b/x//.", A), (V, "/b/x/", B)):
        await front.catalog.continued.begin(upload, path, "")
        await put_segment(front.catalog.ledger, upload, 1, segment)
        made = await complete(front.catalog.continued, upload, path, [(1, segment)], condition=KEY)
        assert made[1]
        again = await complete(front.catalog.continued, upload, path, [(1, segment)], condition=KEY)
        assert again == (made[0], False)
        assert await front.catalog.keys.find_key(path) == made[0]
    copied, _ = await front.catalog.keys.copy_key(KeyCopy("/b/x//.", "/b/y", Labels(Media("text/x")), condition=KEY))
    assert copied.segments[0].upload == A
    await front.catalog.keys.delete_key("/b/x//.", ALWAYS)
    for each in (front, again_front := await front.restart()):
        assert await each.doomed() == {}
        found = await each.catalog.keys.find_key("/b/y")
        assert isinstance(found, Manifest)
        assert (found.content_type, list(found.segments)) == ("text/x", [SegmentRef(A, 10, 1)])
    for path in ("/b/y", "/b/x/"):
        await again_front.catalog.keys.delete_key(path, ALWAYS)
    assert await (await again_front.restart()).doomed() == doomed(A, B)
