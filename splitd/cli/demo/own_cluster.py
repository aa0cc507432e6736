"""The tour's own cluster: `splitctl up` as a child process, in a temporary folder."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from splitd.cli.demo.disks import LiveJournal, NodeDisk
from splitd.cli.demo.waiting import wait_until
from splitd.cli.errors import CommandFailed, PortTaken
from splitd.cli.local.plan import FRONT, FRONT_CONFIG, HOST, KEY, REGISTRY, ClusterPlan, choose_numbers
from splitd.cli.local.running import ready_file
from splitd.cli.server import Server
from splitd.model.striping import Layout

_PROGRAM = """
import ctypes, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
from splitd.cli.main import main
main()
"""
"""splitctl, to which the kernel sends SIGTERM when its parent ends (prctl(2), PR_SET_PDEATHSIG)."""

PRIVATE = "/members"
"""The one place where nobody may do anything who has not logged in."""

_USERS = f"""\
anonymous:
  grants:
    - {{path: /, allow: [read, write, admin]}}  # for the tour
    - {{path: {PRIVATE}, allow: []}}
"""

_START_S = 90.0
_STOP_S = 60.0
_BACK_S = 60.0
_ASK_S = 5.0
_TRIES = 20
_PORTS = range(20_000, 32_000)  # the ports of outgoing connections begin above
_MOST_ADDED = 4


class OwnCluster:
    """A front and its storage servers, which the tour may kill.

    :param folder: the `--dir` of `splitctl up`.
    :param port: the front's port; None for any that is free.
    :param layout: how files are cut.
    :ivar catalog: where names are kept; empty for the journal.  To be set before the start.
    """

    def __init__(self, folder: Path, port: int | None, layout: Layout) -> None:
        self.folder = folder
        self.catalog = ""
        self._layout = layout
        self._asked_port = port
        self._port = 0
        self._settings = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._output = folder.with_name("up.out")

    @property
    def front(self) -> Path:
        """The folder of the front: its settings, and its journal in `data`."""
        return self.folder / FRONT

    @property
    def registry(self) -> Path:
        """The registry."""
        return self.folder / REGISTRY

    @property
    def key(self) -> Path:
        """The file of the cluster key."""
        return self.folder / KEY

    @property
    def users(self) -> Path:
        """The file of the users."""
        return self.folder / "users.yaml"

    @property
    def url(self) -> str:
        """The URL of the files."""
        return f"http://{HOST}:{self._port}"

    @property
    def s3(self) -> str:
        """The URL for programs made for S3."""
        return str(self._document()["front"]["s3"])

    @property
    def journal(self) -> LiveJournal:
        """The front's journal."""
        return LiveJournal(self.front / "data" / "journal")

    def start(self, nodes: int) -> None:
        """Start the cluster and wait until all daemons are ready.

        :param nodes: how many storage servers.
        :raise CommandFailed: it did not start; the message has the output of `splitctl up`.
        """
        config = self.front / FRONT_CONFIG
        config.parent.mkdir(parents=True)
        # By default only one part may be missing when a file is stored: the tour kills two servers at once.  No part
        # shall be given up because a busy machine was slow for some seconds.
        settings = f"min_parts: {self._layout.data}\nslow_part_s: 60\nusers: {self.users}\nbin: {{keep_days: 30}}\n"
        config.write_text(settings, encoding="utf-8")
        self.users.write_text(_USERS, encoding="ascii")
        for _ in range(_TRIES):
            self._port = self._asked_port or self._port or _free_ports(self.folder, nodes + _MOST_ADDED)
            process = self._up(nodes)
            if process.poll() is None:
                wait_until(self._is_well, f"all {nodes} storage servers up", _START_S)
                return
            said = self._output.read_text(encoding="utf-8", errors="replace").strip()
            if self._asked_port or process.returncode != PortTaken.exit_code:
                raise CommandFailed(f"the cluster did not start: {said}")
            self._port = 0  # another process took a port after it was found free
        raise CommandFailed(f"the cluster did not start: {said}")

    def _up(self, nodes: int) -> subprocess.Popen[bytes]:
        """Start `splitctl up`, and wait until it is ready or has ended."""
        command = ["up", "--dir", str(self.folder), "--nodes", str(nodes), "--port", str(self._port)]
        command += ["--layout", str(self._layout)]
        command += ["--catalog", self.catalog] if self.catalog else []
        with self._output.open("wb") as output:
            # It has its own process group: Ctrl-C in the terminal reaches only the tour, which then stops it in good
            # order.
            process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-c", _PROGRAM, *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=output,
                process_group=0,
            )
        self._process = process
        wait_until(
            lambda: process.poll() is not None or ready_file(self.folder).exists(), "the cluster ready", _START_S
        )
        return process

    def stop(self) -> None:
        """Stop the cluster, if it runs.

        :raise CommandFailed: it did not stop in time, or ended with an error.
        """
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            code = process.wait(_STOP_S)
        except subprocess.TimeoutExpired as problem:
            process.kill()  # the kernel kills its daemons with it
            process.wait()
            raise CommandFailed(f"the cluster did not stop in {_STOP_S:.0f} s and was killed") from problem
        if code != 0:
            raise CommandFailed(f"the cluster ended with exit code {code}")

    def grow(self) -> None:
        """Add a storage server while the cluster runs.

        :raise CommandFailed: it was not added; the message has the output of `splitctl grow`.
        """
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-c", _PROGRAM, "grow", "--dir", str(self.folder)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            raise CommandFailed(f"the cluster did not grow: {done.stderr.strip()}")

    def operate(self, *arguments: str, said: str = "") -> tuple[int, str]:
        """Run splitctl for this cluster; return its exit code, and what it said.

        :param said: its standard input.
        """
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-c", _PROGRAM, "--admin", self.operators.url, *arguments],
            input=said,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        return done.returncode, (done.stdout + done.stderr).strip()

    def pids(self) -> dict[str, int]:
        """Return the process ids, by "front" and node id."""
        document = self._document()
        return {FRONT: document["front"]["pid"], **{node["id"]: node["pid"] for node in document["nodes"]}}

    def urls(self) -> dict[str, str]:
        """Return the URL of each daemon, by the same names."""
        document = self._document()
        return {FRONT: document["front"]["url"], **{node["id"]: node["url"] for node in document["nodes"]}}

    @property
    def operators(self) -> Server:
        """The operators' HTTP."""
        return Server(self._document()["front"]["admin"], _ASK_S, _ASK_S)

    def disks(self) -> list[NodeDisk]:
        """Return the folders of the storage servers."""
        return [NodeDisk(node["id"], Path(node["data"])) for node in self._document()["nodes"]]

    def _document(self) -> Any:
        return json.loads(ready_file(self.folder).read_text(encoding="utf-8"))

    # Harm

    def kill(self, name: str) -> int:
        """Kill a daemon with SIGKILL.

        :return: the id of the killed process.
        """
        pid = self.pids()[name]
        os.kill(pid, signal.SIGKILL)
        return pid

    def destroy_front(self) -> int:
        """Kill the front, and delete its folder, with its journal and its settings.

        The supervisor tries to start it again, in vain until `restore_front`.

        :return: the id of the killed process.
        """
        self._settings = (self.front / FRONT_CONFIG).read_text(encoding="utf-8")
        pid = self.kill(FRONT)
        shutil.rmtree(self.front)
        self.front.mkdir()
        return pid

    def restore_front(self) -> None:
        """Put the settings of the front back, so that it starts again."""
        (self.front / FRONT_CONFIG).write_text(self._settings, encoding="utf-8")

    def wait_recovered(self, name: str, pid: int) -> None:
        """Wait until a killed daemon runs again, and all daemons are well."""
        wait_until(lambda: self.pids()[name] != pid, f"{name} started again", _BACK_S)
        wait_until(self._is_well, "all daemons well again", _BACK_S)

    def _is_well(self) -> bool:
        document = self._document()
        try:
            # The front may not have noticed that a node was away, so each node is asked directly, too.
            for node in document["nodes"]:
                with Server(node["url"], _ASK_S, _ASK_S).ask("GET", "/health"):
                    pass
            status = self.operators.document("/status")
        except CommandFailed:
            return False
        states = [node["state"] for node in status["nodes"]]
        return bool(status["ready"]) and states == ["up"] * len(document["nodes"])


def _free_ports(folder: Path, nodes: int) -> int:
    numbers = choose_numbers(nodes, set(), set())
    return free_ports(lambda first: ClusterPlan(folder, first, numbers).ports())


def free_ports(block: Callable[[int], Iterable[int]]) -> int:
    """Return a first port from which on all ports of a block are free.

    :param block: returns the ports of the block that begins with a port.
    """
    while True:
        first = random.choice(_PORTS)  # noqa: S311 - no secret
        with ExitStack() as stack:
            try:
                for port in block(first):
                    stack.enter_context(socket.create_server((HOST, port)))
            except OSError:
                continue
        return first
