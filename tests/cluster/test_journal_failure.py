"""A journal that cannot be written: nothing can be changed any more, and everything can still be read."""

from __future__ import annotations

import json

import pytest_twisted

from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually


@pytest_twisted.ensureDeferred
async def test_a_journal_that_fails_stops_changes_and_no_reads(cluster: Cluster) -> None:
    await cluster.put("/file", b"abc")
    await cluster.ask("MKCOL", "/a")
    cluster.journal_filesystem.fails_sync = True
    failed = await cluster.put("/file", b"def")
    assert (failed.code, "journal" in failed.text) == (503, True)
    cluster.journal_filesystem.fails_sync = False  # too late: what a failed sync lost is not known
    for method, path in [("PUT", "/file"), ("PUT", "/new"), ("DELETE", "/file"), ("DELETE", "/a"), ("MKCOL", "/b")]:
        answer = await cluster.ask(method, path, b"x" if method == "PUT" else None)
        assert (answer.code, "journal" in answer.text) == (503, True), (method, path)
    assert (await cluster.get("/file")).body == b"abc"
    page = json.loads((await cluster.get("/", Accept="application/json")).body)
    assert [member["name"] for member in page["members"]] == ["a", "file"]
    ready = await cluster.ask("GET", f"{cluster.admin_url}/ready")
    assert (ready.code, "journal" in ready.text) == (503, True)
    assert "journal" in (await cluster.status())["journal"]["failure"]


@pytest_twisted.ensureDeferred
async def test_a_body_is_not_asked_for_once_the_journal_failed(cluster: Cluster) -> None:
    cluster.journal_filesystem.fails_sync = True
    assert (await cluster.ask("MKCOL", "/a")).code == 503
    client = await cluster.connect()
    client.begin("PUT", "/file", "Content-Length: 100000", "Expect: 100-continue")
    assert (await client.answer()).code == 503
    assert cluster.nothing_stored()


@pytest_twisted.ensureDeferred
async def test_after_a_restart_there_is_one_whole_version_and_no_part_of_another(cluster: Cluster) -> None:
    await cluster.put("/file", b"abc")
    cluster.journal_filesystem.fails_sync = True
    assert (await cluster.put("/file", b"def")).code == 503
    cluster.journal_filesystem.fails_sync = False
    await cluster.restart_front()
    got = await cluster.get("/file")
    assert got.body in {b"abc", b"def"}  # its record may be in the journal: it was answered with neither yes nor no
    await cluster.status_becomes(lambda status: not status["reaper"]["doomed"])
    assert len(cluster.uploads_stored()) == 1
    assert (await cluster.get("/file")).body == got.body
    assert (await cluster.put("/file", b"ghi")).code == 204


@pytest_twisted.ensureDeferred
async def test_a_front_that_cannot_write_its_journal_at_the_start_serves_the_files(cluster: Cluster) -> None:
    await cluster.put("/file", b"abc")
    before = cluster.uploads_stored()
    client = await cluster.connect()
    client.begin("PUT", "/large", "Content-Length: 100000")
    client.send(bytes(99_999))
    await eventually(lambda: all(node.half_written() for node in cluster.nodes))
    await cluster.crash_front()
    cluster.journal_filesystem.fails_sync = True
    await cluster.start_front()
    assert (await cluster.get("/file")).body == b"abc"
    refused = await cluster.put("/new", b"x")
    assert (refused.code, "journal" in refused.text) == (503, True)
    cluster.journal_filesystem.fails_sync = False
    await cluster.restart_front()
    await cluster.status_becomes(lambda status: not status["reaper"]["doomed"])
    assert (await cluster.put("/file", b"abc", If_Match="*")).code == 204
    await eventually(lambda: len(cluster.uploads_stored()) == len(before))
