"""`kill -9` of the front."""

from __future__ import annotations

import os

from tests.live.clients import ask, numbered_pieces, piped_upload, put
from tests.live.conftest import Starter
from tests.live.local_cluster import FRONT, LocalCluster
from tests.live.processes import wait_until

SOME = 20
FILE = os.urandom(3_000_001)


def test_a_file_that_was_answered_for_is_there_after_the_front_was_killed(module_cluster: LocalCluster) -> None:
    cluster = module_cluster
    url = f"{cluster.url}/file"
    etag = put(url, FILE)
    cluster.wait_recovered(cluster.kill(FRONT))
    found = ask(url)
    assert (found.status, found.etag) == (200, etag)
    assert found.body == FILE


def test_a_new_file_half_sent_when_the_front_is_killed_does_not_exist_and_leaves_no_part(
    module_cluster: LocalCluster,
) -> None:
    cluster = module_cluster
    url = f"{cluster.url}/file"
    with piped_upload(url) as upload:
        upload.feed(numbered_pieces(SOME))
        cluster.disks.wait_in_the_middle()
        killed = cluster.kill(FRONT)
        code, status = upload.finish()
        assert code != 0
        assert status in {0, 100}
    cluster.wait_recovered(killed)
    assert ask(url).status == 404
    cluster.disks.wait_for_parts_of_only()


def test_the_old_version_is_whole_when_the_front_is_killed_while_a_new_one_is_sent(
    module_cluster: LocalCluster,
) -> None:
    cluster = module_cluster
    url = f"{cluster.url}/file"
    etag = put(url, FILE)
    with piped_upload(url) as upload:
        upload.feed(numbered_pieces(SOME))
        cluster.disks.wait_in_the_middle()
        killed = cluster.kill(FRONT)
        assert upload.finish()[0] != 0
    cluster.wait_recovered(killed)
    found = ask(url)
    assert (found.status, found.etag) == (200, etag)
    assert found.body == FILE
    cluster.disks.wait_for_parts_of_only(etag)


def test_parts_that_were_whole_already_go_when_the_front_is_killed_before_the_last_one(own_cluster: Starter) -> None:
    cluster = own_cluster(node_timeout_s=3600)
    url = f"{cluster.url}/file"
    with piped_upload(url) as upload:
        upload.feed(numbered_pieces(SOME))
        cluster.disks.wait_in_the_middle()
        with cluster.paused("n2"):
            upload.end()
            cluster.disks.wait_for_parts(5)
            killed = cluster.kill(FRONT)
        assert upload.finish()[0] != 0
    cluster.wait_recovered(killed)
    assert ask(url).status == 404
    cluster.disks.wait_for_parts_of_only()


def test_a_part_that_comes_after_the_next_front_has_deleted_it_is_not_kept(own_cluster: Starter) -> None:
    cluster = own_cluster(node_timeout_s=5, reap_interval_s=1)
    with piped_upload(f"{cluster.url}/file") as upload:
        with cluster.paused("n2"):
            # All of it waits in n2's connection, with n2 unaware of it.
            upload.feed(iter([os.urandom(100_000)]))
            upload.end()
            cluster.disks.wait_for_parts(5)
            killed = cluster.kill(FRONT)
            wait_until(
                lambda: cluster.status().get("reaper", {}).get("doomed") == 1, "the reaper at work", cluster.status
            )
            cluster.disks.wait_for_parts(0)
        assert upload.finish()[0] != 0
    cluster.wait_recovered(killed)
    wait_until(lambda: cluster.status()["reaper"]["doomed"] == 0, "the end of the reaper's work", cluster.status)
    cluster.disks.wait_for_parts_of_only()


def test_a_file_that_was_answered_for_is_there_after_everything_was_killed_at_once(
    module_cluster: LocalCluster,
) -> None:
    cluster = module_cluster
    url = f"{cluster.url}/file"
    etag = put(url, FILE)
    cluster.wait_recovered(cluster.kill(*cluster.pids()))
    found = ask(url)
    assert (found.status, found.etag) == (200, etag)
    assert found.body == FILE
    cluster.disks.wait_for_parts_of_only(etag)
