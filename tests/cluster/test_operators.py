"""The operators' port: /health, /ready, /status, /metrics."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from splitd.frontends.admin.reports import ANSWERS
from tests.cluster.cluster import Answer, Cluster
from tests.cluster.waiting import eventually


async def look(cluster: Cluster, path: str, method: str = "GET") -> Answer:
    return await cluster.ask(method, cluster.admin_url + path)


async def metrics(cluster: Cluster) -> dict[str, float]:
    answer = await look(cluster, "/metrics")
    assert str(answer.header("Content-Type")).startswith("text/plain")
    return {name: float(value) for name, value in re.findall(r"^(\S+) (\S+)$", answer.text, re.MULTILINE)}


@pytest_twisted.ensureDeferred
async def test_the_status_tells_what_there_is(cluster: Cluster) -> None:
    await cluster.put("/a", b"x" * 10_000)
    await cluster.put("/b", b"")
    await cluster.get("/a")
    assert (await cluster.put("/a", b"y", If_None_Match="*")).code == 412  # before it was an upload
    status = await cluster.status()
    assert (status["ready"], status["problems"], status["layout"], status["unit"]) == (True, [], "6+0", 1024)
    assert (status["files"], status["bytes"]) == (2, 10_000)
    uploads = {"under_way": 0, "committed": 2, "degraded": 0, "aborted": 0, "bytes": 10_000}
    assert status["uploads"] == {**uploads, "continued": 0, "continued_bytes": 0}
    assert status["downloads"] == {"under_way": 0, "finished": 1, "failed": 0, "degraded": 0, "bytes": 10_000}
    assert status["reaper"] == {"doomed": 0, "reaped": 0, "staying": {}}
    assert (status["journal"]["failure"], status["journal"]["records"] >= 5) == ("", True)
    assert re.fullmatch("[0-9a-f]{32}", status["cluster"])
    assert [node["id"] for node in status["nodes"]] == ["n1", "n2", "n3", "n4", "n5", "n6"]
    for node, made in zip(status["nodes"], cluster.nodes, strict=True):
        assert node["url"] == f"http://127.0.0.1:{made.port}"
        assert (node["mode"], node["state"], node["zone"], node["weight"]) == ("active", "up", "", 1.0)
        assert 0 < node["free"] <= node["capacity"]
        assert (node["reserve"], node["volume"]) == (0, status["nodes"][0]["volume"] or None)
        assert (node["problem"], node["reserved"] > 0) == ("", True)


@pytest_twisted.ensureDeferred
async def test_the_metrics_move(cluster: Cluster) -> None:
    await cluster.disks_are_known()
    before = await metrics(cluster)
    assert before["splitd_ready"] == 1
    await cluster.put("/a", b"x" * 1000)
    await cluster.get("/a", Range="bytes=0-99")
    after = await metrics(cluster)
    moved = {name: after[name] - before[name] for name in after if name in before and after[name] != before[name]}
    assert moved.pop("splitd_journal_bytes") > 0
    assert moved.pop("splitd_journal_syncs_total") > 0
    assert moved.pop("splitd_journal_records_total") == 2
    assert moved.pop("splitd_connections") == 1
    moved.pop("splitd_open_descriptors", None)  # of the test and the nodes, too
    # How full nodes are changes with whatever else lies on their disk; times have a test of their own.
    others = (
        "splitd_node_",
        "splitd_fill_",
        "splitd_request_seconds_",
        "splitd_reactor_lag_",
        "splitd_transfer_bytes_",
    )
    assert {name: count for name, count in moved.items() if not name.startswith(others)} == {
        "splitd_files": 1,
        "splitd_file_bytes": 1000,
        "splitd_uploads_committed_total": 1,
        "splitd_upload_bytes_total": 1000,
        "splitd_request_received_bytes_total": 1000,
        "splitd_answer_sent_bytes_total": 100,
        "splitd_downloads_finished_total": 1,
        "splitd_download_bytes_total": after["splitd_download_bytes_total"],
    }
    assert all(after[f'splitd_node_up{{node="n{number}"}}'] == 1 for number in range(1, 7))


@pytest_twisted.ensureDeferred
async def test_a_front_with_too_few_nodes_is_alive_and_not_ready(cluster: Cluster) -> None:
    assert ((await look(cluster, "/ready")).code, (await look(cluster, "/health")).code) == (200, 200)
    await cluster.break_node(0)
    await cluster.put("/a", b"x")
    ready = await look(cluster, "/ready")
    assert (ready.code, ready.text.splitlines()) == (
        503,
        [
            "reads: 6 nodes are needed to read a file, 5 answer; n1 is down",
            "writes: 6 nodes that take parts are needed, 5 are up; n1 is down",
        ],
    )
    assert ((await look(cluster, "/health")).code, (await metrics(cluster))["splitd_ready"]) == (200, 0)
    await cluster.mend_node(0)
    ready = await look(cluster, "/ready")
    assert (ready.code, ready.text.splitlines()) == (200, ["reads: ready", "writes: ready"])


async def _readiness(cluster: Cluster) -> dict[str, int]:
    """Return the answers for reads, for writes and for both, and check them against the status and the metrics."""
    codes = {kind: (await look(cluster, f"/ready{kind and '?for='}{kind}")).code for kind in ("reads", "writes", "")}
    status, measured = await cluster.status(), await metrics(cluster)
    for kind in ("reads", "writes"):
        assert status[kind]["ready"] == (not status[kind]["problems"]) == (codes[kind] == 200)
        assert measured[f"splitd_{kind}_ready"] == status[kind]["ready"]
        assert set(status[kind]["problems"]) <= set(status["problems"])
    assert status["ready"] == (not status["problems"]) == (codes[""] == 200)
    return codes


@pytest_twisted.ensureDeferred
async def test_a_store_that_is_full_is_ready_for_reads_and_not_for_writes(cluster: Cluster) -> None:
    await cluster.put("/file", b"x" * 10_000)
    assert await _readiness(cluster) == {"reads": 200, "writes": 200, "": 200}
    for number in range(len(cluster.nodes)):
        await cluster.refill_node(number, 0)
    await cluster.look_at_nodes()
    assert await _readiness(cluster) == {"reads": 200, "writes": 503, "": 503}
    [reads, writes] = (await look(cluster, "/ready")).text.splitlines()
    assert (reads, "writes: 6 nodes that take parts are needed, 0 are up; n1 is full" in writes) == (
        "reads: ready",
        True,
    )
    assert (await cluster.get("/file")).body == b"x" * 10_000
    for number in range(len(cluster.nodes)):
        await cluster.refill_node(number, 10**9)
    await cluster.look_at_nodes()
    assert await _readiness(cluster) == {"reads": 200, "writes": 200, "": 200}


@pytest_twisted.ensureDeferred
async def test_a_journal_that_failed_is_ready_for_reads_and_not_for_writes(cluster: Cluster) -> None:
    cluster.journal_filesystem.fails_sync = True
    assert (await cluster.ask("MKCOL", "/a")).code == 503
    assert await _readiness(cluster) == {"reads": 200, "writes": 503, "": 503}


@pytest_twisted.ensureDeferred
async def test_readiness_for_something_else_is_not_answered(cluster: Cluster) -> None:
    assert (await look(cluster, "/ready?for=writing")).code == 400


@pytest.mark.parametrize("path", ["/reload", "/rebalance", "/sweep?dry_run=1", "/probe?id=n7&url=http://127.0.0.1:1"])
@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}]
)
@pytest_twisted.ensureDeferred
async def test_a_page_of_another_site_can_have_nothing_done(
    cluster: Cluster, path: str, headers: dict[str, str]
) -> None:
    answer = await cluster.ask("POST", cluster.admin_url + path, **headers)
    assert (answer.code, answer.text) == (403, "a page of another site asks for this\n")


@pytest_twisted.ensureDeferred
async def test_nothing_is_done_before_the_journal_was_read(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster()
    await cluster.start()
    await cluster.put("/file", b"x" * 10_000)
    await cluster.stop_front()
    cluster.journal_filesystem.hold("read")
    starting = Deferred.fromCoroutine(cluster.start_front())
    await eventually(lambda: cluster.journal_filesystem.waiting)
    assert (await look(cluster, "/health")).code == 200
    for path in ("/rebalance", "/sweep?share=1", "/reload", "/probe?id=n7&url=http://127.0.0.1:1"):
        answer = await look(cluster, path, "POST")
        assert (answer.code, answer.text) == (503, "the front has not started yet\n")
    cluster.journal_filesystem.release()
    await starting
    assert (await look(cluster, "/reload", "POST")).code == 200


@pytest_twisted.ensureDeferred
async def test_operators_can_only_look(cluster: Cluster) -> None:
    assert (await look(cluster, "/nothing")).code == 404
    refused = await look(cluster, "/status", "DELETE")
    assert (refused.code, refused.header("Allow")) == (405, "GET, HEAD")
    assert (await look(cluster, "/status", "HEAD")).code == 200


@pytest_twisted.ensureDeferred
async def test_each_answer_is_as_its_schema_says(cluster: Cluster) -> None:
    await cluster.put("/file", b"abc")
    await look(cluster, "/sweep?dry_run=1", "POST")
    node = await cluster.new_node()
    asked = dict.fromkeys(ANSWERS, "")
    asked["POST /probe"] = f"?id=n7&url=http://127.0.0.1:{node.port}"
    asked["GET /loss"], asked["POST /check"], asked["POST /layout/apply"] = "?id=n1", "?path=/", "?path=/"
    asked["GET /layout"], asked["PUT /layout"] = "?path=/", "?path=/&layout=6%2B0"
    asked["POST /heal"] = "?limit=1000000"
    for request, query in asked.items():
        method, path = request.split()
        if method == "DELETE":
            continue  # a rebalance of so little has ended by then; its answer is that of the POST
        answer = await look(cluster, path + query, method)
        assert answer.code in {200, 202}, request
        for line in answer.body.splitlines():
            report = msgspec.json.decode(line, type=ANSWERS[request])
            # No field more than the schema has, and none less.
            assert msgspec.json.encode(report) == line
