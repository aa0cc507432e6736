"""Files that are much larger than the memory that the daemons may use."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from storaged.parts.format import payload_size
from tests.live.clients import PIECE, Command, curl, curl_hash, running
from tests.live.conftest import BigFile, Starter
from tests.live.local_cluster import LocalCluster
from tests.live.processes import wait_until, wait_until_still

WRITE_OUT = ("-w", "%{http_code} %header{etag}")


def store(url: str, file: BigFile, *, known: bool) -> str:
    """Store the big file; return its entity tag."""
    if known:
        status, etag = curl(*WRITE_OUT, "-T", file.path, url)
    else:
        with file.path.open("rb") as stream:
            status, etag = curl(*WRITE_OUT, "-T", "-", url, stdin=stream)
    assert status == "201"
    return etag


@pytest.mark.parametrize("known", [True, False], ids=["length known", "length unknown"])
def test_a_big_file_comes_back_whole_from_six_equal_parts_at_bounded_memory(
    cluster: LocalCluster, big_file: BigFile, known: bool
) -> None:
    url = f"{cluster.url}/big-{known}"
    with cluster.memory_bounded():
        etag = store(url, big_file, known=known)
        assert curl_hash(url) == (big_file.sha256, big_file.size)
    parts = cluster.disks.parts(etag)
    assert [len(files) for files in parts.values()] == [1] * 6
    unit = cluster.status()["unit"]
    sizes = [payload_size(file.stat().st_size, unit) for files in parts.values() for file in files]
    assert sum(sizes) == big_file.size
    assert max(sizes) - min(sizes) <= 1
    curl("-X", "DELETE", url)


def test_a_slow_reader_costs_no_memory_and_holds_nobody_up(
    cluster: LocalCluster, big_file: BigFile, tmp_path: Path
) -> None:
    url, slowly = f"{cluster.url}/read-slowly", tmp_path / "slowly"
    store(url, big_file, known=True)
    command: Command = ["curl", "-sS", "--limit-rate", "1M", "-o", slowly, url]
    with cluster.memory_bounded(), running(command) as slow:
        wait_until(slowly.exists, "the slow reader's first byte")
        for known in (True, False):
            store(f"{url}-{known}", big_file, known=known)
            assert curl_hash(f"{url}-{known}") == (big_file.sha256, big_file.size)
        assert slow.poll() is None
    with slowly.open("rb") as got, big_file.path.open("rb") as expected:
        while piece := got.read(PIECE):
            assert piece == expected.read(len(piece))
    for name in (url, f"{url}-True", f"{url}-False"):
        curl("-X", "DELETE", name)


def test_a_node_that_stands_still_stops_the_upload_and_memory_stays_bounded(
    own_cluster: Starter, big_file: BigFile
) -> None:
    # However slow this machine is today, the node stands still for less time than it may.
    cluster = own_cluster(node_timeout_s=3600, client_timeout_s=3600)
    url = f"{cluster.url}/big"
    command: Command = ["curl", "-sS", "-w", "%{http_code}", "-T", big_file.path, url]
    with cluster.memory_bounded():
        with running(command, stdout=subprocess.PIPE) as upload:
            cluster.disks.wait_in_the_middle()
            with cluster.paused("n4"):
                taken = wait_until_still(lambda: cluster.status()["uploads"]["bytes"], "the upload")
                assert 0 < taken < big_file.size
                assert upload.poll() is None
            said, _ = upload.communicate()
        assert (said, upload.returncode) == (b"201", 0)
        assert curl_hash(url) == (big_file.sha256, big_file.size)
