"""The wall clock is set while a cluster is under load: timeouts, polls and expiries are not affected."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from hashlib import sha256
from http.client import HTTPConnection
from itertools import chain
from pathlib import Path

import pytest
import yaml

from tests.live.clients import PIECE, ask, curl_hash, numbered_pieces, piped_upload, put
from tests.live.conftest import Starter
from tests.live.load import load
from tests.live.local_cluster import LocalCluster
from tests.live.processes import wait_until
from tests.live.wall_clock import WallClock

DAY_S = 86_400
SOME = 20
LOCK = b'<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>'


def trash_file(cluster: LocalCluster) -> Path:
    """Return a part that was moved to a node's trash a moment ago."""
    name = f"{int(time.time() * 1000):013}-{'ab' * 16}.0"
    path = cluster.folder / "nodes" / "n1" / "data" / "trash" / name
    path.write_bytes(b"put aside")
    return path


def change_registry(cluster: LocalCluster) -> None:
    path = cluster.folder / "nodes.yaml"
    entries = yaml.safe_load(path.read_text())
    entries[1]["weight"] = 3
    path.write_text(yaml.safe_dump(entries))


def node(cluster: LocalCluster, node_id: str) -> dict[str, object]:
    found: list[dict[str, object]] = cluster.status().get("nodes", [])
    return next((each for each in found if each["id"] == node_id), {})


def last_modified_s(cluster: LocalCluster, path: str) -> float:
    connection = HTTPConnection("127.0.0.1", cluster.port)
    try:
        connection.request("HEAD", path)
        value = connection.getresponse().headers["Last-Modified"]
    finally:
        connection.close()
    return parsedate_to_datetime(value).timestamp()


def hash_of_both() -> tuple[str, int]:
    """Of the pieces that the upload is fed, before the step and after it."""
    digest = sha256()
    for piece in chain(numbered_pieces(SOME), numbered_pieces(SOME)):
        digest.update(piece)
    return digest.hexdigest(), 2 * SOME * PIECE


@pytest.mark.parametrize("step_s", [2 * DAY_S, -2 * DAY_S], ids=["ahead", "back"])
def test_a_step_of_the_wall_clock_cuts_nothing_and_holds_up_nothing(
    own_cluster: Starter, tmp_path: Path, step_s: int
) -> None:
    clock = WallClock(tmp_path / "clock")
    cluster = own_cluster(clock.environment())
    kept = trash_file(cluster)
    put(f"{cluster.url}/locked", b"first")
    assert ask(f"{cluster.url}/locked", "LOCK", LOCK, Timeout="Second-600").status == 200
    with load(cluster.url, clients=2, names=10), piped_upload(f"{cluster.url}/slow") as upload:
        upload.feed(numbered_pieces(SOME))
        cluster.disks.wait_in_the_middle()
        clock.step(step_s)
        change_registry(cluster)
        wait_until(lambda: node(cluster, "n2")["weight"] == 3, "the registry's change", cluster.status)
        assert {each["state"] for each in cluster.status()["nodes"]} == {"up"}
        upload.feed(numbered_pieces(SOME))
        assert upload.finish() == (0, 201)
    assert curl_hash(f"{cluster.url}/slow") == hash_of_both()
    with cluster.paused("n3"):
        wait_until(lambda: node(cluster, "n3")["state"] == "down", "n3 down", cluster.status)
    wait_until(lambda: node(cluster, "n3")["state"] == "up", "n3 up", cluster.status)
    wait_until(lambda: cluster.status()["reaper"]["doomed"] == 0, "nothing doomed", cluster.status)
    assert ask(f"{cluster.url}/locked", "PUT", b"second").status == 423
    assert kept.read_bytes() == b"put aside"
    assert cluster.status()["uptime_s"] < DAY_S
    # Times that are shown are those of the wall clock.
    assert abs(last_modified_s(cluster, "/slow") - time.time() - step_s) < DAY_S / 2
