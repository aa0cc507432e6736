"""A cluster whose catalog is a database, with one front or several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from splitd.catalog.sql.connecting import Statements, connector
from splitd.catalog.sql.state import Common, StoredState
from splitd.cli.local.daemon import DaemonProcess
from splitd.model.manifest import Manifest
from splitd.model.packing import Packing
from tests.live.doors import S3, Door, WebDAV
from tests.live.killed_cluster import KilledCluster, status_at
from tests.live.local_cluster import FRONT
from tests.live.processes import wait_until
from tests.ports import free_ports


class DatabaseCluster(KilledCluster):
    """A cluster whose catalog is a database.

    :param url: that of the database.
    :param fronts: how many fronts it has: "front", "front2", …
    """

    def __init__(self, folder: Path, nodes: int, url: str, fronts: int = 1, **settings: object) -> None:
        super().__init__(folder, nodes, catalog=url, **settings)
        self._database = url
        self.ports = {FRONT: self.port}
        for number in range(2, fronts + 1):
            self._add_front(f"{FRONT}{number}")

    def _add_front(self, name: str) -> None:
        port = self.ports[name] = free_ports([0, 1, 2])
        settings = yaml.safe_load((self.folder / "front/splitd.yaml").read_text())
        own = self.folder / name
        own.mkdir()
        for key, offset in {"listen": 0, "admin": 1, "s3": 2}.items():
            settings[key] = f"tcp:{port + offset}:interface=127.0.0.1"
        (own / "splitd.yaml").write_text(yaml.safe_dump({**settings, "data": str(own / "data")}))
        log = self.folder / "log" / f"{name}.log"
        self.daemons[name] = DaemonProcess(name, ["splitd", "--config", str(own / "splitd.yaml")], log)

    @property
    def urls(self) -> list[str]:
        """The URLs of all fronts."""
        return [f"http://127.0.0.1:{port}" for port in self.ports.values()]

    def webdav_by_turns(self) -> Door:
        """The fronts' doors for WebDAV: each request goes to the next front."""
        return WebDAV(*self.urls)

    def s3_by_turns(self) -> Door:
        """The fronts' doors for S3: each request goes to the next front."""
        return S3(self.folder / "s3.key", *(f"http://127.0.0.1:{port + 2}" for port in self.ports.values()))

    def s3_of_each(self) -> list[S3]:
        """The door of each front for S3."""
        return [S3(self.folder / "s3.key", f"http://127.0.0.1:{port + 2}") for port in self.ports.values()]

    def _all_up(self) -> bool:
        return all(
            status.get("ready") and all(node["state"] == "up" for node in status["nodes"])
            for status in map(self.status_of, self.ports)
        )

    def status_of(self, name: str) -> Any:
        """Return the status of one front; empty while it does not answer."""
        return status_at(self.ports[name])

    def upkeep(self) -> str:
        """Return the front that does the upkeep, as any front says; empty if none says that one does."""
        for name in self.ports:
            status = self.status_of(name)
            if any(front["asked"] and front["upkeep"] for front in status.get("fronts", [])):
                return name
        return ""

    def forget_the_dead(self) -> None:
        """Make it for the database as if the fronts that do not run now had been killed a minute ago, and as if nobody
        read what was deleted.  Workers count as killed, too, until they renew their leases.
        """
        fronts = [front for name in self.ports for front in self.status_of(name).get("fronts", [])]
        living = [front["id"] for front in fronts if front["asked"]]
        with connector(self._database)() as connection:
            connection.autocommit = True
            past = "expires = now() - interval '1 minute'"
            connection.execute(f"UPDATE front SET {past} WHERE id != ALL(%s)", (living,))
            connection.execute(f"UPDATE lease SET {past} WHERE front != ALL(%s)", (living,))
            # Rows that a front is about to delete are left to it: waiting for it might be a deadlock.
            waiting = "SELECT ctid FROM doomed WHERE at > '-infinity' FOR UPDATE SKIP LOCKED"
            connection.execute(f"UPDATE doomed SET at = '-infinity' WHERE ctid = ANY(ARRAY({waiting}))")

    def uploads_begun(self) -> int:
        """Count the uploads, and the moves of parts, that are under way for the database, also those of the dead."""
        with connector(self._database)() as connection:  # which is closed at the end
            query = "SELECT (SELECT count(*) FROM upload) + (SELECT count(*) FROM move)"
            count: int = connection.execute(query).fetchone()[0]
            return count

    def tasks(self) -> set[str]:
        """What some front does alone at present."""
        fronts = [front for name in self.ports for front in self.status_of(name).get("fronts", [])]
        return {task for front in fronts for task in front["upkeep"]}

    @contextmanager
    def task_of_another_front(self, task: str) -> Iterator[None]:
        """Make it for the database as if a further front did a task until the end of the block."""
        with connector(self._database)() as connection:
            connection.autocommit = True
            connection.execute("INSERT INTO lease VALUES (%s, 'another', now() + interval '1 hour')", (task,))
            try:
                yield
            finally:
                connection.execute("DELETE FROM lease WHERE front = 'another'")

    def wait_reaped(self) -> None:
        """Wait until no upload is under way and nothing is left to delete; nobody reads anything meanwhile."""

        def is_done() -> bool:
            self.forget_the_dead()
            # Those of a front that was killed are under way until another one has aborted them, which dooms their
            # parts: so what is doomed is asked afterwards.
            if self.uploads_begun():
                return False
            statuses = [self.status_of(name) for name in self.ports]
            return all(statuses) and not any(
                status["uploads"]["under_way"] or status["reaper"]["doomed"] for status in statuses
            )

        wait_until(is_done, "the end of the reaper's work", lambda: list(map(self.status_of, self.ports)))

    def manifests(self) -> list[Manifest]:
        """Return the manifests of all files, and of the segments of those that have some, with the nodes where their
        parts lie now.
        """
        connection = connector(self._database)()
        with connection:
            state = StoredState(Statements(connection), Packing(), Common(), 0, locks=False)
            placed = []
            for manifest in list(state.tree.files()):
                segments = [state.version(each.upload) for each in manifest.segments]
                placed += [each for each in segments if each is not None] if segments else [manifest]
            return placed
