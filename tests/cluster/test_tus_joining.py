"""Partial uploads of tus are joined."""

from __future__ import annotations

import pytest_twisted
from twisted.internet.defer import Deferred

from tests.cluster.cluster import Cluster
from tests.cluster.test_tus import DATA
from tests.cluster.tus import ROOT, Tus, located, metadata
from tests.cluster.waiting import eventually


@pytest_twisted.ensureDeferred
async def test_partial_uploads_are_joined(cluster: Cluster) -> None:
    tus = Tus(cluster)
    pieces = DATA[:1_500_000], b"", DATA[1_500_000:2_000_000], DATA[2_000_000:]
    urls = []
    for piece in pieces:
        url = await tus.begin("ignored", len(piece), Upload_Concat="partial")
        if piece:
            assert (await tus.patch(url, 0, piece)).code == 204
        assert (await tus.ask("HEAD", url)).header("Upload-Concat") == "partial"
        urls.append(url)
    unfinished = await tus.begin("ignored", 1, Upload_Concat="partial")
    final = {"Upload_Metadata": metadata(filename="f", filetype="image/png")}
    for wrong, code in (
        ([*urls, unfinished], 409),
        ([urls[0], urls[0]], 400),
        ([f"{ROOT}/{'0' * 32}/x"], 404),
        (["nonsense"], 404),
        ([await tus.begin("whole", 1)], 400),
        ([], 400),
    ):
        assert (await tus.ask("POST", ROOT, Upload_Concat="final;" + " ".join(wrong), **final)).code == code
    assert (await cluster.get("/f")).code == 404
    absolute = [cluster.url(url) for url in urls[:1]] + urls[1:]
    joined = await tus.ask("POST", ROOT, Upload_Concat="final;" + " ".join(absolute), **final)
    assert joined.code == 201, joined
    got = await cluster.get("/f")
    assert (got.body, got.header("Content-Type")) == (DATA, "image/png")
    assert (await tus.ask("HEAD", located(joined))).header("Upload-Offset") == str(len(DATA))
    for url in urls:
        assert (await tus.ask("HEAD", url)).code == 404


@pytest_twisted.ensureDeferred
async def test_a_joined_file_has_the_same_bytes_though_the_front_ends_in_between(cluster: Cluster) -> None:
    tus = Tus(cluster)
    urls = []
    for piece in (DATA[:1_000_000], DATA[1_000_000:]):
        urls.append(await tus.begin("ignored", len(piece), Upload_Concat="partial"))
        assert (await tus.patch(urls[-1], 0, piece)).code == 204
    await cluster.restart_front()
    final = {"Upload_Metadata": metadata(filename="f"), "Upload_Concat": "final;" + " ".join(urls)}
    await cluster.break_node(3)
    assert (await tus.ask("POST", ROOT, **final)).code in {503, 507}
    await cluster.mend_node(3)
    assert "unfinished" not in str((await tus.ask("OPTIONS", ROOT)).header("Tus-Extension"))
    assert (await tus.ask("POST", ROOT, **final)).code == 201  # a failed try has left the parts
    assert (await cluster.get("/f")).body == DATA


@pytest_twisted.ensureDeferred
async def test_a_part_that_is_ended_while_it_is_joined_is_no_fault_of_the_joined_file(cluster: Cluster) -> None:
    tus, filesystem = Tus(cluster), cluster.nodes[2].filesystem
    part = await tus.begin("ignored", len(DATA), Upload_Concat="partial")
    assert (await tus.patch(part, 0, DATA)).code == 204
    filesystem.hold("write")
    final = {"Upload_Metadata": metadata(filename="f"), "Upload_Concat": f"final;{part}"}
    joined = Deferred.fromCoroutine(tus.ask("POST", ROOT, **final))
    await eventually(lambda: filesystem.waiting, "its bytes are being written")
    assert (await tus.ask("DELETE", part)).code == 204
    filesystem.release()
    assert (await joined).code == 201
    assert (await cluster.get("/f")).body == DATA
