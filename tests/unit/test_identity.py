from __future__ import annotations

from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.python.threadpool import ThreadPool

from storaged.identity import Identity
from storaged.parts.errors import WrongNode
from storaged.system.filesystem import OSFilesystem


def identity(folder: Path, pool: ThreadPool, node: str = "n1") -> Identity:
    from twisted.internet import reactor

    made = Identity(str(folder), node, OSFilesystem(), pool, reactor)
    made.load()
    return made


@pytest_twisted.ensureDeferred
async def test_a_node_joins_the_first_cluster_that_asks_and_no_other(tmp_path: Path, pool: ThreadPool) -> None:
    node = identity(tmp_path, pool)
    joining = node.check("n1", "aa")
    assert joining is not None
    await joining
    assert node.check("n1", "aa") is None
    with pytest.raises(WrongNode, match="belongs to cluster aa, not to bb"):
        node.check("n1", "bb")
    again = identity(tmp_path, pool)
    assert again.cluster == "aa"
    with pytest.raises(WrongNode, match="belongs to cluster aa"):
        again.check("n1", "bb")


@pytest_twisted.ensureDeferred
async def test_of_two_clusters_that_ask_at_once_one_is_refused(tmp_path: Path, pool: ThreadPool) -> None:
    node = identity(tmp_path, pool)
    first, second = node.check("n1", "aa"), node.check("n1", "bb")
    assert isinstance(first, Deferred)
    assert isinstance(second, Deferred)
    await first
    with pytest.raises(WrongNode):
        await second
    assert node.cluster == "aa"


def test_a_request_for_another_node_is_refused(tmp_path: Path, pool: ThreadPool) -> None:
    with pytest.raises(WrongNode, match=r"^this is node n1$"):
        identity(tmp_path, pool).check("n2", None)


def test_a_folder_of_another_node_is_refused(tmp_path: Path, pool: ThreadPool) -> None:
    identity(tmp_path, pool)
    with pytest.raises(WrongNode, match="belongs to node n1, not to n2"):
        identity(tmp_path, pool, "n2")


def test_a_crash_while_the_identity_was_written_is_harmless(tmp_path: Path, pool: ThreadPool) -> None:
    (tmp_path / "identity.json.new").write_text("{")
    assert identity(tmp_path, pool).cluster == ""


def test_each_empty_folder_gets_an_id_of_its_own_as_a_disk_and_keeps_it(tmp_path: Path, pool: ThreadPool) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    disk = identity(first, pool).disk
    assert len(disk) == 32
    assert identity(first, pool).disk == disk
    assert identity(second, pool).disk != disk


@pytest_twisted.ensureDeferred
async def test_a_disk_keeps_its_id_when_its_node_joins_a_cluster(tmp_path: Path, pool: ThreadPool) -> None:
    node = identity(tmp_path, pool)
    joining = node.check("n1", "aa")
    assert joining is not None
    await joining
    assert identity(tmp_path, pool).disk == node.disk


def test_a_folder_of_an_older_storaged_gets_an_id_as_a_disk(tmp_path: Path, pool: ThreadPool) -> None:
    (tmp_path / "identity.json").write_text('{"version": 1, "node": "n1", "cluster": "aa"}\n')
    node = identity(tmp_path, pool)
    again = identity(tmp_path, pool)
    assert (again.disk, again.cluster, len(again.disk)) == (node.disk, "aa", 32)
