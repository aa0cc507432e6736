"""Files with segments: they are read, kept while they are read, and deleted as other files are."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import combinations_with_replacement

import pytest
import pytest_twisted

from splitd.errors import SegmentsRefused, UploadUnknown
from splitd.model.conditions import ALWAYS
from splitd.model.media import NO_MEDIA
from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.segments import continued, feed, put_file, put_segment
from tests.cluster.test_versions import SIZE, read_slowly
from tests.cluster.waiting import eventually

UNEVEN = [os.urandom(100_000), b"", b"x", os.urandom(7000), os.urandom(1)]
WHOLE = b"".join(UNEVEN)
_PLACES = [0, 1, 6143, 6144, 50_000, 99_999, 100_000, 100_001, 100_002, 103_000, 107_000, 107_001]
"""Bytes beside the borders of stripes and segments, and others."""


@pytest.mark.parametrize("known", [True, False])
@pytest_twisted.ensureDeferred
async def test_uneven_segments_are_read_as_one_file(cluster: Cluster, known: bool) -> None:
    manifest = await put_file(cluster, "/file", UNEVEN, known=known)
    for _ in range(2):
        got = await cluster.get("/file")
        assert (got.code, got.body, got.length) == (200, WHOLE, len(WHOLE))
        assert got.header("ETag") == manifest.etag
        await cluster.restart_front()
    assert len(cluster.uploads_stored()) == 4  # the empty one has no parts


@pytest.mark.parametrize("small", [0, 256 * 1024])
@pytest_twisted.ensureDeferred
async def test_ranges_may_cross_the_borders(make_cluster: Callable[..., Cluster], small: int) -> None:
    cluster = make_cluster(count=8, layout="6+2", small_part=Size(small))
    await cluster.start()
    await put_file(cluster, "/file", UNEVEN)
    for first, last in combinations_with_replacement(_PLACES, 2):
        got = await cluster.get("/file", Range=f"bytes={first}-{last}")
        assert (got.code, got.body) == (206, WHOLE[first : last + 1])
    parts = await cluster.get("/file", Range="bytes=99990-100002,5-7")
    assert parts.code == 206
    assert WHOLE[99_990:100_003] in parts.body


@pytest_twisted.ensureDeferred
async def test_small_files_of_segments_are_kept_in_memory(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(small_part=Size(64 * 1024))
    await cluster.start()
    await put_file(cluster, "/file", UNEVEN)
    for number in range(2):
        assert (await cluster.get("/file")).body == WHOLE
        assert (await cluster.status())["cache"]["hits"] == number
    status = await cluster.status()
    assert status["downloads"]["finished"] == 2
    assert status["downloads"]["bytes"] == 2 * len(WHOLE)


@pytest_twisted.ensureDeferred
async def test_a_download_of_segments_is_one_download(cluster: Cluster) -> None:
    await put_file(cluster, "/file", UNEVEN)
    await cluster.get("/file")
    downloads = (await cluster.status())["downloads"]
    assert (downloads["finished"], downloads["under_way"], downloads["bytes"]) == (1, 0, len(WHOLE))


@pytest.mark.parametrize("change", ["PUT", "DELETE"])
@pytest_twisted.ensureDeferred
async def test_a_reader_gets_all_segments_of_the_version_it_began_with(cluster: Cluster, change: str) -> None:
    segments = [os.urandom(SIZE), os.urandom(50_000), os.urandom(SIZE)]
    await put_file(cluster, "/file", segments)
    stored = cluster.uploads_stored()
    client = await read_slowly(cluster, "/file")
    assert (await cluster.ask(change, "/file", b"new" if change == "PUT" else None)).code == 204
    if change == "PUT":
        assert (await cluster.ask("DELETE", "/file")).code == 204
    await eventually(lambda: cluster.uploads_stored() == stored, "the segments that are read, and nothing else")
    client.read_on()
    got = await client.answer()
    assert (got.code, got.body) == (200, b"".join(segments))
    await eventually(cluster.nothing_stored)


@pytest_twisted.ensureDeferred
async def test_what_is_read_ahead_is_given_back_when_the_client_leaves(cluster: Cluster) -> None:
    await put_file(cluster, "/file", [os.urandom(SIZE)] + [os.urandom(10_000)] * 5)
    client = await read_slowly(cluster, "/file")
    assert (await cluster.ask("DELETE", "/file")).code == 204
    client.reset()
    await eventually(cluster.nothing_stored)
    assert (await cluster.status())["downloads"]["under_way"] == 0


@pytest_twisted.ensureDeferred
async def test_a_segment_may_be_cut_off_and_continued(cluster: Cluster) -> None:
    begun = await continued(cluster).begin("/file", NO_MEDIA, ALWAYS)
    data = os.urandom(70_000)
    segment = await continued(cluster).put_segment("/file", begun.upload, 1, None)
    feed(segment, data[:30_000])
    await segment.finish("cut off")  # the client has left
    await cluster.restart_front()
    found = await continued(cluster).find("/file", begun.upload)
    assert (found.size, found.last) == (30_000, 1)
    await put_segment(cluster, "/file", begun.upload, 2, data[found.size :], known=False)
    listed = await continued(cluster).list_segments("/file", begun.upload, 0, 100)
    assert [each.note for each in listed] == ["cut off", ""]
    await continued(cluster).complete("/file", begun.upload, [(each.number, each.upload) for each in listed], ALWAYS)
    assert (await cluster.get("/file")).body == data


@pytest.mark.parametrize("ending", ["complete", "abort"])
@pytest.mark.parametrize("known", [True, False])
@pytest_twisted.ensureDeferred
async def test_a_segment_on_its_way_at_the_end_leaves_nothing(cluster: Cluster, ending: str, known: bool) -> None:
    uploads, path = continued(cluster), "/file"
    begun = await uploads.begin(path, NO_MEDIA, ALWAYS)
    first = await put_segment(cluster, path, begun.upload, 1, b"first" * 1000)
    late = await uploads.put_segment(path, begun.upload, 2, 50_000 if known else None)
    feed(late, bytes(50_000))
    if ending == "complete":
        await uploads.complete(path, begun.upload, [(1, first)], ALWAYS)
    else:
        await uploads.abort(path, begun.upload, "no longer wanted")
    with pytest.raises(UploadUnknown):
        await late.finish("")
    await eventually(lambda: cluster.uploads_stored() == ({first} if ending == "complete" else set()))
    status = await cluster.status()
    assert status["uploads"]["under_way"] == 0


@pytest_twisted.ensureDeferred
async def test_replaced_segments_are_deleted(cluster: Cluster) -> None:
    begun = await continued(cluster).begin("/file", NO_MEDIA, ALWAYS)
    ids = [await put_segment(cluster, "/file", begun.upload, 1, os.urandom(5000)) for _ in range(3)]
    await eventually(lambda: cluster.uploads_stored() == {ids[-1]})
    with pytest.raises(SegmentsRefused):
        await continued(cluster).complete("/file", begun.upload, [(1, ids[0])], ALWAYS)
    await continued(cluster).abort("/file", begun.upload, "")
    await eventually(cluster.nothing_stored)


@pytest_twisted.ensureDeferred
async def test_an_upload_is_found_at_its_own_path_only(cluster: Cluster) -> None:
    uploads = continued(cluster)
    begun = await uploads.begin("/file", NO_MEDIA, ALWAYS)
    for call in (
        lambda: uploads.find("/other", begun.upload),
        lambda: uploads.put_segment("/other", begun.upload, 1, 5),
        lambda: uploads.list_segments("/other", begun.upload, 0, 9),
        lambda: uploads.complete("/other", begun.upload, [], ALWAYS),
        lambda: uploads.abort("/other", begun.upload, ""),
    ):
        with pytest.raises(UploadUnknown):
            await call()
    assert (await uploads.list_uploads("/", ("", ""), 9)) == [begun]


@pytest_twisted.ensureDeferred
async def test_with_two_nodes_gone_segments_are_stored_and_read(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(count=8, layout="6+2", min_parts=6)
    await cluster.start()
    await put_file(cluster, "/before", UNEVEN)
    for number in (0, 5):
        await cluster.break_node(number)
    await put_file(cluster, "/during", UNEVEN)
    for path in ("/before", "/during"):
        assert (await cluster.get(path)).body == WHOLE
    assert (await cluster.status())["downloads"]["degraded"] == 2


@pytest_twisted.ensureDeferred
async def test_nodes_that_die_while_segments_are_read_and_stored_are_done_without(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = make_cluster(count=8, layout="6+2", min_parts=6)
    await cluster.start()
    segments = [os.urandom(SIZE), os.urandom(50_000), os.urandom(SIZE // 2)]
    await put_file(cluster, "/file", segments)
    begun = await continued(cluster).begin("/other", NO_MEDIA, ALWAYS)
    half = await continued(cluster).put_segment("/other", begun.upload, 1, None)
    feed(half, segments[1][:25_000])
    client = await read_slowly(cluster, "/file")
    for number in (2, 6):
        await cluster.break_node(number)
    client.read_on()
    got = await client.answer()
    assert (got.code, got.body) == (200, b"".join(segments))
    feed(half, segments[1][25_000:])
    stored, _ = await half.finish("")
    await continued(cluster).complete("/other", begun.upload, [(1, stored.upload)], ALWAYS)
    assert (await cluster.get("/other")).body == segments[1]
