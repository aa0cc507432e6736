"""Clients that leave, and clients that are refused."""

from __future__ import annotations

from pathlib import Path

from tests.live.clients import ask, curl, numbered_pieces, piped_upload
from tests.live.conftest import Starter
from tests.live.local_cluster import LocalCluster
from tests.live.processes import wait_until


def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(own_cluster: Starter) -> None:
    cluster = own_cluster()
    with piped_upload(f"{cluster.url}/file") as upload:
        upload.feed(numbered_pieces(20))
        cluster.disks.wait_in_the_middle()
        assert cluster.status()["uploads"]["under_way"] == 1
        upload.kill()
    wait_until(lambda: cluster.status()["uploads"]["under_way"] == 0, "the end of the upload", cluster.status)
    cluster.disks.wait_for_parts_of_only()
    uploads = cluster.status()["uploads"]
    assert (uploads["aborted"], uploads["committed"]) == (1, 0)
    assert ask(f"{cluster.url}/file").status == 404


def test_a_refused_client_that_waits_for_100_continue_sends_no_byte(cluster: LocalCluster, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(10_000_000))
    url = f"{cluster.url}/missing-collection/file"
    wait = ("-H", "Expect: 100-continue", "--expect100-timeout", "60", "-o", "/dev/null")
    told = curl(*wait, "-w", "%{http_code} %{size_upload}", "-T", file, url)
    assert told == ["409", "0"]


def test_a_client_that_waits_for_100_continue_is_told_to_go_on(cluster: LocalCluster, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(10_000_000))
    url = f"{cluster.url}/waits-for-continue"
    wait = ("-H", "Expect: 100-continue", "--expect100-timeout", "60")
    assert curl(*wait, "-w", "%{http_code} %{size_upload}", "-T", file, url) == ["201", "10000000"]
    curl("-X", "DELETE", url)
