from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import attrs
import pytest

from tests.live.clients import PIECE, ask
from tests.live.local_cluster import LocalCluster
from tests.live.processes import wait_until
from tests.postgres import Postgres

Starter = Callable[..., LocalCluster]


@attrs.frozen
class BigFile:
    """A file of random bytes."""

    path: Path
    size: int
    sha256: str


@pytest.fixture(scope="session")
def big_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BigFile]:
    """A file of SPLITD_TEST_BIG bytes, by default 512 MiB.

    A front that keeps it in memory exceeds its limit, and so does a node that keeps its part.
    """
    size = int(os.environ.get("SPLITD_TEST_BIG", str(2**29)))
    path = tmp_path_factory.mktemp("big") / "big"
    digest = sha256()
    with path.open("wb") as file:
        for start in range(0, size, PIECE):
            piece = os.urandom(min(PIECE, size - start))
            digest.update(piece)
            file.write(piece)
    yield BigFile(path, size, digest.hexdigest())
    path.unlink()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A cluster that all tests share.  They must not damage it, and must use different names."""
    made = LocalCluster(tmp_path_factory.mktemp("shared") / "cluster")
    try:
        made.start()
        yield made
    finally:
        made.remove()


class _Lasting:
    """A cluster that lasts until a test leaves it in disorder."""

    def __init__(self, folder: Path, settings: Mapping[str, object]) -> None:
        self._folder = folder
        self._settings = settings
        self._made: list[LocalCluster] = []
        self.running: LocalCluster | None = None

    def start(self) -> LocalCluster:
        """Return the cluster; start one if there is none."""
        if self.running is None:
            self._made.append(LocalCluster(self._folder / f"cluster{len(self._made)}", **self._settings))
            self._made[-1].start()
            self.running = self._made[-1]
        return self.running

    def tidy(self) -> None:
        """Delete all files, and wait until all is well; another cluster is for the next test if that fails."""
        cluster, self.running = self.start(), None
        wait_until(cluster.is_well, "all well after the test", cluster.status)
        listed = ask(cluster.url, Accept="application/json")
        assert listed.status == 200, listed
        for member in json.loads(listed.body)["members"]:
            assert ask(f"{cluster.url}/{quote(member['name'])}", "DELETE").status == 204
        cluster.disks.wait_for_parts_of_only()
        self.running = cluster

    def remove(self) -> None:
        for each in self._made:
            each.remove()


@pytest.fixture(scope="module")
def lasting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Lasting]:
    kept = _Lasting(tmp_path_factory.mktemp("module"), getattr(request.module, "SETTINGS", {}))
    yield kept
    kept.remove()


@pytest.fixture
def module_cluster(lasting: _Lasting) -> Iterator[LocalCluster]:
    """A cluster that the tests of a module share, because its start takes longer than most of them.

    They may damage it, but must mend it.  Each begins with no file.  The module's SETTINGS are more keys of the front's
    settings.
    """
    yield lasting.start()
    lasting.tidy()


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[Starter]:
    """A function that starts the test's own cluster, which may be damaged.

    It takes variables for the environment of the processes, how many files each may have open, and more keys of the
    front's settings.
    """
    made: list[LocalCluster] = []

    def start(environment: Mapping[str, str] = {}, descriptors: int | None = None, **settings: object) -> LocalCluster:
        made.append(LocalCluster(tmp_path / f"cluster{len(made)}", **settings))
        made[-1].environment.update(environment)
        made[-1].descriptors = descriptors
        made[-1].start()
        return made[-1]

    yield start
    for each in made:
        each.remove()


@pytest.fixture
def server() -> Iterator[Postgres]:
    """A PostgreSQL server of the test's own, which it may kill."""
    own = Postgres()
    yield own
    own.stop()
