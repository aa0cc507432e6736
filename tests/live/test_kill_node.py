"""`kill -9` of a storage server."""

from __future__ import annotations

import subprocess
from hashlib import sha256
from pathlib import Path

from tests.live.clients import PIECE, ask, curl_hash, numbered_pieces, out, piped_upload, put, running
from tests.live.conftest import Starter
from tests.live.local_cluster import SPLITCTL

SOME = 20
MORE_THAN_CONNECTIONS_HOLD = 480
"""MiB.  The kernel delivers what a node has sent although the node is dead: here up to 36 MiB to the front."""

CURL_SAYS_NOT_WHOLE = {18, 56}
SPLITCTL_SAYS_NOT_WHOLE = 4


def test_an_upload_whose_node_is_killed_gets_503_and_leaves_no_part(own_cluster: Starter) -> None:
    cluster = own_cluster()
    url = f"{cluster.url}/file"
    with piped_upload(url) as upload:
        upload.feed(numbered_pieces(SOME))
        cluster.disks.wait_in_the_middle()
        killed = cluster.kill("n3")
        upload.feed(numbered_pieces(SOME))
        assert upload.finish()[1] == 503
    assert ask(url).status == 404
    cluster.wait_recovered(killed)
    assert ask(url).status == 404
    cluster.disks.wait_for_parts_of_only()
    uploads = cluster.status()["uploads"]
    assert (uploads["under_way"], uploads["aborted"], uploads["committed"]) == (0, 1, 0)


def test_a_download_whose_node_is_killed_fails_and_gives_no_wrong_byte(own_cluster: Starter, tmp_path: Path) -> None:
    cluster = own_cluster()
    url = f"{cluster.url}/file"
    put(url, numbered_pieces(MORE_THAN_CONNECTIONS_HOLD))
    with (
        running(["curl", "-sS", url], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as curl,
        running(
            [SPLITCTL, "--url", cluster.url, "get", "--retries", "0", "/file", "-"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as splitctl,
        running(
            [SPLITCTL, "--url", cluster.url, "get", "/file", "-"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as patient,
    ):
        readers = (curl, splitctl, patient)
        begun = [out(reader).read(PIECE) for reader in readers]  # all stand still after that
        killed = cluster.kill("n5")
        got = [first + out(reader).read() for first, reader in zip(begun, readers, strict=True)]
        assert curl.wait() in CURL_SAYS_NOT_WHOLE
        assert splitctl.wait() == SPLITCTL_SAYS_NOT_WHOLE
        assert patient.wait() == 0  # it has gone on when the node was there again
    assert len(got[2]) == MORE_THAN_CONNECTIONS_HOLD * PIECE
    for data in got[:2]:
        assert 0 < len(data) < MORE_THAN_CONNECTIONS_HOLD * PIECE
    for data in got:
        at = 0
        for piece in numbered_pieces(len(data) // PIECE + 1):
            assert piece.startswith(data[at : at + PIECE])
            at += PIECE
    cluster.wait_recovered(killed)
    whole = sha256()
    for piece in numbered_pieces(MORE_THAN_CONNECTIONS_HOLD):
        whole.update(piece)
    assert curl_hash(url) == (whole.hexdigest(), MORE_THAN_CONNECTIONS_HOLD * PIECE)
