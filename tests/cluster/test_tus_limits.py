"""Who may send files by tus, and how much."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest_twisted

from tests.cluster.cluster import Cluster
from tests.cluster.tus import BODY, ROOT, Tus, located, metadata
from tests.users import ANNA, NORA, RITA, WILMA, basic


@pytest_twisted.ensureDeferred
async def test_an_upload_is_for_those_who_may_write_and_for_the_one_who_began_it(
    make_guarded: Callable[..., Awaitable[Cluster]],
) -> None:
    cluster = await make_guarded("/anna")
    anna, wilma = Tus(cluster, Authorization=ANNA), Tus(cluster, Authorization=WILMA)
    place = {"Upload_Length": "3", "Upload_Metadata": metadata(path="/anna/f")}
    for caller, code in (("", 401), (NORA, 404), (RITA, 403), (basic("anna", "wrong"), 401)):
        assert (await Tus(cluster, Authorization=caller).ask("POST", ROOT, **place)).code == code
    assert (await anna.create("f", 3)).code == 403  # she may write in her own collection only
    url = located(await anna.ask("POST", ROOT, **place))
    assert (await anna.patch(url, 0, b"n")).code == 204
    for other in (wilma, Tus(cluster), Tus(cluster, Authorization=RITA)):
        for method in ("HEAD", "DELETE"):
            assert (await other.ask(method, url)).code in {401, 403, 404}
        assert (await other.patch(url, 1, b"x")).code in {401, 403, 404}
    assert json.loads((await wilma.ask("GET", ROOT)).body)["uploads"] == []
    assert [each["path"] for each in json.loads((await anna.ask("GET", ROOT)).body)["uploads"]] == ["/anna/f"]
    assert (await cluster.ask("OPTIONS", ROOT)).code == 204
    assert (await anna.patch(url, 1, b"ew")).code == 204
    assert (await cluster.get("/anna/f", authorization=ANNA)).body == b"new"


@pytest_twisted.ensureDeferred
async def test_a_request_of_somebody_else_does_not_end_one_in_progress(
    make_guarded: Callable[..., Awaitable[Cluster]],
) -> None:
    cluster = await make_guarded("/anna")
    anna = Tus(cluster, Authorization=ANNA)
    place = {"Upload_Length": "6", "Upload_Metadata": metadata(path="/anna/f")}
    url = located(await anna.ask("POST", ROOT, **place))
    sending = await anna.send(url, 0, 6, b"abc", more=[f"Authorization: {ANNA}"])
    for other in (WILMA, NORA, ""):
        stranger = Tus(cluster, Authorization=other)
        draft = Tus(cluster, Authorization=other, Upload_Draft_Interop_Version="9")
        for asked in (url, url.replace("/anna/f", "/other"), url.replace("/anna/f", "/in/f")):
            for method in ("HEAD", "DELETE"):
                assert (await stranger.ask(method, asked)).code in {401, 403, 404}
            assert (await stranger.patch(asked, 0, b"x")).code in {401, 403, 404}
            kind = {"Content_Type": "application/partial-upload", "Upload_Offset": "0", "Upload_Complete": "?0"}
            assert (await draft.ask("PATCH", asked, b"x", **kind)).code in {401, 403, 404}
    sending.send(b"def")
    assert (await sending.answer()).code == 204
    assert (await cluster.get("/anna/f", authorization=ANNA)).body == b"abcdef"


@pytest_twisted.ensureDeferred
async def test_limits_and_quotas_are_judged_before_the_first_byte_and_after_the_last(
    make_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    cluster = make_cluster()
    file = tmp_path / "limits.yaml"
    file.write_text("largest_file: 100KB\nquotas: [{path: /q, bytes: 50KB}]\n")
    cluster.settings["limits"] = str(file)
    await cluster.start()
    assert (await cluster.ask("MKCOL", "/q")).code == 201
    tus = Tus(cluster)
    assert (await tus.create("f", 100_001)).code == 413
    assert (await tus.ask("OPTIONS", ROOT)).header("Tus-Max-Size") == "100000"
    in_quota = {"Upload_Metadata": metadata(path="/q/f")}
    assert (await tus.ask("POST", ROOT, Upload_Length="50001", **in_quota)).code == 507
    url = located(await tus.ask("POST", ROOT, Upload_Length="50000", **in_quota))
    assert (await cluster.put("/q/other", bytes(10_000))).code == 201
    assert (await tus.patch(url, 0, bytes(50_000))).code == 507
    assert await tus.offset(url) == 0
    assert (await tus.patch(url, 0, bytes(40_000))).code == 204
    assert (await cluster.put("/q/more", b"x")).code == 507  # what was sent counts already
    assert (await cluster.ask("DELETE", "/q/other")).code == 204
    assert (await tus.patch(url, 40_000, bytes(10_000))).code == 204  # there is room now
    assert (await cluster.get("/q/f")).body == bytes(50_000)
    unknown = await tus.begin("g", None)
    assert (await tus.patch(unknown, 0, b"x", Upload_Length="100001")).code == 413
    assert await tus.offset(unknown) == 0
    for size, code in ((60_000, 204), (40_001, 413), (40_000, 204)):
        offset = await tus.offset(unknown)
        client = await cluster.connect()
        client.begin("PATCH", unknown, "Tus-Resumable: 1.0.0", f"Upload-Offset: {offset}", f"Content-Type: {BODY}",
                     "Transfer-Encoding: chunked")  # fmt: skip
        client.send(b"%x\r\n" % size, bytes(size), b"\r\n0\r\n\r\n")
        assert (await client.answer()).code == code
    assert await tus.offset(unknown) == 100_000


@pytest_twisted.ensureDeferred
async def test_a_full_cluster_says_so_before_the_first_byte(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster()
    for node in cluster.nodes:
        node.filesystem.size = 200_000_000
    await cluster.start()
    tus = Tus(cluster)
    assert (await tus.create("f", 10**9)).code == 201
    assert (await tus.create("f", 10**10)).code == 507
