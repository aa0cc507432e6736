"""A cluster whose daemons are restarted only by the test that kills them."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import yaml

from splitd.catalog.compaction import fold
from splitd.catalog.journal.reader import JournalReader
from splitd.catalog.state import State
from splitd.cli.local.daemon import DaemonProcess
from splitd.cli.local.folder import plan_cluster, prepare
from splitd.model.manifest import Manifest
from splitd.model.striping import part_size
from storaged.parts.format import stored_size
from storaged.system.filesystem import OSFilesystem
from tests.live.clients import ask
from tests.live.doors import S3
from tests.live.local_cluster import BLOCK, FRONT
from tests.live.processes import wait_until
from tests.ports import free_ports


class KilledCluster:
    """A front and some storage servers.

    :param folder: a folder as `splitctl up` makes it.
    :param nodes: how many storage servers.
    :param settings: more keys of the front's configuration file.
    :ivar nodes: the names of the storage servers.
    """

    def __init__(self, folder: Path, nodes: int, **settings: object) -> None:
        self.folder = folder
        self.nodes = [f"n{number}" for number in range(1, nodes + 1)]
        self.port = free_ports(BLOCK)
        (folder / "front").mkdir(parents=True)
        # One process, on machines of any size, where no test wants more.
        (folder / "front" / "splitd.yaml").write_text(yaml.safe_dump({"workers": 1, **settings}))
        prepare(plan_cluster(folder, self.port, nodes))
        log = folder / "log"
        self.daemons = {
            FRONT: DaemonProcess(FRONT, ["splitd", "--config", str(folder / "front/splitd.yaml")], log / "front.log"),
        }
        for node in self.nodes:
            config = folder / f"nodes/{node}/storaged.yaml"
            self.daemons[node] = DaemonProcess(node, ["storaged", "--config", str(config)], log / f"{node}.log")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def s3(self) -> S3:
        """Its door for S3."""
        return S3(self.folder / "s3.key", f"http://127.0.0.1:{self.port + 2}")

    def start(self) -> None:
        for daemon in self.daemons.values():
            daemon.start()
        self.wait_ready()

    def stop(self) -> None:
        for daemon in self.daemons.values():
            daemon.send(signal.SIGTERM)
        for daemon in self.daemons.values():
            assert daemon.wait(60), daemon.name

    def kill(self, name: str) -> None:
        """Kill a daemon, and restart it."""
        self.take_down(name)
        self.bring_up(name)

    def take_down(self, *names: str) -> None:
        """Kill daemons at the same moment, and do not restart them."""
        for name in names:
            self.daemons[name].send(signal.SIGKILL)
        for name in names:
            assert self.daemons[name].wait(60)

    def bring_up(self, *names: str) -> None:
        """Restart daemons."""
        for name in names:
            self.daemons[name].start()

    def wait_ready(self) -> None:
        wait_until(self._all_up, "all up", self.status)

    def _all_up(self) -> bool:
        status = self.status()
        return bool(status) and status["ready"] and all(node["state"] == "up" for node in status["nodes"])

    def status(self) -> Any:
        """Return the status; empty while the front does not answer."""
        return status_at(self.port)

    def wait_healed(self) -> None:
        """Wait until no file lacks a part, and no part has to leave a node."""

        def is_done() -> bool:
            heal = self.status().get("heal")
            return bool(heal) and not heal["versions"] and not heal["leaving"]

        wait_until(is_done, "the end of the heal", self.status)

    def wait_reaped(self) -> None:
        """Wait until no upload is under way and nothing is left to delete."""

        def is_done() -> bool:
            status = self.status()
            return bool(status) and not (status["uploads"]["under_way"] or status["reaper"]["doomed"])

        wait_until(is_done, "the end of the reaper's work", self.status)

    def state(self) -> State:
        """Return the state that the journal produces."""
        return fold(JournalReader(OSFilesystem(), str(self.folder / "front/data/journal")))

    def parts_needed(self) -> dict[tuple[str, str], int]:
        """Return the sizes of the parts of all files, by node and part id."""
        return {
            (node, f"{manifest.upload}.{index}"): stored_size(
                part_size(manifest.layout, manifest.size, index), manifest.unit
            )
            for manifest in self.manifests()
            for index, node in enumerate(manifest.nodes)
            if node
        }

    def manifests(self) -> list[Manifest]:
        """Return the manifests of all files, and of the segments of those that have some, with the nodes where their
        parts lie now.
        """
        state = self.state()
        placed = []
        for manifest in state.tree.files():
            segments = [state.version(each.upload) for each in manifest.segments]
            placed += [each for each in segments if each is not None] if segments else [state.moves.place(manifest)]
        return placed

    def parts_stored(self) -> dict[tuple[str, str], int]:
        """Return the sizes of the parts that the nodes list, by node and part id."""
        key = (self.folder / "cluster.key").read_text().strip()
        found = {}
        for number in range(1, len(self.nodes) + 1):
            url = f"http://127.0.0.1:{self.port + 10 + number}/v1/parts?limit=10000"
            listed = ask(url, Authorization=f"Bearer {key}")
            assert listed.status == 200, listed
            for part in json.loads(listed.body)["parts"]:
                found[f"n{number}", part["id"]] = part["stored"]
        assert not list(self.folder.glob("nodes/*/data/tmp/*"))
        return found


def status_at(port: int) -> Any:
    """Return the status of the front whose clients connect at a port; empty while it does not answer."""
    answer = ask(f"http://127.0.0.1:{port + 1}/status")
    return json.loads(answer.body) if answer.status == 200 else {}
