"""Clients of tus of other projects: tus-js-client, tuspy and aiotus; the front is killed while they send."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import io
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import aiotus
import pytest
from tusclient.client import TusClient
from tusclient.storage.filestorage import FileStorage

from tests.clients.clusters import new_cluster
from tests.clients.programs import find, succeed
from tests.live.clients import ask
from tests.live.local_cluster import FRONT, LocalCluster

MIB = 1024 * 1024
DATA = os.urandom(24 * MIB + 1)
PIECE = 1_000_000
"""aiohttp warns of larger bodies that are bytes."""

PROJECT = Path(__file__).parent / "tus"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A cluster whose front may be killed."""
    made = new_cluster(tmp_path_factory.mktemp("tus") / "cluster")
    try:
        made.start()
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tus-js-client, as npm installs it."""
    folder = tmp_path_factory.mktemp("npm")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PROJECT / name, folder)
    # Which registry is used, and by which proxy, is said by the settings of the one who runs the tests.
    succeed("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", folder=folder, environment=os.environ)
    return folder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that holds `DATA`."""
    made = tmp_path / "file.bin"
    made.write_bytes(DATA)
    return made


def endpoint(cluster: LocalCluster) -> str:
    return f"{cluster.url}/.splitd/uploads/"


def stored(cluster: LocalCluster, path: str) -> str:
    """The SHA-256 of what is stored."""
    answer = ask(f"{cluster.url}{path}")
    assert answer.status == 200
    return hashlib.sha256(answer.body).hexdigest()


EXPECTED = hashlib.sha256(DATA).hexdigest()


class Node:
    """A program of tus-js-client that runs."""

    def __init__(self, cluster: LocalCluster, modules: Path, file: Path, **asked: Any) -> None:
        told = {"file": str(file), "endpoint": endpoint(cluster), "modules": str(modules), **asked}
        self._process = subprocess.Popen(
            [find("node"), PROJECT / "upload.mjs", json.dumps(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        """The next line that it prints."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def go_on(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("go on\n")
        self._process.stdin.flush()

    def end(self, code: int = 0) -> str:
        """Wait for its end; return its last line."""
        said, _ = self._process.communicate(timeout=120)
        assert self._process.returncode == code, said
        return said.strip()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunkSize": 5 * MIB},
        {"chunkSize": 5 * MIB, "uploadDataDuringCreation": True},
        {"chunkSize": 5 * MIB, "uploadLengthDeferred": True, "uploadSize": None},
        {"chunkSize": 5 * MIB, "overridePatchMethod": True},
    ],
    ids=["whole", "chunks", "with-creation", "unknown-length", "override"],
)
def test_tus_js_client_uploads(cluster: LocalCluster, modules: Path, file: Path, options: dict[str, Any]) -> None:
    metadata = {"filename": "by js ä.bin", "filetype": "video/x-own"}
    whole = "uploadLengthDeferred" in options
    told = Node(cluster, modules, file, options={**options, "metadata": metadata}, whole=whole).end()
    assert told.startswith("done: ")
    assert stored(cluster, "/by%20js%20%C3%A4.bin") == EXPECTED
    with urlopen(f"{cluster.url}/by%20js%20%C3%A4.bin") as answer:
        assert answer.headers["Content-Type"] == "video/x-own"


def test_tus_js_client_goes_on_after_the_front_was_killed(cluster: LocalCluster, modules: Path, file: Path) -> None:
    options = {"chunkSize": 3 * MIB, "metadata": {"filename": "killed.bin"}}
    node = Node(cluster, modules, file, options=options, pause=8 * MIB)
    assert node.line() == "paused"
    killed = cluster.kill(FRONT)
    node.go_on()  # it tries again until the front is back
    assert node.end().startswith("done: ")
    cluster.wait_recovered(killed)
    assert stored(cluster, "/killed.bin") == EXPECTED


def test_tus_js_client_speaks_the_draft_of_the_ietf(cluster: LocalCluster, modules: Path, file: Path) -> None:
    options = {"protocol": "ietf-draft-05", "chunkSize": 5 * MIB, "endpoint": f"{cluster.url}/by-draft.bin"}
    assert Node(cluster, modules, file, options=options, whole=True).end().startswith("done: ")
    assert stored(cluster, "/by-draft.bin") == EXPECTED
    options["endpoint"] = f"{cluster.url}/paused.bin"
    node = Node(cluster, modules, file, options=options, whole=True, pause=8 * MIB)
    assert node.line() == "paused"
    node.go_on()
    assert node.end().startswith("done: ")
    assert stored(cluster, "/paused.bin") == EXPECTED


def test_tus_js_client_tells_a_taken_name(cluster: LocalCluster, modules: Path, file: Path) -> None:
    assert ask(f"{cluster.url}/taken.bin", "PUT", b"there").status == 201
    options = {"metadata": {"filename": "taken.bin"}, "headers": {"If-None-Match": "*"}}
    assert Node(cluster, modules, file, options=options).end(1).startswith("failed: 412")
    assert ask(f"{cluster.url}/taken.bin").body == b"there"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves files open
def test_tuspy_goes_on_after_the_front_was_killed(cluster: LocalCluster, file: Path, tmp_path: Path) -> None:
    client = TusClient(endpoint(cluster))
    storage = FileStorage(str(tmp_path / "urls.json"))
    named: dict[str, Any] = {
        "metadata": {"filename": "by-tuspy.bin"},
        "chunk_size": 3 * MIB,
        "upload_checksum": True,
        "store_url": True,
        "url_storage": storage,
    }
    client.uploader(str(file), **named).upload(stop_at=9 * MIB)
    cluster.wait_recovered(cluster.kill(FRONT))
    again = client.uploader(str(file), **named)
    assert again.offset == 9 * MIB
    again.upload()
    storage.close()
    assert stored(cluster, "/by-tuspy.bin") == EXPECTED
    del again
    gc.collect()


def test_aiotus_uploads_one_file_and_joins_several(cluster: LocalCluster, file: Path) -> None:
    async def upload() -> None:
        with file.open("rb") as opened:
            url = await aiotus.upload(endpoint(cluster), opened, {"filename": b"by-aiotus.bin"}, chunksize=PIECE)
        assert url is not None
        assert await aiotus.metadata(url) is not None
        pieces = [io.BytesIO(DATA[start : start + 10 * MIB]) for start in range(0, len(DATA), 10 * MIB)]
        joined = await aiotus.upload_multiple(endpoint(cluster), pieces, {"filename": b"joined.bin"}, chunksize=PIECE)
        assert joined is not None

    asyncio.run(upload())
    assert stored(cluster, "/by-aiotus.bin") == EXPECTED
    assert stored(cluster, "/joined.bin") == EXPECTED
