"""A front stands still, or is cut off from the database alone, in the middle of a download and of an upload.

Its lease has expired meanwhile, for all that the database and the other front know.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlsplit

import attrs
import psycopg
import pytest
import yaml

from splitd.catalog.sql.connecting import connector
from tests.live.clients import PIECE, ask, numbered_pieces, piped_upload, put
from tests.live.database_cluster import DatabaseCluster
from tests.live.processes import wait_until
from tests.postgres import Postgres

NODES = 6
SIZE = 48 * PIECE
"""More than the kernel and the front keep of a download that its client does not read."""
OTHER = "front2"


@attrs.frozen
class Two:
    """Two fronts, the first of which does the upkeep; the second one can be harmed."""

    cluster: DatabaseCluster
    url: str
    server: Postgres

    @property
    def urls(self) -> tuple[str, str]:
        return self.cluster.urls[0], self.cluster.urls[1]

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Run a query beside the fronts."""
        with connector(self.url)() as connection:  # which is closed at the end
            cursor = connection.execute(query)
            return cursor.fetchall() if cursor.description else []

    def expire(self) -> None:
        """Let the lease of the second front have expired a minute ago."""
        port = self.cluster.ports[OTHER]
        self.rows(f"UPDATE front SET expires = now() - interval '1 minute' WHERE address LIKE '%:{port}'")

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Let the second front stand still until the end of the block."""
        daemon = self.cluster.daemons[OTHER]
        daemon.send(signal.SIGSTOP)
        try:
            self.expire()
            yield
        finally:
            daemon.send(signal.SIGCONT)

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Cut the second front off from the database, and from nothing else, until the end of the block."""
        self.rows("ALTER ROLE cut NOLOGIN")
        try:
            self.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'cut'")
            wait_until(lambda: ask(f"{self.urls[1]}/nothing").status == 503, "the database away")
            self.expire()
            yield
        finally:
            self.rows("ALTER ROLE cut LOGIN")

    def doomed(self) -> int:
        """Count the parts that are to be deleted."""
        [(count,)] = self.rows("SELECT count(*) FROM doomed")
        return int(str(count))

    def is_reaped(self) -> bool:
        """Whether nothing is left to delete of what was deleted an hour ago."""
        return self.rows("SELECT count(*) FROM doomed WHERE at < now() - interval '50 minutes'") == [(0,)]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    server = Postgres()
    url = server.url("public")
    with psycopg.connect(url) as connection:  # which is closed at the end
        connection.execute("CREATE ROLE cut SUPERUSER LOGIN")
    cluster = DatabaseCluster(tmp_path_factory.mktemp("two") / "cluster", NODES, url, fronts=2)
    config = cluster.folder / OTHER / "splitd.yaml"
    settings = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({**settings, "catalog": url.replace("//splitd@", "//cut@")}))
    try:
        cluster.bring_up(*(name for name in cluster.daemons if name != OTHER))
        wait_until(cluster.upkeep, "a front that does the upkeep")
        cluster.bring_up(OTHER)
        cluster.wait_ready()
        yield Two(cluster, url, server)
    finally:
        cluster.stop()
        server.stop()


@contextmanager
def reading(url: str) -> Iterator[HTTPResponse]:
    """The answer to a request for a file, of which nothing was read yet."""
    place = urlsplit(url)
    connection = HTTPConnection(place.netloc, timeout=120)
    try:
        connection.request("GET", place.path)
        yield connection.getresponse()
    finally:
        connection.close()


Harm = Callable[[Two], AbstractContextManager[None]]
harms = pytest.mark.parametrize("harm", [Two.standing_still, Two.cut_off], ids=["standing still", "cut off"])


@harms
def test_what_such_a_front_reads_stays_until_it_was_read_and_what_it_stores_is_aborted(two: Two, harm: Harm) -> None:
    one, other = two.urls
    data = b"".join(numbered_pieces(SIZE // PIECE))
    put(f"{one}/read", data)
    put(f"{one}/old", os.urandom(3 * PIECE))
    put(f"{one}/file", b"old")
    with reading(f"{other}/read") as answer, piped_upload(f"{other}/file") as upload:
        digest = sha256(answer.read(PIECE))
        upload.feed(numbered_pieces(2))
        wait_until(lambda: two.rows("SELECT count(*) FROM upload") == [(1,)], "an upload under way")
        with harm(two):
            assert ask(f"{one}/old", "DELETE").status == 204
            wait_until(lambda: two.doomed() > 0, "something doomed")
            two.rows("UPDATE doomed SET at = now() - interval '1 hour'")
            assert ask(f"{one}/read", "DELETE").status == 204
            wait_until(two.is_reaped, "the deletion of what nobody reads", two.cluster.status)
            assert two.doomed() >= NODES, "what is read is still there"
            wait_until(lambda: two.rows("SELECT count(*) FROM upload") == [(0,)], "the upload aborted")
            if harm is Two.cut_off:
                digest.update(answer.read())
        digest.update(answer.read())
        upload.feed(numbered_pieces(1))
        code, status = upload.finish()
    assert digest.digest() == sha256(data).digest()
    assert status not in {201, 204}, (code, status)
    for url in two.urls:
        wait_until(lambda url=url: ask(f"{url}/file").body == b"old", "the old file")  # type: ignore[misc]
        wait_until(lambda url=url: ask(f"{url}/again", "PUT", b"x").status in {201, 204}, "a file stored")  # type: ignore[misc]
    two.cluster.wait_reaped()
    assert two.cluster.parts_stored() == two.cluster.parts_needed()
