"""The front stands still, as on a paused virtual machine, for longer than its nodes and clients may be silent."""

from __future__ import annotations

import os
import subprocess
from hashlib import sha256
from pathlib import Path

from tests.live.clients import PIECE, curl_hash, numbered_pieces, piped_upload, put, running
from tests.live.conftest import Starter
from tests.live.local_cluster import FRONT

SOME = 20
LARGE = os.urandom(60 * PIECE)
LIMIT_S = 15
LONGER_S = 20


def test_transfers_go_on_when_a_front_that_stood_still_goes_on(own_cluster: Starter, tmp_path: Path) -> None:
    cluster = own_cluster(node_timeout_s=LIMIT_S, client_timeout_s=LIMIT_S)
    put(f"{cluster.url}/large", LARGE)
    more = os.urandom(100_000)
    slow_reader = ["curl", "-sS", "--fail", "--limit-rate", "6M", "-o", tmp_path / "read", f"{cluster.url}/large"]
    with piped_upload(f"{cluster.url}/slow") as upload, running(slow_reader) as reader:
        upload.feed(numbered_pieces(SOME))
        cluster.disks.wait_in_the_middle()
        with cluster.paused(FRONT):
            upload.feed(iter([more]))
            # Another client gives up meanwhile.
            patient = ["curl", "-sS", "--max-time", str(LONGER_S), cluster.url]
            assert subprocess.run(patient, check=False, capture_output=True).returncode == 28
        assert reader.wait() == 0
        assert upload.finish() == (0, 201)
    assert (tmp_path / "read").read_bytes() == LARGE
    digest = sha256(b"".join([*numbered_pieces(SOME), more])).hexdigest()
    assert curl_hash(f"{cluster.url}/slow") == (digest, SOME * PIECE + len(more))
    assert {node["state"] for node in cluster.status()["nodes"]} == {"up"}
